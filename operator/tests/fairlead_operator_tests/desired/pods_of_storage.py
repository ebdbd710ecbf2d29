"""Small pods with what their artefacts need, in a cluster whose Secrets are not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from fairlead.api.storagecontainer import ClusterStorageContainer
from fairlead.resolve.secrets import Vault
from fairlead_operator.configuration.model import OperatorConfig, StorageInitializer
from fairlead_operator.desired import storage
from fairlead_operator_tests.desired import services

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedComponent
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["FORMAT", "POD", "account", "configured", "container", "described", "predictor", "wired"]

POD: Final = {"containers": [{"name": "kserve-container", "image": "example/server:1"}]}
"""A pod before anything is wired in."""

FORMAT: Final = "modelFormat: {name: sklearn}"


def account(name: str, *secrets: str, **more: Any) -> dict[str, Any]:
    """A ServiceAccount of the namespace models with these Secrets."""
    metadata = {"name": name, "namespace": "models", "annotations": more.pop("annotations", {})}
    pulls = [{"name": each} for each in more.pop("pulls", ())]
    named = [{"name": each} for each in secrets]
    return {"kind": "ServiceAccount", "metadata": metadata, "secrets": named, "imagePullSecrets": pulls}


def container(name: str, *prefixes: str, **spec: Any) -> ClusterStorageContainer:
    """A ClusterStorageContainer for addresses that begin so."""
    declared = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterStorageContainer",
        "metadata": {"name": name},
        "spec": {
            "container": {"name": "storage-initializer", "image": "example/fetch:1"},
            "supportedUriFormats": [{"prefix": each} for each in prefixes],
            **spec,
        },
    }
    return ClusterStorageContainer.parse(declared)


def configured(**storage: Any) -> OperatorConfig:
    """A configuration with these settings of the init container."""
    return OperatorConfig(storage=StorageInitializer(**storage))


def described(
    spec: str, *accounts: dict[str, Any], annotations: dict[str, str] | None = None, **around: Any
) -> tuple[ResolvedComponent, Surroundings]:
    """The predictor of a service with this spec, and what it is rendered in."""
    containers = around.get("storage_containers", ())
    text = services.isvc(spec, annotations={"serving.kserve.io/deploymentMode": "Standard", **(annotations or {})})
    found = services.resolved(
        text, around.get("config"), vault=Vault.of(accounts, sealed=True), storage_containers=containers
    )
    return found.predictor, services.surroundings(found, **around)


def predictor(model: str, pod: str = "") -> str:
    """The spec of a service whose model says this, in a pod that says that."""
    return f"{{predictor: {{{pod} model: {{{FORMAT}, {model}}}}}}}"


def wired(spec: str, *accounts: dict[str, Any], pod: str | None = None, **more: Any) -> Manifest:
    """The PodSpec with what a predictor with this spec needs."""
    component, surroundings = described(spec, *accounts, **more)
    return storage.wired(POD if pod is None else yaml.safe_load(pod), component, surroundings)
