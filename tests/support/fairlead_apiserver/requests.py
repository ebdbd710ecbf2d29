"""A request, read: who asks for what."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead_apiserver.resources import Resource
    from fairlead_apiserver.store import Name

__all__ = ["Record", "Request", "User"]


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ()

    @property
    def admin(self) -> bool:
        """Whether everything is allowed."""
        return "system:masters" in self.groups


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A request that was answered."""

    user: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    agent: str = ""


@dataclasses.dataclass(slots=True)
class Request:
    """What is asked of one kind."""

    user: User
    verb: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    content_type: str = ""
    agent: str = ""
    warnings: list[str] = dataclasses.field(default_factory=list)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def where(self) -> Name:
        """The place of the object."""
        return self.namespace if self.resource.namespaced else "", self.name

    @property
    def manager(self) -> str:
        """Who is said to write: ``fieldManager``, or the head of the user agent."""
        return self.query.get("fieldManager") or self.agent.partition("/")[0] or "unknown"

    @property
    def dry(self) -> bool:
        """Whether nothing is to be stored."""
        return self.query.get("dryRun") == "All" or "All" in self.options.get("dryRun", ())
