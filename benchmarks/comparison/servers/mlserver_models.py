"""The models for MLServer that are functions of one array; the classifier is served by its own scikit-learn runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from comparison import models


class _Served(MLModel):  # type: ignore[misc]  # mlserver is not installed where this is checked
    function: ClassVar[Callable[..., Any]]

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The answer to V2 and gRPC."""
        answer = type(self).function(NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("output-0", answer)])


class Mean(_Served):
    """One number out."""

    function = staticmethod(models.mean)


class Echo(_Served):
    """The tensor back."""

    function = staticmethod(models.echo)


class Cost(_Served):
    """A known amount of work."""

    function = staticmethod(models.cost)
