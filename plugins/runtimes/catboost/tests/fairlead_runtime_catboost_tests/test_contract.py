"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from fairlead import Tensor
from fairlead.testing import RuntimeContract
from fairlead_runtime_catboost_tests import boosters


class CatBoost(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "catboost"

    @pytest.fixture
    def unpickles(self) -> bool:
        return False

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("input-0", boosters.ROWS[:3])]


class TestAClassifier(CatBoost):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.classifier()).parent


class TestARegressorInJson(CatBoost):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.regressor(), "model.json")

    @pytest.fixture
    def settings(self) -> dict[str, str | int | float | bool]:
        return {"method": "decision_function", "nthread": 2}


class TestColumnsOfCategoriesAndText(CatBoost):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.of_categories())

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [
            Tensor.from_numpy("note", np.array(["barks", "purrs"])),
            Tensor.from_numpy("kind", np.array(["dog", "cat"])),
            Tensor.from_numpy("weight", np.array([1.5, 2.5], np.float32)),
            Tensor.from_numpy("size", np.array([9, 7])),
        ]

    @pytest.fixture
    def request_parameters(self) -> Mapping[str, bool | int | float | str]:
        return {"content_type": "pd"}


class TestAPickledEstimator(CatBoost):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(boosters.classifier()))
        return tmp_path

    @pytest.fixture
    def unpickles(self) -> bool:
        return True

    @pytest.fixture
    def settings(self) -> dict[str, str | int | float | bool]:
        return {"method": "predict_proba"}
