"""Models that MLflow saved, served and asked over every protocol; answers are those of ``mlflow.pyfunc``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.models import ModelSignature, infer_signature
from mlflow.types.schema import Array, ColSpec, Object, ParamSchema, ParamSpec, Property, Schema

from fairlead.testing.server import RunningServer, running_server
from fairlead_runtime_mlflow_tests import models
from fairlead_runtime_mlflow_tests.code_models import Ages, Counting, Scaling, Shouting

ROWS = models.TABLE.to_dict("records")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    models.save_sklearn(folder / "skops", models.classifier(), input_example=models.TABLE)
    models.save_sklearn(folder / "proba", models.classifier(), pyfunc_predict_fn="predict_proba")
    scaled = infer_signature(models.TABLE.astype(float), params={"factor": 2.0})
    models.code_model(folder / "scaling", Scaling(), signature=scaled)
    message = Object([Property("role", "string"), Property("content", "string")])
    nested = Schema([ColSpec(Array(message), name="messages")])
    models.code_model(folder / "counting", Counting(), signature=ModelSignature(inputs=nested))
    models.code_model(folder / "shouting", Shouting())
    dated = Schema([ColSpec("datetime", name="born"), ColSpec("string", name="note", required=False)])
    listed = ParamSchema([ParamSpec("stop", "string", ["."], (-1,))])
    models.code_model(folder / "ages", Ages(), signature=ModelSignature(inputs=dated, params=listed))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with running_server({each.name: each for each in folder.iterdir()}, grpc=True) as server:
        yield server


def ask(server: RunningServer, model: str, body: object) -> Any:
    return server.client.post(f"/v1/models/{model}:predict", json=body).json()


@pytest.mark.parametrize("model", ["skops", "proba", "scaling"])
def test_answers_are_those_of_mlflow_over_every_protocol(server: RunningServer, folder: Path, model: str) -> None:
    loaded = mlflow.pyfunc.load_model(str(folder / model))
    table = models.TABLE.astype(float) if model == "scaling" else models.TABLE
    expected = np.asarray(loaded.predict(table))
    found = np.array([[*row.values()] if isinstance(row, dict) else row for row in _predictions(server, model)])
    np.testing.assert_allclose(found.reshape(expected.shape), expected)
    for answer in models.answers(server, model, models.COLUMNS):
        (array,) = answer.values()
        np.testing.assert_allclose(array.reshape(expected.shape), expected)


def _predictions(server: RunningServer, model: str) -> list[Any]:
    predictions: list[Any] = ask(server, model, {"instances": ROWS})["predictions"]
    return predictions


def test_a_skops_model_is_served_by_the_runtime_of_scikit_learn(server: RunningServer) -> None:
    metadata = server.client.get("/v2/models/skops").json()
    assert metadata["platform"] == "mlflow"
    assert metadata["inputs"] == [
        {"name": "age", "datatype": "FP64", "shape": [-1]},
        {"name": "visits", "datatype": "INT64", "shape": [-1]},
    ]
    assert metadata["properties"] == {"flavor": "sklearn", "loaded_by": "the runtime sklearn"}


def test_mlflow_serves_what_no_other_runtime_can(server: RunningServer) -> None:
    for model, flavor in (("scaling", "python_function"), ("counting", "python_function")):
        properties = server.client.get(f"/v2/models/{model}").json()["properties"]
        assert properties == {"flavor": flavor, "loaded_by": "mlflow"}


def test_a_matrix_holds_the_columns_by_their_places(server: RunningServer) -> None:
    rows = [[each["age"], each["visits"]] for each in ROWS]
    assert ask(server, "skops", {"instances": rows}) == ask(server, "skops", {"instances": ROWS})


def test_parameters_of_the_signature_reach_the_model(server: RunningServer) -> None:
    body = {"instances": [{"age": 10.0, "visits": 1.0}]}
    assert ask(server, "scaling", body) == {"predictions": [20.0]}
    assert ask(server, "scaling", {**body, "parameters": {"factor": 3}}) == {"predictions": [30.0]}
    assert (
        "'factor' takes a value of type double"
        in ask(server, "scaling", {**body, "parameters": {"factor": "3"}})["error"]
    )


def test_nested_columns_come_as_json_over_v1_and_as_json_text_over_v2(server: RunningServer) -> None:
    talk = [{"role": "user", "content": "hello"}]
    assert ask(server, "counting", {"instances": [{"messages": talk}]}) == {"predictions": [{"turns": 1}]}
    text = '[{"role": "user", "content": "hello"}]'
    tensor = {"name": "messages", "shape": [1], "datatype": "BYTES", "data": [text]}
    answer = server.client.post("/v2/models/counting/infer", json={"inputs": [tensor]}).json()
    assert answer["outputs"][0]["data"] == ['{"turns": 1}']


def test_nested_columns_that_do_not_fit_are_the_clients_fault(server: RunningServer) -> None:
    wrong: list[dict[str, Any]] = [{"instances": [{"messages": [{"role": "user"}]}]}, {"instances": [1]}, {}]
    for body in [*wrong, {"instances": []}]:
        response = server.client.post("/v1/models/counting:predict", json=body)
        assert response.status_code == 400, response.text
    tensor = {"name": "messages", "shape": [1], "datatype": "BYTES", "data": ["["]}
    response = server.client.post("/v2/models/counting/infer", json={"inputs": [tensor]})
    assert response.status_code == 400
    assert "JSON text" in response.json()["error"]


def test_a_model_of_type_hints_takes_a_list(server: RunningServer) -> None:
    assert ask(server, "shouting", {"instances": ["a", "b"]}) == {"predictions": ["A", "B"]}


def test_dates_are_iso_text_and_optional_columns_may_be_left_out(server: RunningServer) -> None:
    body: dict[str, Any] = {"instances": [{"born": "1980-02-03"}, {"born": "1999-12-31T23:59:00"}]}
    assert ask(server, "ages", body)["predictions"] == [
        {"year": 1980, "note": "none"},
        {"year": 1999, "note": "none"},
    ]
    body = {"instances": [{"born": "1980-02-03", "note": "x"}], "parameters": {"stop": '["a", "b"]'}}
    assert ask(server, "ages", body)["predictions"] == [{"year": 1980, "note": "x"}]
    assert "ISO 8601" in ask(server, "ages", {"instances": [{"born": "yesterday"}]})["error"]
    assert "list of string" in ask(server, "ages", {**body, "parameters": {"stop": "a"}})["error"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"age": 1.0}, "lacks the columns 'visits'"),
        ({"age": 1.0, "visits": 1, "height": 2}, "'height'"),
        ({"age": "old", "visits": 1}, "'age' is double in the signature"),
        ({"age": 1.0, "visits": 1.5}, "'visits' is long: a value has a fraction"),
        ({"age": 1.0, "visits": None}, "a value is missing"),
        ({"age": None, "visits": 1}, "NaN"),
    ],
)
def test_a_request_that_does_not_fit_the_signature_is_the_clients_fault(
    server: RunningServer, row: dict[str, Any], said: str
) -> None:
    response = server.client.post("/v1/models/skops:predict", json={"instances": [row]})
    assert response.status_code == 400
    assert said in response.json()["error"]
    assert _predictions(server, "skops")


@pytest.mark.parametrize("shape", [[2, 3], [4], [1, 2, 1], [0, 2]])
def test_a_tensor_of_another_shape_is_the_clients_fault(server: RunningServer, shape: list[int]) -> None:
    tensor = {"name": "input-0", "shape": shape, "datatype": "FP64", "data": [0.0] * int(np.prod(shape))}
    response = server.client.post("/v2/models/skops/infer", json={"inputs": [tensor]})
    assert response.status_code == 400
