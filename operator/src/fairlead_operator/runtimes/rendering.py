"""What ``fairlead-operator render-runtimes`` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from fairlead import errors
from fairlead.contracts.runtime import RuntimeSpec
from fairlead.plugins import Kind
from fairlead.resolve import runtimes
from fairlead_operator.runtimes import images

if TYPE_CHECKING:
    from fairlead.plugins import Plugins
    from fairlead_operator.desired.model import Manifest

__all__ = ["of_plugin", "render", "rendered"]

_ADDED: Final[dict[str, Any]] = {
    # The server is not ready before every model has answered a sample.
    "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": 8080}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
"""What the images of Fairlead's own servers allow, beside what the platform without a cluster asks of a runtime."""


def render(plugins: Plugins) -> list[Manifest]:
    """The ClusterServingRuntimes of the installed runtime plugins, and then those of images that others publish.

    Args:
        plugins: the plugins of this process.

    Raises:
        PluginError: a runtime plugin cannot be used.
    """
    infos = sorted({info.name for info in plugins.infos(Kind.RUNTIME)})
    own = [
        of_plugin(spec, plugins.info(Kind.RUNTIME, name).version)
        for name in infos
        for spec in plugins.specs(Kind.RUNTIME, name)
        if isinstance(spec, RuntimeSpec)
    ]
    return [*own, *images.manifests()]


def of_plugin(spec: RuntimeSpec, version: str | None) -> Manifest:
    """The ClusterServingRuntime of a runtime plugin, for a cluster that enforces the restricted security standard.

    Args:
        spec: what the plugin says of itself.
        version: the version of its distribution, which is the tag of its image.
    """
    manifest = runtimes.cluster_runtime(spec, version).manifest()
    (container,) = manifest["spec"]["containers"]
    manifest["spec"]["containers"] = [{**container, **_ADDED}]
    return manifest


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
