"""Documents served and asked over every protocol; answers are those of JPMML."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tritonclient.grpc
import tritonclient.http
from jpmml_evaluator import make_evaluator

from fairlead.testing.server import RunningServer, running_server
from fairlead_runtime_pmml import jvm
from fairlead_runtime_pmml_tests.documents import REGRESSION, TREE, with_version

FLOWERS = [{"petal_length": 1.4, "petal_width": 0.2}, {"petal_length": 5.0, "petal_width": 1.9}]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server({"tree": TREE, "regression": REGRESSION}, grpc=True) as server:
        yield server


def ask(server: RunningServer, model: str, instances: object) -> Any:
    return server.client.post(f"/v1/models/{model}:predict", json={"instances": instances}).json()


def expected() -> list[dict[str, Any]]:
    evaluator = make_evaluator(TREE, backend=jvm.backend())
    return [dict(evaluator.evaluate(dict(row))) for row in FLOWERS]


def test_v1_answers_with_the_records_of_jpmml(server: RunningServer) -> None:
    assert ask(server, "tree", FLOWERS) == {"predictions": expected()}
    assert ask(server, "tree", FLOWERS[:1]) == {"predictions": expected()[:1]}
    assert ask(server, "regression", [{"age": 10, "city": "bern"}]) == {"predictions": [{"price": 35.0}]}


def test_rows_together_are_answered_as_jpmml_answers_them_and_as_each_alone(server: RunningServer) -> None:
    numbers = np.random.default_rng(7).uniform(0, 6, (64, 2)).round(2).tolist()
    rows: list[Any] = [dict(zip(FLOWERS[0], row, strict=True)) for row in numbers]
    rows[3]["petal_width"] = rows[5]["petal_length"] = None
    together = ask(server, "tree", rows)["predictions"]
    assert together == [ask(server, "tree", [row])["predictions"][0] for row in rows]
    frame = pd.DataFrame(rows)
    results = make_evaluator(TREE, backend=jvm.backend()).evaluateAll(frame).astype(object)
    assert together == results.where(results.notna(), None).to_dict("records")
    priced = [{"age": age, "city": city} for age in (0, 10, None) for city in ("bern", "basel")]
    each = [ask(server, "regression", [row])["predictions"][0] for row in priced]
    assert ask(server, "regression", priced)["predictions"] == each


def test_v2_and_grpc_answer_with_a_tensor_for_each_result_column(server: RunningServer) -> None:
    assert server.grpc_address is not None
    columns = {name: np.array([row[name] for row in FLOWERS]) for name in FLOWERS[0]}
    answers: list[Any] = []
    for binary in (False, True):
        inputs = [tritonclient.http.InferInput(name, array.shape, "FP64") for name, array in columns.items()]
        for tensor, array in zip(inputs, columns.values(), strict=True):
            tensor.set_data_from_numpy(array, binary_data=binary)
        with tritonclient.http.InferenceServerClient(server.url.removeprefix("http://")) as client:
            result = client.infer("tree", inputs)
            answers.append({each["name"]: result.as_numpy(each["name"]) for each in result.get_response()["outputs"]})
    inputs = [tritonclient.grpc.InferInput(name, array.shape, "FP64") for name, array in columns.items()]
    for tensor, array in zip(inputs, columns.values(), strict=True):
        tensor.set_data_from_numpy(array)
    with tritonclient.grpc.InferenceServerClient(server.grpc_address) as client:
        result = client.infer("tree", inputs)
        answers.append({each.name: result.as_numpy(each.name) for each in result.get_response().outputs})
    rows = expected()
    for answer in answers:
        assert list(answer) == list(rows[0])
        for name, array in answer.items():
            found = [each.decode() if isinstance(each, bytes) else each for each in array.tolist()]
            assert found == [row[name] for row in rows]


def test_metadata_declares_the_fields_of_the_document(server: RunningServer) -> None:
    metadata = server.client.get("/v2/models/regression").json()
    assert metadata["inputs"] == [
        {"name": "age", "datatype": "INT64", "shape": [-1]},
        {"name": "city", "datatype": "BYTES", "shape": [-1]},
    ]
    assert metadata["outputs"] == [{"name": "price", "datatype": "FP64", "shape": [-1]}]


def test_rows_without_names_are_in_the_order_of_the_fields(server: RunningServer) -> None:
    assert ask(server, "tree", [[*row.values()] for row in FLOWERS]) == ask(server, "tree", FLOWERS)
    mixed = ask(server, "regression", [[10, "bern"], [20, "basel"]])
    assert mixed == {"predictions": [{"price": 35.0}, {"price": 45.0}]}


def test_missing_values_are_those_of_the_document(server: RunningServer) -> None:
    replaced = {"predictions": [{"price": 95.0}]}
    assert ask(server, "regression", [{"city": "bern"}]) == replaced
    assert ask(server, "regression", [{"city": "bern", "age": None}]) == replaced
    (default,) = ask(server, "tree", [{"petal_length": 5.0}])["predictions"]
    assert default["Node_Id"] == "4"


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        ({"age": 10, "city": "paris"}, 'Field "city" cannot accept invalid value "paris"'),
        ({"age": 500, "city": "bern"}, 'Field "age" cannot accept invalid value 500'),
        ({"age": 1.5, "city": "bern"}, 'Field "age" cannot accept invalid value 1.5'),
        ({"age": "ten", "city": "bern"}, "Column 'age' takes numbers"),
        ({"age": 10, "town": "bern"}, "'town'"),
        ([1, 2, 3], "expected rows of 2 values"),
    ],
)
def test_a_value_that_the_document_does_not_allow_is_the_clients_fault(
    server: RunningServer, instance: object, said: str
) -> None:
    response = server.client.post("/v1/models/regression:predict", json={"instances": [instance]})
    assert response.status_code == 400
    assert said in response.json()["error"]
    assert ask(server, "regression", [[10, "bern"]]) == {"predictions": [{"price": 35.0}]}


def test_the_row_that_is_wrong_is_named(server: RunningServer) -> None:
    rows = [{"age": 10, "city": "bern"}, {"age": 10, "city": "paris"}]
    assert ask(server, "regression", rows)["error"].startswith("Row 1: ")


def test_an_empty_batch_is_answered_with_nothing(server: RunningServer) -> None:
    columns = [{"name": name, "shape": [0], "datatype": "FP64", "data": []} for name in FLOWERS[0]]
    response = server.client.post("/v2/models/tree/infer", json={"inputs": columns})
    assert [each["shape"] for each in response.json()["outputs"]] == [[0]] * 5


def test_threads_that_java_has_not_seen_may_call_it(server: RunningServer) -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(ask(server, "tree", FLOWERS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"predictions": expected()}] * 4


def test_documents_of_version_3_are_served(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("old") / "model.pmml"
    path.write_text(with_version(REGRESSION, "3.2"))
    with running_server({"old": path}) as server:
        assert ask(server, "old", [[10, "bern"]]) == {"predictions": [{"price": 35.0}]}


def test_a_server_still_ends_in_order_when_it_is_told_to() -> None:
    command = [sys.executable, "-m", "fairlead", "serve", str(TREE), "--name", "m"]
    ports = ["--http_port", "0", "--grpc_port", "0"]
    process = subprocess.Popen([*command, *ports], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("ready on http" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
