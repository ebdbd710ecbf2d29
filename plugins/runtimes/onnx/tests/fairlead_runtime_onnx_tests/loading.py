"""Loading a model as the server does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fairlead import Artifact, InferRequest, LoadSettings, RequestedOutput, Tensor
from fairlead_runtime_onnx.runtime import OnnxRuntime

if TYPE_CHECKING:
    from fairlead_runtime_onnx.model import OnnxModel

__all__ = ["ask", "load"]


def load(path: Path, **options: str | int | bool) -> OnnxModel:
    """Load what is at a path."""
    settings = LoadSettings(model_name="model", options=options)
    return OnnxRuntime().load(Artifact(path=path, uri=path.as_uri()), settings)


def ask(model: OnnxModel, *outputs: str, **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Ask a model; returns its outputs by name."""
    tensors = [Tensor.from_numpy(name, array) for name, array in inputs.items()]
    wanted = [RequestedOutput(name) for name in outputs]
    response = model.predict(InferRequest(model_name="model", inputs=tensors, outputs=wanted))
    return {tensor.name: tensor.data for tensor in response.outputs}
