"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest

from fairlead import Tensor
from fairlead.testing import RuntimeContract
from fairlead_runtime_lightgbm_tests import boosters


class LightGBM(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "lightgbm"

    @pytest.fixture
    def unpickles(self) -> bool:
        return False

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("input-0", boosters.ROWS[:3])]


class TestABooster(LightGBM):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.classifier()).parent


class TestAFileOfKServe(LightGBM):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.regressor(), "model.bst")

    @pytest.fixture
    def settings(self) -> dict[str, str | int | float | bool]:
        return {"method": "decision_function", "nthread": 2}


class TestColumnsOfCategories(LightGBM):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return boosters.saved(tmp_path, boosters.of_categories())

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [
            Tensor.from_numpy("kind", np.array(["dog", "cat"])),
            Tensor.from_numpy("weight", np.array([1.5, 2.5])),
            Tensor.from_numpy("size", np.array([9.0, 7.0])),
        ]

    @pytest.fixture
    def request_parameters(self) -> Mapping[str, bool | int | float | str]:
        return {"content_type": "pd"}


class TestAPickledEstimator(LightGBM):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        table = pd.DataFrame(boosters.ROWS, columns=boosters.NAMES)
        model = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(table, boosters.CLASSES)
        joblib.dump(model, tmp_path / "model.joblib")
        return tmp_path

    @pytest.fixture
    def unpickles(self) -> bool:
        return True

    @pytest.fixture
    def settings(self) -> dict[str, str | int | float | bool]:
        return {"method": "predict_proba"}
