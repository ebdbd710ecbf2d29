"""What the components of an InferenceService are made of: a model, a framework, or containers of one's own."""

from __future__ import annotations

import dataclasses
from typing import Final, TypeAlias

from fairlead.api.inferenceservice import ExplainerSpec, InferenceService, TransformerSpec
from fairlead.api.predictor import FRAMEWORKS, PredictorExtension, PredictorSpec
from fairlead.resolve.service import ComponentKind

__all__ = ["MAIN_CONTAINER", "ComponentSpec", "Declared", "blocks", "canaries", "components", "implementations"]

MAIN_CONTAINER: Final = "kserve-container"
"""The name of the container that answers requests."""

ComponentSpec: TypeAlias = PredictorSpec | TransformerSpec | ExplainerSpec


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A component where an InferenceService declares it.

    Attributes:
        kind: which one it is.
        path: where it stands, such as ``spec.canary[0].predictor``.
        spec: what it says.
        object_name: the name of the objects that are made for it.
    """

    kind: ComponentKind
    path: str
    spec: ComponentSpec
    object_name: str


def components(service: InferenceService) -> list[Declared]:
    """The predictor, the transformer and the explainer, as far as there are any."""
    spec, name = service.spec, service.metadata.name
    version = f"-{spec.predictor.name}" if spec.predictor.name else ""
    found = [_declared(ComponentKind.PREDICTOR, "spec.predictor", spec.predictor, f"{name}{version}")]
    if spec.transformer is not None:
        found.append(_declared(ComponentKind.TRANSFORMER, "spec.transformer", spec.transformer, name))
    if spec.explainer is not None:
        found.append(_declared(ComponentKind.EXPLAINER, "spec.explainer", spec.explainer, name))
    return found


def canaries(service: InferenceService) -> list[Declared]:
    """The predictors of ``spec.canary``."""
    return [
        _declared(
            ComponentKind.PREDICTOR,
            f"spec.canary[{index}].predictor",
            canary.predictor,
            f"{service.metadata.name}-{canary.predictor.name}",
        )
        for index, canary in enumerate(service.spec.canary or ())
    ]


def implementations(spec: ComponentSpec) -> tuple[str, ...]:
    """What makes a component, by the name of its field; a component needs exactly one.

    Containers beside the model of a predictor run next to its runtime and are no implementation of their own.
    """
    if isinstance(spec, PredictorSpec):
        named = tuple(name for name, _ in blocks(spec))
        return named or (("containers",) if spec.containers else ())
    art = ("art",) if isinstance(spec, ExplainerSpec) and spec.art is not None else ()
    return (*art, "containers") if spec.containers else art


def blocks(spec: PredictorSpec) -> list[tuple[str, PredictorExtension]]:
    """``model`` and the frameworks that a predictor has, by the name of their field."""
    return [(name, block) for name in ("model", *FRAMEWORKS) if (block := getattr(spec, name)) is not None]


def _declared(kind: ComponentKind, path: str, spec: ComponentSpec, prefix: str) -> Declared:
    return Declared(kind=kind, path=path, spec=spec, object_name=f"{prefix}-{kind}")
