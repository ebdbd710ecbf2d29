"""What ``fairlead-operator render-runtimes`` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from fairlead import errors
from fairlead.contracts.runtime import RuntimeSpec
from fairlead.plugins import Kind
from fairlead.resolve import runtimes
from fairlead_operator.runtimes import images

if TYPE_CHECKING:
    from fairlead.plugins import Plugins
    from fairlead_operator.desired.model import Manifest

__all__ = ["render", "rendered"]


def render(plugins: Plugins) -> list[Manifest]:
    """The ClusterServingRuntimes of the installed runtime plugins, and then those of images that others publish.

    Args:
        plugins: the plugins of this process.

    Raises:
        PluginError: a runtime plugin cannot be used.
    """
    infos = sorted({info.name for info in plugins.infos(Kind.RUNTIME)})
    own = [
        runtimes.cluster_runtime(spec, plugins.info(Kind.RUNTIME, name).version).manifest()
        for name in infos
        for spec in plugins.specs(Kind.RUNTIME, name)
        if isinstance(spec, RuntimeSpec)
    ]
    return [*own, *images.manifests()]


def rendered(only: str | None, plugins: Plugins) -> str:
    """ClusterServingRuntimes as YAML documents.

    Args:
        only: the name of one runtime, with or without the prefix ``fairlead-`` of a plugin's; None for all.
        plugins: the plugins of this process.

    Raises:
        ConfigurationError: there is no runtime of that name.
        PluginError: a runtime plugin cannot be used.
    """
    found = {each["metadata"]["name"]: each for each in render(plugins)}
    if only is not None:
        name = next((each for each in (only, runtimes.runtime_name(only)) if each in found), None)
        if name is None:
            raise errors.ConfigurationError(
                f"There is no runtime {only!r}.",
                remedy=f"Install its plugin, or name one of these: {', '.join(found)}.",
            )
        found = {name: found[name]}
    return yaml.safe_dump_all(found.values(), sort_keys=False, width=120)
