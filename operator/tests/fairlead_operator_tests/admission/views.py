"""What objects are judged against in tests, and objects to be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from fairlead.resolve.config import Config
from fairlead_operator_tests.desired import services

if TYPE_CHECKING:
    from fairlead.resolve.catalogue import Catalogue

__all__ = ["AView", "graph", "isvc", "runtime", "storage_container", "trained_model"]


class AView:
    """A cluster with the runtimes of `services`.

    Args:
        mode: the deployment mode of services that name none.
        known: what the catalogue has in other ways.
    """

    def __init__(self, mode: str = "Standard", **known: Any) -> None:
        self._config = Config(default_mode=mode)
        self._catalogue = services.catalogue(**known)

    def config(self, namespace: str, annotations: Mapping[str, str]) -> Config:
        return self._config

    def catalogue(self) -> Catalogue:
        return self._catalogue


def isvc(spec: str = services.MODEL, **metadata: Any) -> dict[str, Any]:
    """An InferenceService as an API server sends it."""
    found: dict[str, Any] = yaml.safe_load(services.isvc(spec, **metadata))
    return found


def _alpha(kind: str, name: str, spec: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **more.pop("metadata", {})}
    head = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": kind, "metadata": metadata}
    return {**head, "spec": yaml.safe_load(spec), **more}


def runtime(spec: str, name: str = "mine", kind: str = "ClusterServingRuntime", **more: Any) -> dict[str, Any]:
    """A runtime with a container, and with these fields beside it."""
    return _alpha(kind, name, f"{{containers: [{{name: kserve-container, image: x}}], {spec}}}", **more)


def graph(spec: str) -> dict[str, Any]:
    """An InferenceGraph."""
    return _alpha("InferenceGraph", "graph", spec, metadata={"namespace": "models"})


def trained_model(memory: str = "1Gi", uri: str = "s3://models/a") -> dict[str, Any]:
    """A TrainedModel."""
    model = f"{{framework: sklearn, memory: {memory}, storageUri: '{uri}'}}"
    return _alpha("TrainedModel", "a", f"{{inferenceService: iris, model: {model}}}", metadata={"namespace": "models"})


def storage_container(regex: str) -> dict[str, Any]:
    """A ClusterStorageContainer."""
    spec = f"{{container: {{name: storage-initializer, image: x}}, supportedUriFormats: [{{regex: '{regex}'}}]}}"
    return _alpha("ClusterStorageContainer", "own", spec)
