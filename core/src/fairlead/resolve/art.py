"""The explainer of the Adversarial Robustness Toolbox, as the container that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fairlead.api.pod import ContainerFields
from fairlead.api.predictor import PredictorExtension
from fairlead.resolve import containers, images, storage
from fairlead.resolve.context import Context, Parts
from fairlead.resolve.implementations import MAIN_CONTAINER
from fairlead.resolve.service import MODEL_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.api.inferenceservice import ArtExplainer, ExplainerSpec

__all__ = ["arguments", "parts"]

_CONTAINER_FIELDS: Final = tuple(name for name in ContainerFields.model_fields if name != "name")


def parts(spec: ExplainerSpec, art: ArtExplainer, path: str, annotations: Mapping[str, str], context: Context) -> Parts:
    """What an explainer with ``art`` consists of, without the arguments that it is told.

    Args:
        spec: the explainer.
        art: what it says of the explainer of ART.
        path: the explainer's place in the InferenceService, for messages.
        annotations: those of the service with those of the explainer over them.
        context: the InferenceService, and what it is resolved with.

    Raises:
        Unresolvable: nothing is known to fetch what it names.
    """
    container: dict[str, Any] = {"name": MAIN_CONTAINER, **containers.said(art, _CONTAINER_FIELDS)}
    container["image"] = images.chosen(
        art.image or context.config.art_image, runtime_version=art.runtime_version, server_type=None, gpu=False
    )
    fetched = PredictorExtension(storage_uri=art.storage_uri, storage=art.storage)
    sources, told = storage.of_model(fetched, f"{path}.art", annotations, context)
    return Parts(
        pod={**containers.own_pod(spec), "containers": [container]},
        sources=(*sources, *storage.of_component(spec, path, context.catalogue)),
        warnings=told,
    )


def arguments(art: ArtExplainer) -> list[tuple[str, str]]:
    """What the explainer is told beside what every explainer is, unless its user says it."""
    return [
        *([("--storage_uri", MODEL_PATH)] if art.storage_uri or art.storage else []),
        *([("--adversary_type", art.type)] if art.type else []),
        *((f"--{name}", value) for name, value in sorted((art.config or {}).items())),
    ]
