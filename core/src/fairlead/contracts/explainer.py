"""The explainer contract: an `ExplainerSpec` describes it, an `Explainer` explains by asking the model again."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from fairlead.contracts import deadline

if TYPE_CHECKING:
    from fairlead.contracts.runtime import AnyModel, Artifact, LoadSettings, Setting
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
        factory: ``"module:Class"`` of its `Explainer`; imported when a model with this explainer loads.
        settings: its own settings.
        requirements: what it needs as pip writes it, where that cannot be dependencies of its wheel because the models
            that it explains need something else (``numpy<2``): it runs in an environment that is made with them.
        asks: ``"module:function"`` of what tells which further packages an explainer with these files needs, as
            requirement specifiers: called with an `Artifact`, before any package of `requirements` is there. The plugin
            chooses them by the kind of the files, and takes none from what is written in them. It is asked of files
            that are on this machine. None where no files need more.
        in_process: whether it can run in the process of the model that it explains.
        remote: whether it can run as a component of its own, which asks the model over the network.
    """

    name: str
    explains: tuple[str, ...]
    factory: str
    settings: tuple[Setting, ...] = ()
    requirements: tuple[str, ...] = ()
    asks: str | None = None
    in_process: bool = True
    remote: bool = True


class Explainer(abc.ABC):
    """Explains the predictions of a model; made without arguments, once for each model."""

    @abc.abstractmethod
    def load(self, artifact: Artifact | None, settings: LoadSettings, model: AnyModel | None) -> None:
        """Prepare; imports the library here and not before.

        Args:
            artifact: the explainer's own files; None where none are given.
            settings: the name of the model, the policy for files that run code, and the explainer's settings.
            model: the loaded model in the same process: `Model.native` is the framework's own object, and its metadata
                says what it takes. None for an explainer that is a component of its own, and can only ask.

        Raises:
            ModelLoadError: it cannot explain this model, or lacks the data that it needs: what it explains, and what
                to do about it.
        """

    @abc.abstractmethod
    def explain(self, request: InferRequest, predict: Predict) -> InferResponse:
        """Explain what the model predicts for this request; calls never overlap.

        Args:
            request: what the client wants explained.
            predict: asks the model, for as many rows at a time as there are. The calls that one explanation may make
                are limited, and so is its time: `predict` raises what ends the explanation, which should not be caught.

        Returns:
            The explanation, as tensors or as a JSON payload.

        Raises:
            InvalidInput: the request is wrong; the client is told why.
        """

    def unload(self) -> None:  # noqa: B027  # a default that does nothing is what most explainers want
        """Release what it holds outside Python's memory; called after the last answer."""

    @staticmethod
    def check() -> None:
        """Go on only if somebody still waits; for an explanation that computes for long between calls of ``predict``.

        Raises:
            DeadlineExceeded: nobody does.
        """
        deadline.check()
