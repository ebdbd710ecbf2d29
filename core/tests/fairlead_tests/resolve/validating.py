"""Objects as they are written, and what is found wrong with InferenceServices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.api import InferenceService, ServingRuntime, TrainedModel
from fairlead.contracts.autoscaler import AutoscalerMode, AutoscalerSpec
from fairlead.resolve.catalogue import Catalogue
from fairlead.resolve.config import Config
from fairlead.resolve.defaults import default
from fairlead.resolve.validation import validate

if TYPE_CHECKING:
    from fairlead.resolve.runtime_rules import AnyRuntime

__all__ = [
    "ALPHA",
    "CLASS",
    "CONFIG",
    "KNATIVE_CLASS",
    "MAIN",
    "MODE",
    "MODEL",
    "STANDARD",
    "WITH_KPA",
    "formats",
    "problems",
    "runtime",
    "service",
    "trained",
    "warnings",
]

ALPHA: Final = "serving.kserve.io/v1alpha1"
MAIN: Final = {"name": "kserve-container", "image": "x"}
CLASS: Final = "serving.kserve.io/autoscalerClass"
KNATIVE_CLASS: Final = "autoscaling.knative.dev/class"
MODE: Final = "serving.kserve.io/deploymentMode"
STANDARD: Final = {MODE: "Standard"}
MODEL: Final = {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://flowers/iris"}
CONFIG: Final = Config()
WITH_KPA: Final = Catalogue(
    autoscalers={
        name: AutoscalerSpec(name=name, factory=f"{name}:Strategy", modes=frozenset({AutoscalerMode.DECIDES}))
        for name in ("kpa", "tidal")
    }
)


def service(
    predictor: dict[str, Any] | None = None, *, annotations: Mapping[str, Any] | None = None, **others: Any
) -> InferenceService:
    """An InferenceService as it is written; `others` are fields of its spec, and `metadata` fields of its metadata."""
    metadata = {"name": "iris", **others.pop("metadata", {})}
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    spec = {"predictor": {"model": MODEL} if predictor is None else predictor, **others}
    return InferenceService.parse(
        {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata, "spec": spec}
    )


def problems(
    declared: InferenceService,
    catalogue: Catalogue | None = None,
    *,
    previous: InferenceService | None = None,
    defaulted: bool = True,
) -> list[str]:
    """What is wrong with a service, without its name."""
    checked = default(declared, CONFIG) if defaulted else declared
    try:
        validate(checked, CONFIG, catalogue or Catalogue(), previous)
    except errors.InvalidManifest as error:
        return [_stripped(text, declared) for text in error.problems]
    return []


def warnings(declared: InferenceService, catalogue: Catalogue | None = None) -> list[str]:
    """What is to be known of a service with which nothing is wrong, without its name."""
    found = validate(default(declared, CONFIG), CONFIG, catalogue or Catalogue())
    return [_stripped(text, declared) for text in found]


def _stripped(text: str, declared: InferenceService) -> str:
    prefix = f"InferenceService {declared.metadata.namespace or 'default'}/{declared.metadata.name}: "
    assert text.startswith(prefix)
    return text.removeprefix(prefix)


# -- other kinds ----------------------------------------------------------------------------------------------


def runtime(
    name: str = "one", kind: type[AnyRuntime] = ServingRuntime, namespace: str | None = None, **spec: Any
) -> AnyRuntime:
    """A runtime as it is written; `spec` are fields of its spec."""
    metadata = {"name": name, **({} if namespace is None else {"namespace": namespace})}
    whole = {"containers": [MAIN], **spec}
    return kind.parse({"apiVersion": ALPHA, "kind": kind.__name__, "metadata": metadata, "spec": whole})


def formats(*entries: tuple[str, str | None, int | None], **more: Any) -> list[dict[str, Any]]:
    """Formats with their versions and priorities."""
    return [
        {"name": name, "autoSelect": True, **more}
        | ({} if version is None else {"version": version})
        | ({} if priority is None else {"priority": priority})
        for name, version, priority in entries
    ]


def trained(name: str = "iris_2", uri: str = "gs://x/y", memory: Any = "256Mi") -> TrainedModel:
    """A trained model as it is written."""
    artefact = {"storageUri": uri, "framework": "sklearn", "memory": memory}
    spec = {"inferenceService": "many", "model": artefact}
    return TrainedModel.parse({"apiVersion": ALPHA, "kind": "TrainedModel", "metadata": {"name": name}, "spec": spec})
