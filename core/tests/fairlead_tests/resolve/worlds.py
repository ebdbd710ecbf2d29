"""Runtimes, strategies and services for tests of how one comes to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from fairlead import AutoscalerMode, AutoscalerSpec, ModelFormat, RuntimeSpec, StorageSpec
from fairlead.api import ClusterServingRuntime, InferenceService, ServingRuntime
from fairlead.resolve import resolving
from fairlead.resolve.catalogue import Catalogue
from fairlead.resolve.config import Config
from fairlead.resolve.defaults import default

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedService

__all__ = [
    "AUTOSCALERS",
    "SKLEARN",
    "catalogue",
    "cluster_runtime",
    "manifest",
    "resolved",
    "runtime",
    "service",
]

SKLEARN: Final = RuntimeSpec(
    name="sklearn",
    formats=(ModelFormat("sklearn", version="1"),),
    factory="nowhere:Runtime",
    artifacts=("*.joblib",),
    aliases=("kserve-sklearnserver", "kserve-mlserver"),
)
AUTOSCALERS: Final = {
    spec.name: spec
    for spec in (
        AutoscalerSpec(
            name="kpa",
            factory="nowhere:Kpa",
            modes=frozenset({AutoscalerMode.DECIDES}),
            metrics=("concurrency", "rps"),
        ),
        AutoscalerSpec(
            name="hpa",
            factory="nowhere:Hpa",
            modes=frozenset({AutoscalerMode.DECIDES, AutoscalerMode.DELEGATES}),
            metrics=("concurrency", "rps", "cpu", "memory"),
        ),
        AutoscalerSpec(
            name="keda", factory="nowhere:Keda", modes=frozenset({AutoscalerMode.DELEGATES}), metrics=("cpu", "memory")
        ),
    )
}
STORAGE: Final = {
    "file": StorageSpec(name="file", prefixes=("file://", "/"), factory="nowhere:File", local=True),
    "git": StorageSpec(
        name="git", prefixes=("git+ssh://",), patterns=(r"https://[^/]+/.*\.git",), factory="nowhere:Git"
    ),
}


def catalogue(**more: Any) -> Catalogue:
    """A machine with the runtime plugin sklearn, three strategies and two storage providers."""
    values: dict[str, Any] = {
        "plugins": {"sklearn": SKLEARN},
        "versions": {"sklearn": "1.2.3"},
        "storage": STORAGE,
        "autoscalers": AUTOSCALERS,
    }
    return Catalogue(**{**values, **more})


def service(text: str, **metadata: Any) -> InferenceService:
    """The InferenceService iris with this spec, in YAML, after defaulting."""
    declared = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "iris", **metadata},
        "spec": yaml.safe_load(text),
    }
    return default(InferenceService.parse(declared), Config())


def resolved(
    text: str, known: Catalogue | None = None, config: Config | None = None, **metadata: Any
) -> ResolvedService:
    """What the InferenceService iris with this spec comes to."""
    return resolving.resolve(service(text, **metadata), known or catalogue(), config or Config())


def manifest(kind: str, name: str, formats: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A runtime; formats may be chosen automatically unless they say something else."""
    metadata = {key: more.pop(key) for key in ("namespace", "creationTimestamp", "annotations") if key in more}
    spec: dict[str, Any] = {
        "supportedModelFormats": [{"autoSelect": True, **each} for each in formats],
        "protocolVersions": ["v1", "v2"],
        "containers": [{"name": "kserve-container", "image": f"example/{name}:1"}],
        "annotations": more.pop("pod_annotations", None),
        **more,
    }
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def cluster_runtime(name: str, *formats: dict[str, Any], **more: Any) -> ClusterServingRuntime:
    """A ClusterServingRuntime; see `manifest`."""
    return ClusterServingRuntime.parse(manifest("ClusterServingRuntime", name, list(formats), **more))


def runtime(name: str, *formats: dict[str, Any], **more: Any) -> ServingRuntime:
    """A ServingRuntime of the namespace default; see `manifest`."""
    return ServingRuntime.parse(manifest("ServingRuntime", name, list(formats), **{"namespace": "default", **more}))
