"""Discovery: what the metadata of the installed distributions says, judged without importing anything.

`importlib.metadata.entry_points` gives up on the whole environment when one distribution's metadata cannot be
parsed; here each distribution is read on its own.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from fairlead import errors
from fairlead.plugins._info import Kind, PluginInfo, PluginState

__all__ = ["ALLOW_LIST_VARIABLE", "CORE_DISTRIBUTION", "EntryPoints", "Findings", "discover"]

ALLOW_LIST_VARIABLE: Final = "FAIRLEAD_PLUGINS"
CORE_DISTRIBUTION: Final = "fairlead"

EntryPoints: TypeAlias = "Callable[[str], Iterable[importlib.metadata.EntryPoint]]"

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_GROUP_PREFIX: Final = "fairlead."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What discovery found.

    Attributes:
        chosen: one plugin per id, the one that the id means, by kind and name.
        others: further claimants of an id: duplicates, and those that the allow-list left out.
        missing: words of the allow-list that name nothing that is installed.
        unreadable: one error for each distribution whose entry points cannot be read.
    """

    chosen: tuple[PluginInfo, ...]
    others: tuple[PluginInfo, ...] = ()
    missing: tuple[str, ...] = ()
    unreadable: tuple[errors.PluginError, ...] = ()


def discover(allowed: Sequence[str] | None, entry_points: EntryPoints | None = None) -> Findings:
    """Read and judge the entry points of every kind.

    Args:
        allowed: the words of the allow-list; None to allow all.
        entry_points: where to read them, by group; by default the installed distributions.
    """
    unreadable: list[errors.PluginError] = []
    if entry_points is None:
        installed = _installed(unreadable)
        found = [(kind, entry) for kind in Kind for entry in installed if entry.group == kind.group]
    else:
        found = [(kind, entry) for kind in Kind for entry in entry_points(kind.group)]
    words = None if allowed is None else {_normalized_word(word): word for word in allowed}
    claims: dict[str, list[PluginInfo]] = {}
    used: set[str] = set()
    for kind, entry in sorted(found, key=lambda pair: (list(Kind).index(pair[0]), pair[1].name)):
        info = _described(kind, entry)
        matching = _words_for(info) & (words or {}).keys()
        used |= matching
        info = _blocked(info) if words is not None and not matching else _judged(info, entry)
        claims.setdefault(info.id, []).append(info)
    settled = [_settled(claimants) for claimants in claims.values()]
    return Findings(
        chosen=tuple(first for first, *_ in settled),
        others=tuple(other for _, *others in settled for other in others),
        missing=tuple(word for key, word in (words or {}).items() if key not in used),
        unreadable=tuple(unreadable),
    )


# -- reading --------------------------------------------------------------------------------------------


def _installed(unreadable: list[errors.PluginError]) -> list[importlib.metadata.EntryPoint]:
    """The entry points of our groups; what cannot be read is added to ``unreadable``."""
    entries: list[importlib.metadata.EntryPoint] = []
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
            if _GROUP_PREFIX not in text:
                continue
            name = _field(distribution, "Name")
            if name is not None:
                if _normalized(name) in seen or _is_shadowed(name, text):
                    continue
                seen.add(_normalized(name))
            entries += [entry for entry in distribution.entry_points if entry.group.startswith(_GROUP_PREFIX)]
        except Exception as error:  # noqa: BLE001  # whatever a parser says of a damaged file, the others must live
            unreadable.append(
                errors.PluginBroken(
                    f"The entry points of {_whereabouts(distribution)} cannot be read: "
                    f"{type(error).__name__}: {error}.",
                    remedy="If it provides a plugin, the plugin is not seen; install the distribution again.",
                )
            )
    return entries


def _is_shadowed(name: str, text: str) -> bool:
    """Whether another installation of the distribution comes first on the path."""
    try:
        return (importlib.metadata.distribution(name).read_text("entry_points.txt") or "") != text
    except importlib.metadata.PackageNotFoundError:
        return False


def _field(distribution: importlib.metadata.Distribution, field: str) -> str | None:
    """A field of the metadata; None when the file or the field is missing or cannot be read."""
    try:
        values = distribution.metadata.get_all(field)
    except Exception:  # noqa: BLE001  # Python versions differ in what they raise for damaged metadata
        return None
    return str(values[0]) if values else None


def _whereabouts(distribution: importlib.metadata.Distribution) -> str:
    name = _field(distribution, "Name")
    return name or f"a distribution without a name in {distribution.locate_file('')}"


# -- judging --------------------------------------------------------------------------------------------


def _described(kind: Kind, entry: importlib.metadata.EntryPoint) -> PluginInfo:
    dist = entry.dist
    name = None if dist is None else _field(dist, "Name")
    version = None if dist is None else _field(dist, "Version")
    info = PluginInfo(
        kind=kind,
        name=entry.name,
        module=entry.value,
        distribution=name or "an unknown distribution",
        version=version or "of unknown version",
    )
    if dist is not None and (name is None or version is None):
        missing = "name" if name is None else "version"
        reason = f"The {info.owner} in {dist.locate_file('')} has no readable metadata: its {missing} is missing."
        return info.unusable(PluginState.BROKEN, errors.PluginBroken(reason, remedy="Install the distribution again."))
    if _MODULE.fullmatch(entry.value) is None:
        reason = f"The {info.owner} names {entry.value!r} as its entry point, which is not the name of a module."
        remedy = "Write the module that holds the hooks, without a colon: package._plugin"
        return info.unusable(PluginState.BROKEN, errors.PluginBroken(reason, remedy=remedy))
    return info


def _normalized(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _normalized_word(word: str) -> str:
    plugin, at, owner = word.partition("@")
    return plugin + at + _normalized(owner)


def _words_for(info: PluginInfo) -> set[str]:
    """The words of an allow-list that mean this plugin."""
    owner = f"@{_normalized(info.distribution)}"
    return {info.name, info.id, info.name + owner, info.id + owner}


def _blocked(info: PluginInfo) -> PluginInfo:
    error = errors.PluginBlocked(
        f"The {info.owner} is installed, but not allowed.",
        remedy=f"Add {info.name} to {ALLOW_LIST_VARIABLE}, or unset it to allow all.",
    )
    return info.unusable(PluginState.BLOCKED, error)


def _judged(info: PluginInfo, entry: importlib.metadata.EntryPoint) -> PluginInfo:
    if info.error is not None or entry.dist is None or _normalized(info.distribution) == CORE_DISTRIBUTION:
        return info
    problem = _incompatibility(entry.dist.requires or ())
    if problem is None:
        return info
    error = errors.PluginIncompatible(
        f"The {info.owner} {problem}.",
        remedy=f"Try: pip install --upgrade {info.distribution} {CORE_DISTRIBUTION}",
    )
    return info.unusable(PluginState.INCOMPATIBLE, error)


def _incompatibility(requirements: Sequence[str]) -> str | None:
    """Why declared requirements exclude this version of the core; None when they do not."""
    from packaging.requirements import InvalidRequirement, Requirement

    installed = importlib.metadata.version(CORE_DISTRIBUTION)
    for text in requirements:
        name = re.match(r"\s*([\w.-]+)", text)
        if name is None or _normalized(name.group(1)) != CORE_DISTRIBUTION:
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return f"declares {text!r}, which no version of {CORE_DISTRIBUTION} can be compared with"
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            return f"needs {CORE_DISTRIBUTION}{requirement.specifier}, and {installed} is installed"
    return None


def _settled(claimants: Sequence[PluginInfo]) -> list[PluginInfo]:
    """The claimants of one id, the one that the id means first; several that are allowed are an error."""
    allowed = [claim for claim in claimants if claim.state is not PluginState.BLOCKED]
    blocked = [claim for claim in claimants if claim.state is PluginState.BLOCKED]
    if len(allowed) < 2:
        return [*allowed, *blocked]
    allowed = sorted(allowed, key=lambda claim: (claim.distribution, claim.module))
    first = allowed[0]
    owners = " and ".join(f"{claim.distribution} {claim.version} ({claim.module})" for claim in allowed)
    remedy = "Uninstall all but one."
    if len({_normalized(claim.distribution) for claim in allowed}) == len(allowed):
        remedy = (
            f"Uninstall all but one, or list the plugins to use in {ALLOW_LIST_VARIABLE}, "
            f"this one as {first.name}@{first.distribution}, for example."
        )
    error = errors.PluginDuplicate(
        f"The {first.kind} plugin name {first.name!r} is claimed by {owners}.", remedy=remedy
    )
    return [*(claim.unusable(PluginState.DUPLICATE, error) for claim in allowed), *blocked]
