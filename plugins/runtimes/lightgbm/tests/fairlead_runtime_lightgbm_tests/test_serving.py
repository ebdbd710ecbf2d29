"""A real server answers over every protocol as LightGBM itself does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest

from fairlead.testing import RunningServer, running_server
from fairlead_runtime_lightgbm_tests import boosters
from fairlead_tests import protocols

MATRIX: Final = {"input-0": boosters.ROWS[:5]}
COLUMNS: Final = {
    "size": np.array([9, 7, 7]),
    "tame": np.array([True, False, True]),
    "kind": np.array(["dog", "cat", "bird"], dtype=object),
    "weight": np.array([1.5, 2.5, 3.5]),
    "place": np.array(["home"] * 3, dtype=object),
}
LABELS: Final = np.array(["low", "middle", "high"])[boosters.CLASSES]


def estimator() -> Any:
    return lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(boosters.ROWS, LABELS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("models")
    models = {
        "txt": boosters.saved(root / "txt", boosters.classifier()),
        "bst": boosters.saved(root / "bst", boosters.classifier(), "model.bst").parent,
        "table": boosters.saved(root / "table", boosters.of_categories()),
        "pickled": root / "model.pkl",
    }
    (root / "bst" / "requirements.txt").write_text("lightgbm\n")
    joblib.dump(estimator(), models["pickled"])
    with running_server(models, grpc=True) as running:
        yield running


def own_answers() -> dict[str, tuple[Mapping[str, Any], Any]]:
    """What each model is asked, and what LightGBM answers."""
    probabilities = boosters.classifier().predict(MATRIX["input-0"])
    categories = {name: pd.Categorical(each) for name, each in COLUMNS.items() if name != "weight"}
    frame = pd.DataFrame({**COLUMNS, **categories})[list(boosters.PETS)]
    return {
        "txt": (MATRIX, probabilities),
        "bst": (MATRIX, probabilities),
        "table": (COLUMNS, boosters.of_categories().predict(frame)),
        "pickled": (MATRIX, estimator().predict(MATRIX["input-0"])),
    }


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
@pytest.mark.parametrize("model", ["txt", "bst", "table", "pickled"])
def test_answers_are_the_librarys_own(server: RunningServer, protocol: str, model: str) -> None:
    inputs, wanted = own_answers()[model]
    answer = protocols.ask(server, protocol, model, inputs)["output-0"]
    np.testing.assert_array_equal(answer.astype(wanted.dtype), wanted)


def test_metadata_says_what_a_booster_takes_and_answers(server: RunningServer) -> None:
    found = server.client.get("/v2/models/txt").json()
    assert found["platform"] == "lightgbm"
    assert found["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}]
    assert found["outputs"] == [{"name": "output-0", "datatype": "FP64", "shape": [-1, 3]}]
    columns = server.client.get("/v2/models/table").json()["inputs"]
    assert [each["datatype"] for each in columns] == ["FP64", "BYTES", "FP64", "FP64", "BYTES"]


def test_null_and_a_column_that_a_record_lacks_are_missing_values(server: RunningServer) -> None:
    rows = boosters.ROWS[:2].copy()
    rows[:, 1] = np.nan
    wanted = boosters.classifier().predict(rows).tolist()
    records = [dict(zip(boosters.NAMES, row, strict=True)) for row in rows.tolist()]
    nulls = [{**record, "width": None} for record in records]
    for record in records:
        del record["width"]
    for instances in (records, nulls):
        answer = server.client.post("/v1/models/txt:predict", json={"instances": instances})
        assert answer.json() == {"predictions": wanted}


def test_bad_input_is_refused_and_the_server_lives(server: RunningServer) -> None:
    def answer(model: str, **body: Any) -> Any:
        return server.client.post(f"/v1/models/{model}:predict", json=body)

    for model, instances, said in (
        ("txt", [[1.0, 2.0]], "rows of 4 features"),
        ("txt", [1.0, 2.0], "rows of 4 features"),
        ("txt", [["a", "b", "c", "d"]], "takes numbers"),
        ("txt", [{"length": 1.0, "lenght": 2.0}], "'lenght'"),
        ("table", [{"kind": 1, "weight": 2.0}], "'kind' takes text"),
        ("table", [{"kind": "cat", "weight": "heavy"}], "'weight' takes numbers"),
    ):
        refused = answer(model, instances=instances)
        assert (refused.status_code, said in refused.text) == (400, True), refused.text
    assert answer("txt", instances=boosters.ROWS[:1].tolist()).status_code == 200
