"""The public kit on this explainer."""

from __future__ import annotations

import pytest
from sklearn.svm import SVC

from fairlead import Model, Tensor
from fairlead.testing import ExplainerContract
from fairlead_explainer_captum._plugin import METHODS
from fairlead_explainer_captum_tests.models import ROWS, Loaded, Net, seeded, spec

# DeepLift warns that it sets hooks and takes them away, which is what is asked of it.
pytestmark = pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")


class TestContract(ExplainerContract):
    """Every method but that of pictures, on a small network."""

    @pytest.fixture
    def explainer(self) -> str:
        return "captum"

    @pytest.fixture(params=METHODS[:-1])
    def settings(self, request: pytest.FixtureRequest) -> dict[str, str | int | float | bool]:
        return {"method": request.param}

    @pytest.fixture
    def model(self) -> Model:
        return Loaded(seeded(Net), spec(4))

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy("x", ROWS)]

    @pytest.fixture
    def unexplainable(self) -> Model:
        return Loaded(SVC(), spec(4))
