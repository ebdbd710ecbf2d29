"""A real server answers over every protocol as scikit-learn itself does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pytest
import skops.io

from fairlead.testing import RunningServer, running_server
from fairlead_runtime_sklearn_tests import estimators
from fairlead_tests import protocols

MATRIX: Final = {"input-0": estimators.IRIS[[0, 60, 120]]}
TEXT: Final = {"input-0": estimators.PEOPLE["note"].to_numpy()[:3]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("models")
    for name in ("joblib", "pickled", "text", "skops"):
        (root / name).mkdir()
    skops.io.dump(estimators.classifier(), root / "skops" / "model.skops")
    models = {
        "joblib": estimators.saved(root / "joblib", estimators.classifier()),
        "pickled": estimators.saved(root / "pickled", estimators.classifier(), "model.pkl"),
        "text": estimators.saved(root / "text", estimators.text_classifier(), "model.pickle"),
        "skops": root / "skops" / "model.skops",
    }
    with running_server(models, grpc=True) as running:
        yield running


def own_answer(model: str) -> tuple[Mapping[str, Any], Any]:
    """What a model is asked, and what scikit-learn answers."""
    if model == "text":
        return TEXT, estimators.text_classifier().predict(TEXT["input-0"])
    return MATRIX, estimators.classifier().predict(MATRIX["input-0"])


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
@pytest.mark.parametrize("model", ["joblib", "pickled", "text", "skops"])
def test_answers_are_the_librarys_own(server: RunningServer, protocol: str, model: str) -> None:
    inputs, wanted = own_answer(model)
    answer = protocols.ask(server, protocol, model, inputs)["output-0"]
    found = [each.decode() if isinstance(each, bytes) else each for each in np.asarray(answer).tolist()]
    assert found == wanted.tolist()
