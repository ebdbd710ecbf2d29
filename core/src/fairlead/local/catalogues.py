"""What services are resolved against on this machine: the plugins that it has, and the runtimes that are declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.api.kubernetes import ConfigMap, Secret, ServiceAccount
from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
from fairlead.api.storagecontainer import ClusterStorageContainer
from fairlead.plugins import Kind, Plugins
from fairlead.resolve import defaults
from fairlead.resolve.catalogue import Catalogue
from fairlead.resolve.secrets import Vault

if TYPE_CHECKING:
    from fairlead.api.base import Resource

__all__ = ["installed", "not_run"]


def installed(plugins: Plugins, resources: Sequence[Resource] = ()) -> Catalogue:
    """The catalogue of this machine.

    Each runtime plugin, storage provider and strategy is asked to describe itself. One that cannot is left out; for a
    runtime the catalogue says why.

    Args:
        plugins: the plugins of this process.
        resources: objects that were read; ServingRuntimes, ClusterServingRuntimes, ClusterStorageContainers, Secrets,
            ConfigMaps and ServiceAccounts among them count. Those that name no namespace are in ``default``.
    """
    versions: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name in {info.name: None for info in plugins.infos(Kind.RUNTIME)}:
        info = plugins.info(Kind.RUNTIME, name)
        try:
            specs = plugins.specs(Kind.RUNTIME, name)
        except errors.PluginError as error:
            missing[name] = str(error)
        else:
            versions.update({spec.name: info.version for spec in specs})
    return Catalogue(
        runtimes=tuple(defaults.placed(each) for each in resources if isinstance(each, ServingRuntime)),
        cluster_runtimes=tuple(each for each in resources if isinstance(each, ClusterServingRuntime)),
        plugins=plugins.runtimes(),
        versions=versions,
        missing=missing,
        storage=plugins.storage_providers(),
        storage_containers=tuple(each for each in resources if isinstance(each, ClusterStorageContainer)),
        autoscalers=plugins.autoscalers(),
        vault=Vault.of(each.manifest() for each in resources if isinstance(each, Secret | ConfigMap | ServiceAccount)),
    )


_NOT_RUN: Final = {
    "InferenceGraph": "ask its services themselves, or run it in a cluster",
    "TrainedModel": "declare an InferenceService of its own for the model",
    "ClusterStorageContainer": "install a storage plugin for its addresses",
}


def not_run(resources: Sequence[Resource]) -> list[str]:
    """What is declared and has no effect without a cluster: a sentence for each, with what to do."""
    return [
        f"{each.kind} {each.metadata.name} has no effect here: {_NOT_RUN[each.kind]}."
        for each in resources
        if each.kind in _NOT_RUN
    ]
