"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairlead import Tensor
from fairlead.testing import RuntimeContract
from fairlead_runtime_paddle_tests.apart.programs import ROWS


class Paddle(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "paddle"

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("x", ROWS)]


class TestAJsonProgram(Paddle):
    @pytest.fixture
    def artifact(self, programs: Path) -> Path:
        return programs / "json"


class TestAnOldProgram(Paddle):
    @pytest.fixture
    def artifact(self, programs: Path) -> Path:
        return programs / "old"


class TestTwoInputsAndOutputs(Paddle):
    @pytest.fixture
    def artifact(self, programs: Path) -> Path:
        return programs / "two"

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("numbers", ROWS), Tensor.from_numpy("index", np.array([[1], [2], [3]]))]
