"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import joblib
import numpy as np
import pytest
import xgboost

from fairlead import Tensor
from fairlead.testing import RuntimeContract
from fairlead_runtime_xgboost_tests import boosters


class XGBoost(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "xgboost"

    @pytest.fixture
    def unpickles(self) -> bool:
        return False

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("input-0", boosters.ROWS[:3])]


class TestABoosterInJson(XGBoost):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.classifier()).parent


class TestABoosterInUbjson(XGBoost):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.regressor(), "model.ubj")

    @pytest.fixture
    def settings(self) -> dict[str, str | int | float | bool]:
        return {"method": "decision_function", "nthread": 2}


class TestAFileOfKServe(XGBoost):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.classifier(), "model.bst").parent


class TestColumnsOfCategories(XGBoost):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.of_categories())

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [
            Tensor.from_numpy("kind", np.array(["dog", "cat"])),
            Tensor.from_numpy("weight", np.array([1.5, 2.5], np.float32)),
            Tensor.from_numpy("size", np.array([9.0, 7.0], np.float32)),
        ]

    @pytest.fixture
    def request_parameters(self) -> Mapping[str, bool | int | float | str]:
        return {"content_type": "pd"}


class TestAPickledEstimator(XGBoost):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(boosters.ROWS, boosters.CLASSES)
        joblib.dump(model, tmp_path / "model.joblib")
        return tmp_path

    @pytest.fixture
    def unpickles(self) -> bool:
        return True

    @pytest.fixture
    def settings(self) -> dict[str, str | int | float | bool]:
        return {"method": "predict_proba"}
