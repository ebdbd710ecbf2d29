"""Servers that several of the tests here ask."""

from __future__ import annotations

from collections.abc import Iterator

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.svm import SVC

from integration.processes import ServerProcess, served

ECHO = """
from fairlead import CustomModel, InferRequest, InferResponse

class Echo(CustomModel):
    def predict(self, request: InferRequest) -> InferResponse:
        return InferResponse(model_name="", outputs=request.inputs)
"""


@pytest.fixture(scope="module")
def iris_and_echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a classifier of flowers, and a model that answers with what it is asked."""
    folder = tmp_path_factory.mktemp("models")
    flowers = load_iris()
    (folder / "iris").mkdir()
    (folder / "echo").mkdir()
    joblib.dump(SVC(gamma="scale").fit(flowers.data, flowers.target), folder / "iris" / "model.joblib")
    (folder / "echo" / "model.py").write_text(ECHO)
    with served(folder) as running:
        yield running
