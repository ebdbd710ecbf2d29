"""What services are resolved against in a cluster: its runtimes, its storage containers, and the installed plugins."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from fairlead import api, errors
from fairlead.plugins import Kind
from fairlead.resolve.catalogue import Catalogue
from fairlead.resolve.secrets import Vault
from fairlead_operator.cluster import kinds
from fairlead_operator.desired.model import Strategy

if TYPE_CHECKING:
    from fairlead.contracts.storage import StorageSpec
    from fairlead.plugins import Plugins
    from fairlead_operator.desired.model import Manifest
    from fairlead_operator.world import World

__all__ = ["Catalogues", "Installed"]

_SOURCE: Final = "the API server"


@dataclasses.dataclass(frozen=True, slots=True)
class Installed:
    """The plugins of this process that bear on services.

    Attributes:
        strategies: the autoscalers, by name.
        storage: the storage providers, by name.
    """

    strategies: Mapping[str, Strategy] = dataclasses.field(default_factory=dict)
    storage: Mapping[str, StorageSpec] = dataclasses.field(default_factory=dict)

    @classmethod
    def discover(cls, plugins: Plugins) -> Installed:
        """Those that work; a strategy that does not is as if it were not there, and `plugins` says why."""
        strategies: dict[str, Strategy] = {}
        known = dict(kinds.BY_KIND)
        for name, spec in plugins.autoscalers().items():
            try:
                strategy = plugins.factory(Kind.AUTOSCALER, spec)()
            except errors.PluginError:
                continue
            declared = [kinds.Kind.declared(each) for each in spec.kinds]
            fault = next(filter(None, (_clash(each, known) for each in declared)), "")
            strategies[name] = Strategy(spec, strategy, fault)
            known = {**known, **{each.name: each for each in declared if not fault}}
        return cls(strategies, dict(plugins.storage_providers()))

    def kinds(self) -> kinds.Kinds:
        """All kinds of objects that there may be of a service."""
        sound = [each.spec.kinds for each in self.strategies.values() if not each.fault]
        return kinds.Kinds(kinds.Kind.declared(said) for declared in sound for said in declared)


def _clash(declared: kinds.Kind, known: Mapping[str, kinds.Kind]) -> str:
    """Why objects of a kind cannot be told from those of another; empty where they can."""
    other = known.get(declared.name, declared)
    if other.group == declared.group:
        return ""
    return (
        f"It makes objects of the kind {declared.name} ({declared.group}), and the operator cannot tell them from those"
        f" of {other.name} ({other.group or 'v1'}). Give the kind another name, or leave the strategy out of its image."
    )


class Catalogues:
    """Makes catalogues of what is known of the cluster; objects that did not change are read once.

    Args:
        world: what is known.
        installed: the plugins.
    """

    def __init__(self, world: World, installed: Installed) -> None:
        self._world = world
        self._installed = installed
        self._read: dict[str, tuple[tuple[Manifest, ...], tuple[api.Resource, ...], dict[str, str]]] = {}

    def catalogue(self, accounts: Iterable[Manifest] = ()) -> Catalogue:
        """What a service is resolved against.

        Secrets are not read: the vault is sealed.

        Args:
            accounts: the ServiceAccounts that its pods run as.
        """
        runtimes, cluster_runtimes, containers = (
            self._objects(kind) for kind in ("ServingRuntime", "ClusterServingRuntime", "ClusterStorageContainer")
        )
        return Catalogue(
            runtimes=tuple(each for each in runtimes[0] if isinstance(each, api.ServingRuntime)),
            cluster_runtimes=tuple(each for each in cluster_runtimes[0] if isinstance(each, api.ClusterServingRuntime)),
            missing={**runtimes[1], **cluster_runtimes[1]},
            storage=self._installed.storage,
            storage_containers=tuple(each for each in containers[0] if isinstance(each, api.ClusterStorageContainer)),
            autoscalers={name: each.spec for name, each in self._installed.strategies.items()},
            vault=dataclasses.replace(Vault.of(accounts), sealed=True),
        )

    def _objects(self, kind: str) -> tuple[tuple[api.Resource, ...], dict[str, str]]:
        """The objects of a kind, and why those that are left out cannot be read."""
        manifests = self._world.every(kind)
        known = self._read.get(kind)
        if known is not None and known[0] is manifests:
            return known[1], known[2]
        found, wrong = [], {}
        for each in manifests:
            try:
                found.append(api.parse(each, _SOURCE))
            except errors.InvalidManifest as error:
                wrong[each["metadata"]["name"]] = str(error)
        self._read[kind] = (manifests, tuple(found), wrong)
        return tuple(found), wrong
