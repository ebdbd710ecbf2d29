from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fairlead import Datatype, InferRequest, InferResponse, Model, ModelMetadata, Tensor
from fairlead.testing.explainer import ExplainerContract
from fairlead_explainer_alibi_tests import asking

if TYPE_CHECKING:
    from fairlead.contracts.runtime import SettingValue

pytest.importorskip("alibi", reason=asking.WITHOUT_ALIBI)


class Labelled(Model):
    """A model whose labels are what a function says of its only input."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        self._function = function
        self._metadata = ModelMetadata()

    @property
    def metadata(self) -> ModelMetadata:
        return self._metadata

    def predict(self, request: InferRequest) -> InferResponse:
        answer = np.asarray(self._function(request.inputs[0]), np.int64)
        return InferResponse(model_name=request.model_name, outputs=[Tensor.from_numpy("label", answer)])


class TestRows(ExplainerContract):
    """The contract, for anchors of rows."""

    @pytest.fixture
    def explainer(self) -> str:
        return "alibi"

    @pytest.fixture
    def model(self) -> Model:
        return Labelled(lambda tensor: tensor.data[:, 0] > 0)

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        np.save(tmp_path / "rows.npy", np.random.default_rng(0).uniform(-1, 1, size=(200, 3)))
        return tmp_path

    @pytest.fixture
    def request_inputs(self) -> Sequence[Tensor]:
        return [Tensor.from_numpy("input-0", np.array([[0.9, 0.1, 0.1], [-0.9, 0.1, 0.1]]))]


class TestTexts(ExplainerContract):
    """The contract, for anchors of texts."""

    @pytest.fixture
    def explainer(self) -> str:
        return "alibi"

    @pytest.fixture
    def settings(self) -> Mapping[str, SettingValue]:
        return {"method": "anchor_text"}

    @pytest.fixture
    def model(self) -> Model:
        return Labelled(lambda tensor: ["good" in str(text) for text in tensor.as_strings()])

    @pytest.fixture
    def request_inputs(self) -> Sequence[Tensor]:
        data = np.array([b"a good book", b"a bad book"], dtype=object)
        return [Tensor.from_numpy("input-0", data, Datatype.BYTES)]


class TestGradients(ExplainerContract):
    """The contract, for integrated gradients."""

    @pytest.fixture
    def explainer(self) -> str:
        return "alibi"

    @pytest.fixture
    def model(self) -> Model:
        return Labelled(lambda tensor: np.where(tensor.data[:, :1] > 0, [[0, 1]], [[1, 0]]))

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        pytest.importorskip("tensorflow", reason=asking.WITHOUT_TENSORFLOW)
        import keras

        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")]).save(tmp_path / "m.keras")
        return tmp_path

    @pytest.fixture
    def request_inputs(self) -> Sequence[Tensor]:
        return [Tensor.from_numpy("input-0", np.array([[0.9, 0.1, 0.1], [-0.9, 0.1, 0.1]]))]
