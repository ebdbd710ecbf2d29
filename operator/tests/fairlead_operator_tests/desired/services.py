"""From the YAML of an InferenceService to what it comes to, and to its objects, in a cluster with a few runtimes."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Final

import yaml

from fairlead import ModelFormat, RuntimeSpec
from fairlead.api.inferenceservice import InferenceService
from fairlead.api.servingruntime import ClusterServingRuntime
from fairlead.plugins import Kind, Plugins
from fairlead.resolve import defaults, resolving, validation
from fairlead.resolve.catalogue import Catalogue
from fairlead_operator.configuration.model import OperatorConfig
from fairlead_operator.desired import rendering
from fairlead_operator.desired.model import Desired, Manifest, Owner, Strategy, Surroundings

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedService

__all__ = [
    "CLUSTER_RUNTIMES",
    "MODEL",
    "PLUGIN",
    "UID",
    "catalogue",
    "found",
    "isvc",
    "kinds",
    "rendered",
    "resolved",
    "strategies",
    "surroundings",
]

UID: Final = "7f1c0e0a-0000-4000-8000-000000000001"
"""The uid of every InferenceService here."""

MODEL: Final = "{predictor: {model: {modelFormat: {name: sklearn}, storageUri: 's3://models/iris'}}}"
"""The spec of a service with a model and nothing else."""

PLUGIN: Final = RuntimeSpec(
    name="sklearn",
    formats=(ModelFormat("sklearn", version="1"),),
    factory="nowhere:Runtime",
    artifacts=("*.joblib",),
    aliases=("kserve-sklearnserver",),
)
"""A runtime plugin: its ClusterServingRuntime ``fairlead-sklearn`` serves sklearn on the ports 8080 and 8081."""

_DECLARED: Final = """
- name: kserve-lgbserver
  formats: [{name: lightgbm, version: "4", autoSelect: true, priority: 1}]
  containers: [{name: kserve-container, image: "kserve/lgbserver:v1", args: ["--model_name={{.Name}}"]}]
- name: kserve-tritonserver
  formats: [{name: triton, version: "2", autoSelect: true, priority: 1}]
  protocols: [v2, grpc-v2]
  annotations: {prometheus.kserve.io/port: "8002", prometheus.kserve.io/path: /metrics}
  containers:
    - name: kserve-container
      image: example/tritonserver:v1
      command: [tritonserver]
      args: ["--model-store=/mnt/models", "--http-port=8080", "--grpc-port=9000"]
      ports: [{name: http1, containerPort: 8080, protocol: TCP}, {name: h2c, containerPort: 9000, protocol: TCP}]
- name: kserve-tensorflow-serving
  formats: [{name: tensorflow, version: "2", autoSelect: true, priority: 2}]
  protocols: [v1, grpc-v1]
  containers:
    - name: kserve-container
      image: example/tfserving:v1
      ports: [{name: h2c, containerPort: 9000, protocol: TCP}, {name: http1, containerPort: 8080, protocol: TCP}]
- name: kserve-huggingfaceserver
  formats: [{name: huggingface, version: "1", autoSelect: true, priority: 1}]
  protocols: [v2, v1]
  containers: [{name: kserve-container, image: "kserve/huggingfaceserver:v1", args: ["--model_name={{.Name}}"]}]
- name: kserve-huggingfaceserver-multinode
  formats: [{name: huggingface, version: "1", autoSelect: true, priority: 2}]
  protocols: [v2, v1]
  containers:
    - name: kserve-container
      image: kserve/huggingfaceserver:v1-gpu
      command: [bash, -c, "ray start --head && serve"]
      args: ["--model_name={{.Name}}"]
      resources: {requests: {cpu: "2"}, limits: {cpu: "2"}}
  workerSpec:
    pipelineParallelSize: 2
    tensorParallelSize: 1
    containers:
      - name: worker-container
        image: kserve/huggingfaceserver:v1-gpu
        command: [bash, -c, "ray start --address=$(HEAD_SVC).default.svc.cluster.local:6379 --block"]
        resources: {requests: {cpu: "2"}, limits: {cpu: "2"}}
"""


def _runtime(declared: dict[str, Any]) -> ClusterServingRuntime:
    more = {"annotations": declared["annotations"]} if "annotations" in declared else {}
    if "workerSpec" in declared:
        more["workerSpec"] = declared["workerSpec"]
    return ClusterServingRuntime.parse(
        {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "ClusterServingRuntime",
            "metadata": {"name": declared["name"]},
            "spec": {
                "supportedModelFormats": declared["formats"],
                "protocolVersions": declared.get("protocols", ["v1", "v2"]),
                "containers": declared["containers"],
                **more,
            },
        }
    )


CLUSTER_RUNTIMES: Final = tuple(_runtime(each) for each in yaml.safe_load(_DECLARED))
"""ClusterServingRuntimes that the cluster has beside the plugin's: without ports, with gRPC, over several nodes."""


@functools.cache
def _plugins() -> Plugins:
    return Plugins.discover()


@functools.cache
def strategies() -> dict[str, Strategy]:
    """The autoscaler plugins that are installed, by name."""
    return {
        name: Strategy(spec, _plugins().factory(Kind.AUTOSCALER, spec)())
        for name, spec in _plugins().autoscalers().items()
    }


def catalogue(**more: Any) -> Catalogue:
    """A cluster with the runtimes of this module, and the storage providers and strategies that are installed."""
    values: dict[str, Any] = {
        "cluster_runtimes": CLUSTER_RUNTIMES,
        "plugins": {PLUGIN.name: PLUGIN},
        "versions": {PLUGIN.name: "1.2.3"},
        "storage": _plugins().storage_providers(),
        "autoscalers": _plugins().autoscalers(),
    }
    return Catalogue(**{**values, **more})


def isvc(spec: str = MODEL, **metadata: Any) -> str:
    """The YAML of the InferenceService iris in the namespace models, with this spec and this metadata."""
    declared = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "iris", "namespace": "models", **metadata},
        "spec": yaml.safe_load(spec),
    }
    return yaml.safe_dump(declared, sort_keys=False)


def resolved(text: str, config: OperatorConfig | None = None, **known: Any) -> ResolvedService:
    """What an InferenceService comes to, after defaults and validation.

    Args:
        text: its YAML.
        config: the configuration of the operator.
        known: what the catalogue has in other ways; see `catalogue`.
    """
    settings, there = (config or OperatorConfig()).resolve, catalogue(**known)
    service = defaults.default(InferenceService.parse(yaml.safe_load(text)), settings)
    validation.validate(service, settings, there)
    return resolving.resolve(service, there, settings)


def surroundings(service: ResolvedService, **more: Any) -> Surroundings:
    """What a service is rendered in: as its API server knows it, with all strategies; every component answers."""
    components = [*service.components.values(), *(each.component for each in service.canaries)]
    values: dict[str, Any] = {
        "owner": Owner(name=service.name, namespace=service.namespace, uid=UID, generation=1),
        "strategies": strategies(),
        "ready": frozenset(each.name for each in components),
    }
    return Surroundings(**{**values, **more})


def rendered(text: str, *, known: dict[str, Any] | None = None, **more: Any) -> Desired:
    """The objects of an InferenceService.

    Args:
        text: its YAML.
        known: what the catalogue has in other ways; see `catalogue`.
        more: fields of `Surroundings` that are other than those of `surroundings`; ``generation`` is the owner's.
    """
    config = more.get("config") or OperatorConfig()
    service = resolved(text, config, **(known or {}))
    generation = more.pop("generation", None)
    around = surroundings(service, **more)
    if generation is not None:
        around = dataclasses.replace(around, owner=dataclasses.replace(around.owner, generation=generation))
    return rendering.render(service, around)


def kinds(desired: Desired) -> list[tuple[str, str]]:
    """Kind and name of each object, in their order."""
    return [(each["kind"], each["metadata"]["name"]) for each in desired.objects]


def found(desired: Desired, kind: str, name: str | None = None) -> Manifest:
    """The object of a kind, and of a name where there are several."""
    matching = [each for each in desired.objects if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(matching) == 1, f"{len(matching)} of {kind} {name or ''} among {kinds(desired)}"
    return matching[0]
