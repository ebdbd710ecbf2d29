"""The built-in `python` runtime passes the public kit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairlead import Tensor
from fairlead.testing import RuntimeContract
from fairlead_tests.models import DOUBLER, write


class TestPython(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "python"

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return write(tmp_path / "artifact", DOUBLER)

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("x", np.array([[1.0, 2.0], [3.0, 4.0]]))]
