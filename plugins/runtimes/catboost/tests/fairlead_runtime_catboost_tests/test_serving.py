"""A real server answers over every protocol as CatBoost itself does."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import catboost
import numpy as np
import pandas as pd
import pytest

from fairlead.testing import RunningServer, running_server
from fairlead_runtime_catboost_tests import boosters
from fairlead_tests import protocols

MATRIX: Final = {"input-0": boosters.ROWS[:5]}
COLUMNS: Final = {
    "size": np.array([9, 7, 7]),
    "note": np.array(["sings", "purrs at night", "barks"], dtype=object),
    "kind": np.array(["dog", "cat", "emu"], dtype=object),
    "weight": np.array([1.5, 2.5, 3.5]),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("models")
    models = {
        "cbm": boosters.saved(root / "cbm", boosters.classifier()),
        "json": boosters.saved(root / "json", boosters.regressor(), "model.json").parent,
        "table": boosters.saved(root / "table", boosters.of_categories()),
        "pickled": root / "model.pkl",
    }
    models["pickled"].write_bytes(pickle.dumps(boosters.classifier()))
    with running_server(models, grpc=True) as running:
        yield running


@pytest.fixture
def own_answers(tmp_path: Path) -> dict[str, tuple[Mapping[str, Any], Any]]:
    """What each model is asked, and what CatBoost answers."""
    regressor = boosters.opened(
        boosters.saved(tmp_path, boosters.regressor(), "model.json"), catboost.CatBoostRegressor()
    )
    labels = boosters.classifier().predict(MATRIX["input-0"])
    table = pd.DataFrame(COLUMNS)[list(boosters.PETS)]
    return {
        "cbm": (MATRIX, labels),
        "json": (MATRIX, regressor.predict(MATRIX["input-0"])),
        "table": (COLUMNS, boosters.of_categories().predict(table)),
        "pickled": (MATRIX, labels),
    }


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
@pytest.mark.parametrize("model", ["cbm", "json", "table", "pickled"])
def test_answers_are_the_librarys_own(
    server: RunningServer, own_answers: Mapping[str, tuple[Mapping[str, Any], Any]], protocol: str, model: str
) -> None:
    inputs, wanted = own_answers[model]
    answer = protocols.ask(server, protocol, model, inputs)["output-0"]
    assert answer.tolist() == wanted.tolist()


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
def test_probabilities_are_answered_to_those_who_ask(server: RunningServer, protocol: str) -> None:
    answer = protocols.ask(server, protocol, "table", COLUMNS, predict_proba=True)["output-0"]
    wanted = boosters.of_categories().predict_proba(pd.DataFrame(COLUMNS)[list(boosters.PETS)])
    np.testing.assert_array_equal(answer, wanted)


def test_metadata_says_what_a_model_takes_and_answers(server: RunningServer) -> None:
    found = server.client.get("/v2/models/cbm").json()
    assert found["platform"] == "catboost"
    assert found["inputs"] == [{"name": "input-0", "datatype": "FP32", "shape": [-1, 4]}]
    assert found["outputs"] == [{"name": "output-0", "datatype": "BYTES", "shape": [-1, 1]}]
    columns = server.client.get("/v2/models/table").json()["inputs"]
    assert [(each["name"], each["datatype"]) for each in columns] == [
        ("weight", "FP32"),
        ("kind", "BYTES"),
        ("size", "BYTES"),
        ("note", "BYTES"),
    ]


def test_bad_input_is_refused_and_the_server_lives(server: RunningServer) -> None:
    def answer(model: str, **body: Any) -> Any:
        return server.client.post(f"/v1/models/{model}:predict", json=body)

    row = {"weight": 1.0, "kind": "cat", "size": 7, "note": "purrs"}
    for model, instances, said in (
        ("cbm", [[1.0, 2.0]], "rows of 4 features"),
        ("cbm", [1.0, 2.0], "rows of 4 features"),
        ("cbm", [["a", "b", "c", "d"]], "takes numbers"),
        ("table", [{**row, "age": 1}], "'age'"),
        ("table", [{"weight": 1.0, "kind": "cat"}], "lacks the columns 'size', 'note'"),
        ("table", [{**row, "weight": "heavy"}], "'weight' takes numbers"),
        ("table", [{**row, "note": 1}], "'note' takes text"),
        ("table", [{**row, "kind": None}], "NaN values should be converted to string"),
        ("table", [{**row, "size": 7.5}], "must be integer or string"),
    ):
        refused = answer(model, instances=instances)
        assert (refused.status_code, said in refused.text) == (400, True), refused.text
    assert answer("table", instances=[row]).status_code == 200
