"""What commands read out of the views of a platform: names, whether a service is Ready, and how it is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["Readiness", "View", "examples", "name_of", "readiness", "recent"]

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
