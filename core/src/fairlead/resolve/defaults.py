"""What an InferenceService says where it says nothing: what KServe's admission fills in, filled in the same order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fairlead.api import base
from fairlead.api.predictor import FRAMEWORKS, ModelFormat, ModelSpec, PredictorSpec
from fairlead.api.servingruntime import ClusterServingRuntime
from fairlead.api.storagecontainer import ClusterStorageContainer
from fairlead.resolve import implementations, quantities

if TYPE_CHECKING:
    from fairlead.api.inferenceservice import ExplainerSpec, InferenceService, TransformerSpec
    from fairlead.resolve.config import Config

__all__ = [
    "DEFAULT_NAMESPACE",
    "FORMAT_ANNOTATION",
    "MODE_ANNOTATION",
    "current_mode_name",
    "default",
    "is_of_the_cluster",
    "placed",
]

DEFAULT_NAMESPACE: Final = "default"
"""The namespace of objects that name none."""

MODE_ANNOTATION: Final = "serving.kserve.io/deploymentMode"
"""The annotation that names the deployment mode of an InferenceService."""

FORMAT_ANNOTATION: Final = "modelFormat"
"""The annotation that holds the format of the model, for placeholders in runtimes."""

_CURRENT_MODES: Final = {"RawDeployment": "Standard", "Serverless": "Knative"}
_MODEL_MESH: Final = "ModelMesh"
_WRITTEN_MODES: Final = ("Standard", _MODEL_MESH)
_SHORTHANDS_OF_V2: Final = ("triton", "onnx", "huggingface")
_FORMATS_OF_V2: Final = ("triton", "vLLM")

_R = TypeVar("_R", bound=base.Resource)


def default(service: InferenceService, config: Config) -> InferenceService:
    """The same InferenceService with every default written into it; defaulting it again changes nothing.

    What is wrong with it stays as it is, for `fairlead.resolve.validation`. `InferenceService.manifest` of the result
    shows what was set and what was filled in.

    Two defaults are better than KServe's. Frameworks by their short name become models in ``spec.canary`` too, where
    KServe leaves them and the stable model then wins. And a default request never exceeds the limit that a container
    sets, nor does a default limit fall below its request, which Kubernetes would refuse.
    """
    service = placed(service)
    annotations = dict(service.metadata.annotations or {})
    _set_mode(annotations, config)
    converts = annotations.get(MODE_ANNOTATION) != _MODEL_MESH
    update: dict[str, Any] = {"predictor": _predictor(service.spec.predictor, config, converts=converts)}
    if service.spec.canary:
        update["canary"] = [
            canary.model_copy(update={"predictor": _predictor(canary.predictor, config, converts=True)})
            for canary in service.spec.canary
        ]
    if service.spec.transformer is not None:
        update["transformer"] = _transformer(service.spec.transformer, config)
    if service.spec.explainer is not None:
        update["explainer"] = _explainer(service.spec.explainer, config)
    model = update["predictor"].model
    if model is not None and model.model_format is not None:
        annotations.setdefault(FORMAT_ANNOTATION, model.model_format.name)
    metadata = service.metadata
    if annotations != (metadata.annotations or {}):
        metadata = metadata.model_copy(update={"annotations": annotations})
    return service.model_copy(update={"metadata": metadata, "spec": service.spec.model_copy(update=update)})


def placed(resource: _R, namespace: str = DEFAULT_NAMESPACE) -> _R:
    """The same object in a namespace, where it is in none; kinds of the cluster stay in none."""
    if resource.metadata.namespace or is_of_the_cluster(resource):
        return resource
    metadata = resource.metadata.model_copy(update={"namespace": namespace})
    return resource.model_copy(update={"metadata": metadata})


def is_of_the_cluster(resource: base.Resource) -> bool:
    """Whether an object is of a kind that is in no namespace."""
    return isinstance(resource, ClusterServingRuntime | ClusterStorageContainer)


def current_mode_name(mode: str) -> str:
    """The name that a deployment mode has today: ``RawDeployment`` is Standard, and ``Serverless`` is Knative."""
    return _CURRENT_MODES.get(mode, mode)


def _set_mode(annotations: dict[str, str], config: Config) -> None:
    """Name the mode as it is called today, and write the platform's own where it has to be written.

    Knative is never written: rules of scaling ask for the annotation, and it would turn them on.
    """
    if MODE_ANNOTATION in annotations:
        annotations[MODE_ANNOTATION] = current_mode_name(annotations[MODE_ANNOTATION])
    elif current_mode_name(config.default_mode) in _WRITTEN_MODES:
        annotations[MODE_ANNOTATION] = current_mode_name(config.default_mode)


# -- components -----------------------------------------------------------------------------------------


def _predictor(spec: PredictorSpec, config: Config, *, converts: bool) -> PredictorSpec:
    made_of = implementations.implementations(spec)
    if len(made_of) != 1:
        return spec
    if made_of == ("containers",):
        return spec.model_copy(update={"containers": _containers(spec.containers or [], config, renames=False)})
    if converts and made_of[0] in FRAMEWORKS:
        spec = _converted(spec, made_of[0])
    model = spec.model
    format_name = model.model_format.name if model is not None and model.model_format is not None else None
    if model is None or model.protocol_version is not None or format_name not in _FORMATS_OF_V2:
        return spec
    return spec.model_copy(update={"model": model.model_copy(update={"protocol_version": "v2"})})


def _converted(spec: PredictorSpec, framework: str) -> PredictorSpec:
    """The predictor with its framework as ``model``; the field of the framework is as if it had never been set."""
    block = getattr(spec, framework)
    fields = {name: getattr(block, name) for name in block.model_fields_set}
    if framework in _SHORTHANDS_OF_V2 and block.protocol_version is None:
        fields["protocol_version"] = "v2"
    model = ModelSpec(model_format=ModelFormat(name=framework), **fields)
    others = {name: getattr(spec, name) for name in spec.model_fields_set if name != framework}
    return PredictorSpec(**{**others, "model": model})


def _transformer(spec: TransformerSpec, config: Config) -> TransformerSpec:
    if not spec.containers:
        return spec
    return spec.model_copy(update={"containers": _containers(spec.containers, config, renames=True)})


def _explainer(spec: ExplainerSpec, config: Config) -> ExplainerSpec:
    match implementations.implementations(spec):
        case ("containers",):
            return spec.model_copy(update={"containers": _containers(spec.containers or [], config, renames=True)})
        case ("art",):
            assert spec.art is not None
            update: dict[str, Any] = {"name": implementations.MAIN_CONTAINER}
            resources = _resources(spec.art.resources, config)
            if resources is not None:
                update["resources"] = resources
            return spec.model_copy(update={"art": spec.art.model_copy(update=update)})
        case _:
            return spec


# -- containers -----------------------------------------------------------------------------------------


def _containers(containers: list[dict[str, Any]], config: Config, *, renames: bool) -> list[dict[str, Any]]:
    """The containers, the first of them with its name and its resources.

    Args:
        containers: at least one.
        config: the settings of the platform.
        renames: whether the first gets its name although it has another and is not the only one.
    """
    first, *others = containers
    first = dict(first)
    if renames or not others or not first.get("name"):
        first["name"] = implementations.MAIN_CONTAINER
    resources = _resources(first.get("resources"), config)
    if resources is not None:
        first["resources"] = resources
    return [first, *others]


def _resources(own: Any, config: Config) -> Any:
    """The requests and limits of a container with those of the platform where it has none of a resource."""
    own = {} if own is None else own
    most = config.resources if config.limits is None else config.limits
    if not (config.resources or most) or not isinstance(own, dict):
        return own or None
    requests, limits = own.get("requests") or {}, own.get("limits") or {}
    if not isinstance(requests, dict) or not isinstance(limits, dict):
        return own
    return {
        **own,
        "requests": _filled(requests, limits, config.resources, most=True),
        "limits": _filled(limits, requests, most, most=False),
    }


def _filled(
    own: Mapping[str, Any], other: Mapping[str, Any], defaults: Mapping[str, str], *, most: bool
) -> dict[str, Any]:
    """Requests or limits with the defaults that are missing; what ``other`` says of a resource is the most or least."""
    found = dict(own)
    for name, value in defaults.items():
        bound, wanted = quantities.amount(other.get(name)), quantities.amount(value)
        beyond = bound is not None and wanted is not None and (wanted > bound if most else wanted < bound)
        found.setdefault(name, other[name] if beyond else value)
    return found
