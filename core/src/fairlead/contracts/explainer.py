"""The explainer contract: an `ExplainerSpec` describes it, an `Explainer` explains by asking the model again."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from fairlead.contracts.runtime import Artifact, LoadSettings, Setting
    from fairlead.contracts.tensors import InferRequest, InferResponse

__all__ = ["Explainer", "ExplainerSpec", "Predict"]

Predict: TypeAlias = "Callable[[InferRequest], InferResponse]"
"""Asks the model that is explained: in process, or over the network when the explainer is its own component."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExplainerSpec:
    """Everything that the core needs to know of an explainer without importing it.

    Attributes:
        name: the explainer's name, equal to the entry point's.
        explains: the kinds of model that it explains, for example ``tabular``, ``text``.
        factory: ``"module:Class"`` of its `Explainer`; imported when the first explanation is asked for.
        settings: its own settings.
    """

    name: str
    explains: tuple[str, ...]
    factory: str
    settings: tuple[Setting, ...] = ()


class Explainer(abc.ABC):
    """Explains the predictions of a model that it can only ask."""

    @abc.abstractmethod
    def load(self, artifact: Artifact | None, settings: LoadSettings) -> None:
        """Prepare, from the explainer's own artefact (reference data, a fitted explainer) where it has one."""

    @abc.abstractmethod
    def explain(self, request: InferRequest, predict: Predict) -> InferResponse:
        """Explain what the model predicts for this request.

        Args:
            request: what the client wants explained.
            predict: asks the model; every call is a request of its own.

        Returns:
            The explanation, as tensors or as a JSON payload.
        """
