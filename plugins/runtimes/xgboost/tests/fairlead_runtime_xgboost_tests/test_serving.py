"""A real server answers over every protocol as XGBoost itself does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import joblib
import numpy as np
import pandas as pd
import pytest
import xgboost

from fairlead.testing import RunningServer, running_server
from fairlead_runtime_xgboost_tests import boosters
from fairlead_tests import protocols

MATRIX: Final = {"input-0": boosters.ROWS[:5]}
COLUMNS: Final = {
    "size": np.array([9, 7, 7]),
    "kind": np.array(["dog", "cat", "bird"], dtype=object),
    "weight": np.array([1.5, 2.5, 3.5]),
}


def estimator() -> Any:
    return xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(boosters.ROWS, boosters.CLASSES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("models")
    models = {
        "json": boosters.saved(root / "json", boosters.classifier()),
        "ubj": boosters.saved(root / "ubj", boosters.classifier(), "model.ubj"),
        "bst": boosters.saved(root / "bst", boosters.classifier(), "model.bst"),
        "table": boosters.saved(root / "table", boosters.of_categories()),
        "pickled": root / "model.pkl",
    }
    joblib.dump(estimator(), models["pickled"])
    with running_server(models, grpc=True) as running:
        yield running


def own_answers() -> dict[str, tuple[Mapping[str, Any], Any]]:
    """What each model is asked, and what XGBoost answers."""
    data = xgboost.DMatrix(MATRIX["input-0"], feature_names=boosters.NAMES)
    probabilities = boosters.classifier().predict(data)
    frame = pd.DataFrame({**COLUMNS, "kind": pd.Categorical(COLUMNS["kind"]), "size": pd.Categorical(COLUMNS["size"])})
    frame = frame[["weight", "kind", "size"]]
    return {
        "json": (MATRIX, probabilities),
        "ubj": (MATRIX, probabilities),
        "bst": (MATRIX, probabilities),
        "table": (COLUMNS, boosters.of_categories().predict(xgboost.DMatrix(frame, enable_categorical=True))),
        "pickled": (MATRIX, estimator().predict(MATRIX["input-0"])),
    }


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
@pytest.mark.parametrize("model", ["json", "ubj", "bst", "table", "pickled"])
def test_answers_are_the_librarys_own(server: RunningServer, protocol: str, model: str) -> None:
    inputs, wanted = own_answers()[model]
    answer = protocols.ask(server, protocol, model, inputs)["output-0"]
    np.testing.assert_array_equal(answer.astype(wanted.dtype), wanted)
    if protocol != "v1":
        assert answer.dtype == wanted.dtype


def test_metadata_says_what_a_booster_takes_and_answers(server: RunningServer) -> None:
    found = server.client.get("/v2/models/json").json()
    assert found["platform"] == "xgboost"
    assert found["inputs"] == [{"name": "input-0", "datatype": "FP32", "shape": [-1, 4]}]
    assert found["outputs"] == [{"name": "output-0", "datatype": "FP32", "shape": [-1, 3]}]
    columns = server.client.get("/v2/models/table").json()["inputs"]
    assert [(each["name"], each["datatype"]) for each in columns] == [
        ("weight", "FP32"),
        ("kind", "BYTES"),
        ("size", "FP32"),
    ]


def test_null_is_a_missing_value(server: RunningServer) -> None:
    rows = boosters.ROWS[:2].copy()
    rows[0, 1] = np.nan
    wanted = boosters.classifier().predict(xgboost.DMatrix(rows, feature_names=boosters.NAMES))
    instances = [[None if value != value else value for value in row] for row in rows.tolist()]
    answer = server.client.post("/v1/models/json:predict", json={"instances": instances}).json()
    np.testing.assert_array_equal(np.array(answer["predictions"], np.float32), wanted)


def test_bad_input_is_refused_and_the_server_lives(server: RunningServer) -> None:
    def answer(model: str, **body: Any) -> Any:
        return server.client.post(f"/v1/models/{model}:predict", json=body)

    for model, instances, said in (
        ("json", [[1.0, 2.0]], "rows of 4 features"),
        ("json", [1.0, 2.0], "rows of 4 features"),
        ("json", [["a", "b", "c", "d"]], "takes numbers"),
        ("json", [{"length": 1.0, "lenght": 2.0}], "'lenght'"),
        ("table", [{"kind": "cow"}], "no category 'cow'"),
        ("table", [{"kind": "cat", "weight": "heavy"}], "'weight' takes numbers"),
        ("json", [], "empty"),
    ):
        refused = answer(model, instances=instances)
        assert (refused.status_code, said in refused.text) == (400, True), refused.text
    assert answer("json", instances=boosters.ROWS[:1].tolist()).status_code == 200
