"""Every hook that Fairlead calls: one for each kind of plugin.

A plugin is a module named by an entry point of the group ``fairlead.<kind>s``; the entry point's name is the
plugin's. The module holds functions marked with `hookimpl` and imports nothing heavy. Hooks are synchronous, take
no arguments, and return descriptors; the work is done by the classes that the descriptors name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import AutoscalerSpec
    from fairlead.contracts.explainer import ExplainerSpec
    from fairlead.contracts.runtime import RuntimeSpec
    from fairlead.contracts.storage import StorageSpec

__all__ = [
    "fairlead_autoscalers",
    "fairlead_explainers",
    "fairlead_runtimes",
    "fairlead_storage_providers",
    "hookimpl",
    "hookspec",
]

hookspec = pluggy.HookspecMarker("fairlead")
hookimpl = pluggy.HookimplMarker("fairlead")


@hookspec
def fairlead_runtimes() -> Iterable[RuntimeSpec]:
    """The runtimes that this plugin provides (group ``fairlead.runtimes``)."""
    raise NotImplementedError


@hookspec
def fairlead_storage_providers() -> Iterable[StorageSpec]:
    """The storage providers that this plugin provides (group ``fairlead.storage``)."""
    raise NotImplementedError


@hookspec
def fairlead_explainers() -> Iterable[ExplainerSpec]:
    """The explainers that this plugin provides (group ``fairlead.explainers``)."""
    raise NotImplementedError


@hookspec
def fairlead_autoscalers() -> Iterable[AutoscalerSpec]:
    """The autoscaler strategies that this plugin provides (group ``fairlead.autoscalers``)."""
    raise NotImplementedError
