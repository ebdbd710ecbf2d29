"""The class that authors subclass: a few methods become a served model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.contracts.tensors import TensorSpec
    from fairlead.predictor.client import Predictor

__all__ = ["CustomModel"]


class CustomModel:
    """A model written by hand; subclass it, write `predict`, and serve the file.

    ::

        import numpy as np
        from fairlead import CustomModel


        class Doubler(CustomModel):
            def predict(self, x: np.ndarray) -> np.ndarray:
                return x * 2

    A request runs through `preprocess`, `predict` and `postprocess`, each given what the one before returned. The
    annotation of the first parameter of the first of them that the class defines decides what that one is given.
    Every hook may be a plain method or ``async def``. After the value a hook may take parameters named ``headers``
    (the transport's headers, names in lower case), ``parameters`` (the request's parameters) and ``request`` (the
    `fairlead.InferRequest`).

    Served with ``--predictor_host``, the class may leave `predict` out: then the predictor answers in its place, and
    `postprocess` is given that answer as its own first parameter is annotated.

    The base declares the hooks with ``*args: Any``, so that a type checker accepts whatever signature a subclass
    gives them.

    Attributes:
        inputs: the tensors that the model takes. When given, every request is checked against them and cast to
            their datatypes, the metadata shows them, and a sample of zeros is made from them.
        outputs: the tensors that the model answers with. When given, every answer is checked against them.
        batching: whether rows are independent of each other, so that requests may be joined along the first axis.
        any_thread: whether the hooks may be called in any thread, one call at a time, and never wait for anything but
            their own computing; short calls then cost less, see `Capability.ANY_THREAD`.
        name: the name by which the model is served.
        artifact: the folder that holds the model's file, and whatever lies beside it: weights, vocabularies.
        options: the model's own options.
    """

    inputs: Sequence[TensorSpec] = ()
    outputs: Sequence[TensorSpec] = ()
    batching: bool = False
    any_thread: bool = False

    name: str = ""
    artifact: Path = Path()
    options: Mapping[str, Any] = MappingProxyType({})

    @property
    def predictor(self) -> Predictor:
        """The predictor that ``--predictor_host`` names, set before `load`; ask it in an ``async def`` hook.

        Raises:
            NotSupported: the model is served without one.
        """
        found: Predictor | None = self.__dict__.get("predictor")
        if found is None:
            raise errors.NotSupported(
                f"{type(self).__name__} asks a predictor, and there is none.", remedy="Serve it with --predictor_host."
            )
        return found

    @predictor.setter
    def predictor(self, predictor: Predictor) -> None:
        self.__dict__["predictor"] = predictor

    def load(self) -> Any:
        """Get ready: read weights, open connections; called once, after `name`, `artifact` and `options` are set.

        What it raises becomes the reason for which the model did not load; what it returns is not looked at.
        """

    def preprocess(self, *args: Any, **kwargs: Any) -> Any:
        """Turn what the client sent into what `predict` takes; not called unless a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no preprocess")

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Answer; every model defines this one, except those that leave it to a predictor."""
        raise NotImplementedError(f"{type(self).__name__} defines no predict")

    def postprocess(self, *args: Any, **kwargs: Any) -> Any:
        """Turn what `predict` or `explain` returned into the answer; not called unless a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no postprocess")

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        """Explain a prediction, in the place of `predict`; the model explains when a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no explain")

    def sample(self) -> Any:
        """A value as the first hook takes it, or an `InferRequest`, that the model must answer before it is Ready.

        Without this method the sample is made of zeros from `inputs`, where those are given.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no sample")

    def unload(self) -> Any:
        """Release what the model holds; called once, after the last answer."""
