"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from fairlead import Tensor
from fairlead.testing import RuntimeContract
from fairlead_runtime_onnx_tests import graphs


class Onnx(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "onnx"

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("x", np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32))]


class TestAFreeFirstDimension(Onnx):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return graphs.saved(tmp_path / "model", graphs.doubling())


class TestAFileAlone(Onnx):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return graphs.saved(tmp_path, graphs.doubling()) / "model.onnx"


class TestFixedDimensions(Onnx):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return graphs.saved(tmp_path / "model", graphs.doubling(3))


class TestSeveralInputsAndOutputs(Onnx):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return graphs.saved(tmp_path / "model", graphs.affine())

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        random = np.random.default_rng(0)
        shapes = {"a": (3, 3), "b": (3, 2)}
        return [Tensor.from_numpy(name, random.random(shape, np.float32)) for name, shape in shapes.items()]


class TestText(Onnx):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return graphs.saved(tmp_path / "model", graphs.identity(TensorProto.STRING))

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("x", np.array(["one", "zwölf"]))]


class TestWeightsInAnotherFile(Onnx):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        folder = graphs.saved(tmp_path / "model", graphs.with_external("weights.bin"))
        graphs.weights(folder / "weights.bin")
        return folder


class TestAForestWithMaps(Onnx):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return graphs.saved(tmp_path / "model", graphs.forest())

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("X", graphs.IRIS)]


class TestAForestWithoutMaps(TestAForestWithMaps):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return graphs.saved(tmp_path / "model", graphs.forest(zipmap=False))
