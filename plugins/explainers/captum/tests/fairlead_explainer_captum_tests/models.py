"""Real modules, and models of them as the explainer meets them; torch is imported once, when the tests are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fairlead import (
    AnyModel,
    Artifact,
    Datatype,
    InferRequest,
    InferResponse,
    LoadSettings,
    Model,
    ModelMetadata,
    Tensor,
    TensorSpec,
    errors,
)
from fairlead.runtimes.signature import Signature
from fairlead_explainer_captum._plugin import SPEC
from fairlead_explainer_captum.explainer import CaptumExplainer

DEFAULTS = {setting.name: setting.default for setting in SPEC.settings}
ROWS = np.array([[6.8, 2.8, 4.8, 1.4], [5.1, 3.5, 1.4, 0.2], [6.0, 2.2, 5.0, 1.5]], dtype=np.float32)


class Net(torch.nn.Module):  # type: ignore[misc]  # torch is not read by the type checker
    """Three classes of four features, not linear."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(4, 8)
        self.active = torch.nn.ReLU()
        self.out = torch.nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.active(self.hidden(x)))


class Picture(torch.nn.Module):  # type: ignore[misc]  # as above
    """Two classes of a small picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, stride=2)
        self.active = torch.nn.ReLU()
        self.out = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.active(self.conv(x)).mean(dim=(2, 3)))


class Pair(torch.nn.Module):  # type: ignore[misc]  # as above
    """One number of two inputs, the second of which counts twice."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": a.sum(dim=1) + 2 * b.sum(dim=1)}


class Grid(torch.nn.Module):  # type: ignore[misc]  # as above
    """A table of numbers for each row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, None] * torch.arange(1.0, 4.0)


class Loaded(Model):
    """A module as a model."""

    def __init__(self, native: Any, *inputs: TensorSpec) -> None:
        self.native = native
        self._metadata = ModelMetadata(platform="test", inputs=inputs)
        self._signature = Signature(inputs)

    @property
    def metadata(self) -> ModelMetadata:
        return self._metadata

    def predict(self, request: InferRequest) -> InferResponse:
        arrays = self._signature.read(request).values()
        with torch.inference_mode():
            answer = self.native(*(torch.from_numpy(np.array(each)) for each in arrays))
        return InferResponse(model_name=request.model_name, outputs=[Tensor.from_numpy("y", answer.numpy())])


def spec(*shape: int, name: str = "x", datatype: Datatype = Datatype.FP32) -> TensorSpec:
    return TensorSpec(name, datatype, (-1, *shape))


def seeded(kind: Any) -> Any:
    torch.manual_seed(0)
    return kind().eval()


def explainer(model: AnyModel | None, artifact: Artifact | None = None, **options: Any) -> CaptumExplainer:
    """The explainer, loaded for a model."""
    made = CaptumExplainer()
    made.load(artifact, LoadSettings(model_name="model", options={**DEFAULTS, **options}), model)
    return made


def asked(rows: NDArray[Any] = ROWS, **parameters: Any) -> InferRequest:
    return InferRequest(model_name="model", inputs=[Tensor.from_numpy("x", rows)], parameters=parameters)


def named(**arrays: Sequence[Any]) -> InferRequest:
    inputs = [Tensor.from_numpy(name, np.array(each, dtype=np.float32)) for name, each in arrays.items()]
    return InferRequest(model_name="model", inputs=inputs)


def unasked(request: InferRequest) -> InferResponse:
    raise errors.InferenceFailed("the model was asked")
