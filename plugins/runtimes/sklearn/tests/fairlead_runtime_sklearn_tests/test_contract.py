"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from fairlead import Tensor
from fairlead.testing import RuntimeContract
from fairlead_runtime_sklearn_tests import estimators

REGRESSION = LogisticRegression(max_iter=500).fit(*estimators.IRIS_AND_SPECIES)


class Sklearn(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "sklearn"

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("input-0", estimators.IRIS[[0, 60, 120]])]


class TestAMatrixClassifier(Sklearn):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        estimators.saved(tmp_path, estimators.classifier())
        return tmp_path


class TestProbabilities(TestAMatrixClassifier):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return estimators.saved(tmp_path, REGRESSION)

    @pytest.fixture
    def settings(self) -> dict[str, str | int | float | bool]:
        return {"method": "predict_proba", "nthread": 1}


class TestAPipelineOfColumns(Sklearn):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return estimators.saved(tmp_path, estimators.pipeline_of_columns(), "model.pkl")

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return estimators.people(4)

    @pytest.fixture
    def request_parameters(self) -> Mapping[str, bool | int | float | str]:
        return {"content_type": "pd"}


class TestATextClassifier(Sklearn):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return estimators.saved(tmp_path, estimators.text_classifier(), "model.pickle")

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("input-0", estimators.PEOPLE["note"].to_numpy()[:3])]


class TestASkopsFile(Sklearn):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        skops.io.dump(estimators.classifier(), tmp_path / "model.skops")
        return tmp_path

    @pytest.fixture
    def unpickles(self) -> bool:
        return False
