"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from fairlead import Tensor
from fairlead.testing import RuntimeContract
from fairlead_runtime_tensorflow_tests import models


class Tensorflow(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "tensorflow"

    @pytest.fixture
    def unpickles(self) -> bool:
        return False

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("x", models.ROWS), Tensor.from_numpy("offset", models.OFFSETS)]


class TestASavedModel(Tensorflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return models.affine(tmp_path / "model")


class TestAnotherSignature(TestASavedModel):
    @pytest.fixture
    def settings(self) -> Mapping[str, str | int | float | bool]:
        return {"signature": "double", "nthread": 1}

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("x", models.ROWS)]


class TestAFolderOfVersions(Tensorflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        models.affine(tmp_path / "0002")
        return tmp_path


class TestAModelOfStrings(Tensorflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return models.lengths(tmp_path / "model")

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("text", np.array([b"a", b"\xff\x00", b""], dtype=object))]


class TestAModelThatReadsFiles(Tensorflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return models.reader(tmp_path / "model")

    @pytest.fixture
    def unpickles(self) -> bool:
        return True

    @pytest.fixture
    def request_inputs(self, tmp_path: Path) -> list[Tensor]:
        paths = [tmp_path / "a", tmp_path / "b"]
        for path in paths:
            path.write_text(path.name, encoding="ascii")
        return [Tensor.from_numpy("path", np.array([str(path) for path in paths], dtype=object))]


class TestAKerasModel(Tensorflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return models.sequential(tmp_path / "model.keras")

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("features", models.ROWS)]


class TestAKerasModelOfNamedInputs(Tensorflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        models.named(tmp_path / "model.keras")
        return tmp_path

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        words = np.array([b"dog", b"cow"], dtype=object)
        return [Tensor.from_numpy("numbers", models.ROWS), Tensor.from_numpy("word", words)]
