"""What commands read out of the views of a platform: names, whether a service is Ready, and how it is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

__all__ = [
    "Readiness",
    "View",
    "Waiting",
    "behind",
    "examples",
    "is_current",
    "name_of",
    "readiness",
    "recent",
    "waiting",
]

View: TypeAlias = Mapping[str, Any]
"""One InferenceService as `fairlead.local.platform.Platform.views` gives it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a service is Ready, as its status says.

    Attributes:
        status: ``True``, ``False`` or ``Unknown``.
        url: where it is asked; empty before that is known.
        reason: why it is not Ready, in one word; empty where nothing is said.
        message: why, in sentences.
    """

    status: str
    url: str
    reason: str
    message: str

    def __str__(self) -> str:
        if self.status == "True":
            return f"Ready at {self.url}" if self.url else "Ready"
        why = ": ".join(each for each in (self.reason, self.message) if each)
        return f"{'not Ready' if self.status == 'False' else 'not Ready yet'}{f': {why}' if why else ''}"


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """A revision that is declared, and does not answer yet, or any more.

    Attributes:
        revision: its name, or the name of the canary.
        state: ``coming``, ``failed`` or ``stuck``, as in `fairlead.local.latest.Latest`.
        before: the revisions that answer in its place.
        why: the reason and the message.
        canary: whether it is one of ``spec.canary``.
        failures: how often it has failed in a row; 0 where it is not tried again.
    """

    revision: str
    state: str
    before: Sequence[str]
    why: str
    canary: bool
    failures: int

    @property
    def fails(self) -> bool:
        """Whether it has failed, rather than to be on its way."""
        return self.state != "coming"

    def __str__(self) -> str:
        go_on = "goes on" if len(self.before) == 1 else "go on"
        meanwhile = f", and {' and '.join(self.before)} {go_on} answering" if self.before else ""
        deed = "does not answer" if self.fails else "is not ready yet"
        return f"{self.revision} {deed}{meanwhile}{f': {self.why}' if self.why else ''}"


def name_of(view: View) -> str:
    """The namespace and the name, such as ``default/iris``."""
    metadata = view["manifest"]["metadata"]
    return f"{metadata.get('namespace') or 'default'}/{metadata['name']}"


def readiness(view: View) -> Readiness:
    """Whether a service is Ready."""
    status = view["manifest"].get("status") or {}
    ready: Mapping[str, Any] = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), {})
    return Readiness(
        ready.get("status", "Unknown"), status.get("url") or "", ready.get("reason") or "", ready.get("message") or ""
    )


def waiting(view: View) -> list[Waiting]:
    """The latest revisions, and the canaries, that do not answer."""
    return [
        Waiting(
            f"canary {each['component']}" if each["canary"] else each["revision"],
            each["state"],
            each["before"],
            ": ".join(told for told in (each["reason"], each["message"]) if told),
            each["canary"],
            each["failures"],
        )
        for each in view.get("latest") or ()
        if each["state"] != "ready"
    ]


def behind(view: View) -> list[Waiting]:
    """The latest revisions in whose place those before them answer; none where the service is not Ready."""
    ready = readiness(view).status == "True"
    return [each for each in waiting(view) if ready and not each.canary]


def is_current(view: View) -> bool:
    """Whether the status is already about what is declared."""
    return bool(view.get("current", True))


def examples(view: View, address: str) -> list[str]:
    """Command lines that ask a service, by its host and by its path; none where it has no URL.

    Args:
        view: the service.
        address: where the platform listens, such as ``127.0.0.1:8080``.
    """
    namespace, name = name_of(view).split("/")
    url = readiness(view).url
    model = (view["manifest"].get("spec") or {}).get("predictor", {}).get("model") or {}
    version = "v2" if model.get("protocolVersion") in ("v2", "grpc-v2") else "v1"
    path = f"/{version}/models/{name}"
    host, _, port = address.rpartition(":")
    here = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "::": "[::1]"}.get(host, host)  # noqa: S104  # only compared
    ways = [f"{url}{path}"] if url else []
    return (
        [f"curl {each}" for each in (*ways, f"http://{here}:{port}/serving/{namespace}/{name}{path}")] if ways else []
    )


def recent(views: list[View], count: int) -> list[tuple[str, Mapping[str, Any]]]:
    """The latest events of all services with the service's name, the oldest first."""
    found = [(name_of(view), event) for view in views for event in view.get("events") or ()]
    return sorted(found, key=lambda each: each[1]["at"])[-count:] if count > 0 else []
