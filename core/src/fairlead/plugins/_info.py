"""The kinds of plugin, and what is known of one without importing it."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead import errors

__all__ = ["Kind", "PluginInfo", "PluginState"]


class Kind(enum.StrEnum):
    """The kinds of plugin."""

    RUNTIME = "runtime"
    STORAGE = "storage"
    EXPLAINER = "explainer"
    AUTOSCALER = "autoscaler"

    @property
    def group(self) -> str:
        """The entry-point group."""
        return "fairlead.storage" if self is Kind.STORAGE else f"fairlead.{self}s"

    @property
    def hook(self) -> str:
        """The hook that returns the specs."""
        return "fairlead_storage_providers" if self is Kind.STORAGE else f"fairlead_{self}s"

    @property
    def spec(self) -> str:
        """The class of the descriptors that the hook returns, as ``module:Class``."""
        return f"fairlead.contracts.{self}:{self.capitalize()}Spec"

    @property
    def contract(self) -> str:
        """The class that a spec's factory must be a subclass of, as ``module:Class``."""
        name = "StorageProvider" if self is Kind.STORAGE else self.capitalize()
        return f"fairlead.contracts.{self}:{name}"

    def distribution(self, name: str) -> str:
        """The distribution that would provide a plugin of this name, by convention."""
        return f"fairlead-{self}-{name}"


class PluginState(enum.StrEnum):
    """Whether a plugin can be used."""

    AVAILABLE = "available"
    BROKEN = "broken"
    INCOMPATIBLE = "incompatible"
    DUPLICATE = "duplicate"
    BLOCKED = "blocked"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One installed plugin, as far as is known without importing it.

    Attributes:
        kind: its kind.
        name: its name, as users write it.
        module: the module that the entry point names.
        distribution: the installed distribution that declares it.
        version: that distribution's version.
        state: whether it can be used; that it is broken is mostly known only once it was imported.
        error: why it cannot be used.
    """

    kind: Kind
    name: str
    module: str
    distribution: str
    version: str
    state: PluginState = PluginState.AVAILABLE
    error: errors.PluginError | None = None

    @property
    def id(self) -> str:
        """The key under which it is known: ``<kind>:<name>``."""
        return f"{self.kind}:{self.name}"

    @property
    def owner(self) -> str:
        """The plugin with its distribution, as messages name it."""
        return f"{self.kind} plugin {self.name!r} of {self.distribution} {self.version}"

    def unusable(self, state: PluginState, error: errors.PluginError) -> PluginInfo:
        """The same plugin, in a state in which it cannot be used."""
        return dataclasses.replace(self, state=state, error=error)
