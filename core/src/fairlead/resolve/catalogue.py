"""What services are resolved against: the runtimes, storage providers and strategies that there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fairlead.resolve.secrets import Vault

if TYPE_CHECKING:
    from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime
    from fairlead.api.storagecontainer import ClusterStorageContainer
    from fairlead.contracts.autoscaler import AutoscalerSpec
    from fairlead.contracts.runtime import RuntimeSpec
    from fairlead.contracts.storage import StorageSpec

__all__ = ["Catalogue"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The world beside the services.

    Attributes:
        runtimes: the ServingRuntimes of all namespaces.
        cluster_runtimes: the ClusterServingRuntimes that manifests declare.
        plugins: the runtime plugins that are installed, by name; each is a ClusterServingRuntime as well.
        versions: the version of the distribution of each runtime plugin, by the plugin's name.
        missing: why runtimes that are installed cannot be used, by name, for messages.
        storage: the storage providers that are installed, by name.
        storage_containers: the ClusterStorageContainers that manifests declare.
        autoscalers: the strategies that are installed, by name.
        vault: the Secrets, ConfigMaps and ServiceAccounts of all namespaces.
    """

    runtimes: tuple[ServingRuntime, ...] = ()
    cluster_runtimes: tuple[ClusterServingRuntime, ...] = ()
    plugins: Mapping[str, RuntimeSpec] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    storage: Mapping[str, StorageSpec] = dataclasses.field(default_factory=dict)
    storage_containers: tuple[ClusterStorageContainer, ...] = ()
    autoscalers: Mapping[str, AutoscalerSpec] = dataclasses.field(default_factory=dict)
    vault: Vault = dataclasses.field(default_factory=Vault)

    @property
    def in_cluster(self) -> bool:
        """Whether it is a cluster's: Secrets are not looked at there, and every runtime is an object of its own."""
        return self.vault.sealed
