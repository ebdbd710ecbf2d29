"""The public kit on this explainer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.svm import SVR

from fairlead import Model, Tensor
from fairlead.testing import ExplainerContract
from fairlead_explainer_shap_tests.models import Framed, data


class TestTrees(ExplainerContract):
    """A forest, from the inside, and by asking it."""

    @pytest.fixture
    def explainer(self) -> str:
        return "shap"

    @pytest.fixture
    def model(self) -> Model:
        x, y = data()
        return Framed(RandomForestRegressor(3, random_state=0).fit(x, y))

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        np.save(tmp_path / "reference.npy", data(20)[0])
        return tmp_path

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("input-0", data()[0][:2])]


class TestTreesAlone(TestTrees):
    """Told to look inside, it refuses what has no trees; as a component there is nothing to look at."""

    @pytest.fixture
    def settings(self) -> dict[str, str | int | float | bool]:
        return {"method": "tree"}

    @pytest.fixture
    def places(self) -> list[str]:
        return ["in the process of the model"]

    @pytest.fixture
    def unexplainable(self) -> Model:
        x, y = data()
        return Framed(SVR().fit(x, y))
