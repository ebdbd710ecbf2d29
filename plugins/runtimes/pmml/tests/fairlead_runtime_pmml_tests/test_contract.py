"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from fairlead import Tensor
from fairlead.testing import RuntimeContract
from fairlead_runtime_pmml_tests.documents import REGRESSION, TREE


class Pmml(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "pmml"

    @pytest.fixture
    def request_parameters(self) -> Mapping[str, bool | int | float | str]:
        return {"content_type": "pd"}


class TestATree(Pmml):
    @pytest.fixture
    def artifact(self) -> Path:
        return TREE

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        values = {"petal_length": [1.4, 5.0, 6.0], "petal_width": [0.2, 1.5, 2.5]}
        return [Tensor.from_numpy(name, np.array(column)) for name, column in values.items()]


class TestARegressionWithACategory(Pmml):
    @pytest.fixture
    def artifact(self) -> Path:
        return REGRESSION

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("age", np.array([10, 20])), Tensor.from_numpy("city", np.array(["bern", "basel"]))]
