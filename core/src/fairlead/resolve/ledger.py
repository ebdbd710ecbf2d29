"""The revisions of a component and its traffic, as they are kept: plain values, and their JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import Any, Final, NoReturn

from fairlead import errors
from fairlead.resolve.observation import Share

__all__ = ["Ledger", "Revision", "from_json", "from_plain", "to_json", "to_plain"]

_NAMES: Final = ("latest_created", "latest_ready", "latest_rolled_out", "previous_rolled_out")
_REVISION: Final = ("name", "digest", "created_at")
_SHARE: Final = ("revision", "percent", "latest", "tag")


@dataclasses.dataclass(frozen=True, slots=True)
class Revision:
    """A revision of a component.

    Attributes:
        name: its name, such as ``iris-predictor-00002``.
        digest: what tells its spec from that of other revisions.
        created_at: when it was first asked for, in seconds of Unix time.
    """

    name: str
    digest: str
    created_at: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What is known of the revisions of one component; a new component begins with an empty one.

    Attributes:
        revisions: the revisions that are kept, the one that was asked for last first.
        latest_created: the revision that the spec asks for.
        latest_ready: the latest revision that was ready.
        latest_rolled_out: the revision that last had all traffic.
        previous_rolled_out: the one that had it before.
        shares: how the traffic is split; together 100 percent once a revision was ready, none before.
        canary_percent: ``canaryTrafficPercent`` when the shares were last decided; 100 where there was none.
        numbered: the highest number that a revision was given.
    """

    revisions: tuple[Revision, ...] = ()
    latest_created: str | None = None
    latest_ready: str | None = None
    latest_rolled_out: str | None = None
    previous_rolled_out: str | None = None
    shares: tuple[Share, ...] = ()
    canary_percent: int = 100
    numbered: int = 0


def to_plain(ledger: Ledger) -> dict[str, Any]:
    """The ledger as data for JSON."""
    return {
        **{name: getattr(ledger, name) for name in (*_NAMES, "canary_percent", "numbered")},
        "revisions": [dataclasses.asdict(each) for each in ledger.revisions],
        "shares": [dataclasses.asdict(each) for each in ledger.shares],
    }


def to_json(ledger: Ledger) -> str:
    """The ledger as JSON."""
    return json.dumps(to_plain(ledger), ensure_ascii=False)


def from_json(text: str | bytes, source: str = "the ledger") -> Ledger:
    """Read a ledger that `to_json` wrote.

    Args:
        text: JSON.
        source: what errors call it, such as the path of a file.

    Raises:
        ConfigurationError: it is no ledger: not JSON, a field too few or too many, a value of another type, or values
            that contradict each other.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        _refuse(source, f"it is not JSON ({error})", error)
    return from_plain(value, source)


def from_plain(value: object, source: str = "the ledger") -> Ledger:
    """Make a ledger of what `to_plain` made; the same errors as `from_json`."""
    fields = (*_NAMES, "canary_percent", "numbered", "revisions", "shares")
    found = _fields(value, fields, "it", source)
    names: dict[str, str | None] = {}
    for name in _NAMES:
        names[name] = None if found[name] is None else _text(found[name], name, source)
    revisions = tuple(
        _revision(each, f"revisions[{index}]", source) for index, each in enumerate(_list(found, "revisions", source))
    )
    shares = tuple(
        _share(each, f"shares[{index}]", source) for index, each in enumerate(_list(found, "shares", source))
    )
    ledger = Ledger(
        revisions=revisions,
        **names,
        shares=shares,
        canary_percent=_percent(found["canary_percent"], "canary_percent", source),
        numbered=_whole(found["numbered"], "numbered", source),
    )
    if problem := _contradiction(ledger):
        _refuse(source, problem)
    return ledger


def _contradiction(ledger: Ledger) -> str | None:
    """What cannot be true of a ledger at once."""
    known = [each.name for each in ledger.revisions]
    if len(set(known)) < len(known):
        return "two of its revisions have one name"
    if (known[0] if known else None) != ledger.latest_created:
        return "latest_created is not the first of its revisions"
    if len({each.digest for each in ledger.revisions}) < len(known):
        return "two of its revisions have one digest"
    shared = [each.revision for each in ledger.shares]
    for name in (*(getattr(ledger, field) for field in _NAMES), *shared):
        if name is not None and name not in known:
            return f"it names the revision {name!r} and does not have it"
    if shared and sum(each.percent for each in ledger.shares) != 100:
        return "its shares are not 100 percent together"
    if bool(shared) != (ledger.latest_ready is not None) or bool(shared) != (ledger.latest_rolled_out is not None):
        return "it has shares without a revision that was ready, or none with one"
    return None


def _revision(value: object, place: str, source: str) -> Revision:
    found = _fields(value, _REVISION, place, source)
    created = found["created_at"]
    if isinstance(created, bool) or not isinstance(created, int | float) or not 0 <= created < float("inf"):
        _refuse(source, f"{place}.created_at is {_shown(created)}, and not a number of seconds")
    name, digest = (_text(found[field], f"{place}.{field}", source) for field in ("name", "digest"))
    return Revision(name, digest, float(created))


def _share(value: object, place: str, source: str) -> Share:
    found = _fields(value, _SHARE, place, source)
    if not isinstance(found["latest"], bool):
        _refuse(source, f"{place}.latest is {_shown(found['latest'])}, and neither true nor false")
    return Share(
        revision=_text(found["revision"], f"{place}.revision", source),
        percent=_percent(found["percent"], f"{place}.percent", source),
        latest=found["latest"],
        tag=None if found["tag"] is None else _text(found["tag"], f"{place}.tag", source),
    )


def _fields(value: object, fields: Collection[str], place: str, source: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        _refuse(source, f"{place} is {_shown(value)}, and not an object")
    if different := sorted(set(fields) ^ set(value)):
        which, verb = different[0], "has no" if different[0] in fields else "has an unknown"
        _refuse(source, f"{place} {verb} field {which!r}")
    return value


def _list(found: Mapping[str, Any], field: str, source: str) -> list[Any]:
    value = found[field]
    if not isinstance(value, list):
        _refuse(source, f"{field} is {_shown(value)}, and not a list")
    return value


def _text(value: object, place: str, source: str) -> str:
    if not isinstance(value, str) or not value:
        _refuse(source, f"{place} is {_shown(value)}, and not a text")
    return value


def _whole(value: object, place: str, source: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _refuse(source, f"{place} is {_shown(value)}, and not a whole number from 0 on")
    return value


def _percent(value: object, place: str, source: str) -> int:
    number = _whole(value, place, source)
    if number > 100:
        _refuse(source, f"{place} is {number}, and not a percentage")
    return number


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _refuse(source: str, problem: str, cause: Exception | None = None) -> NoReturn:
    raise errors.ConfigurationError(
        f"{source} is no ledger of revisions: {problem}.",
        remedy="Remove it: the revisions are then counted from 1 again, and the spec as it is now gets all traffic.",
    ) from cause
