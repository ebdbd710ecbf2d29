"""An explainer as a component of its own, which asks a predictor over the network, seen from a running server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fairlead.testing import RunningServer, running_server
from fairlead_tests.custom.predictors import predictor
from fairlead_tests.engine import explainers
from fairlead_tests.engine.explainers import ROWS, asked, explained, v2
from fairlead_tests.engine.leaving import posted
from fairlead_tests.models import write
from fairlead_tests.plugins import distributions
from fairlead_tests.waiting import eventually

TAKES_ANYTHING = """
    import numpy as np
    from fairlead import CustomModel

    class Doubler(CustomModel):
        def predict(self, x: np.ndarray) -> np.ndarray:
            return x * 2
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = distributions.planted(tmp_path, monkeypatch)
    explainers.install(site)
    yield
    site.forget()


@pytest.fixture
def component(installed: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """An explainer whose predictor is another server; the parameter is the protocol between them."""
    protocol = getattr(request, "param", "v1")
    model = write(tmp_path / "doubler", TAKES_ANYTHING)  # of V1 comes a tensor without a name
    with running_server({"doubler": model}, grpc=True) as inner:
        host = str(inner.grpc_address) if protocol == "grpc-v2" else inner.url.removeprefix("http://")
        with running_server(
            {"doubler": None},
            **explained(tmp_path),
            explain_max_calls=10,
            predictor_host=host,
            predictor_protocol=protocol,
        ) as outer:
            yield outer


protocols = pytest.mark.parametrize("component", ["v1", "v2", "grpc-v2"], indirect=True)


@protocols
def test_a_component_explains_by_asking_its_predictor(component: RunningServer) -> None:
    answer = component.client.post("/v1/models/doubler:explain", json=ROWS).json()
    assert [each["difference"] for each in answer["explanations"]] == [[2.0, 4.0], [6.0, 8.0]]
    outputs = component.client.post("/v2/models/doubler/explain", json=v2()).json()["outputs"]
    assert outputs[0]["data"] == [2.0, 4.0]


@protocols
def test_a_component_passes_predictions_on(component: RunningServer) -> None:
    assert component.client.post("/v1/models/doubler:predict", json=ROWS).json() == {"predictions": [[2, 4], [6, 8]]}
    outputs = component.client.post("/v2/models/doubler/infer", json=v2()).json()["outputs"]
    assert outputs[0]["data"] == [2.0, 4.0]


def test_a_component_is_ready_before_its_predictor_and_says_so(installed: None, tmp_path: Path) -> None:
    with running_server({"m": None}, predictor_host="127.0.0.1:1", **explained(tmp_path)) as running:
        (entry,) = running.client.post("/v2/repository/index").json()
        assert entry["state"] == "READY"
        assert "the predictor may come later" in entry["reason"]
        answer = running.client.post("/v1/models/m:explain", json=ROWS)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "The predictor at 127.0.0.1:1 cannot be reached" in answer.json()["error"]
        assert running.client.post("/v1/models/m:explain", json=asked("document")).json()["beside"] is False


def test_a_component_limits_the_calls_of_its_predictor(component: RunningServer) -> None:
    answer = component.client.post("/v1/models/doubler:explain", json=asked("endless"))
    assert (answer.status_code, "may ask the model 10 times" in answer.json()["error"]) == (422, True)


def test_rows_go_to_the_predictor_in_one_request_with_the_headers_of_the_client(
    installed: None, tmp_path: Path
) -> None:
    with predictor() as inner:
        with running_server({"m": None}, predictor_host=inner.host, **explained(tmp_path)) as running:
            headers = {"authorization": "Bearer 1", "x-request-id": "r", "x-request-timeout": "20"}
            assert running.client.post("/v1/models/m:explain", json=ROWS, headers=headers).status_code == 200
        first, second = inner.asked
        assert first.json == {"instances": [[1, 2], [3, 4]]}
        assert second.json == {"instances": [[0.0, 0.0], [0.0, 0.0]]}
        assert second.path == "/v1/models/m:predict"
        assert (second.headers["authorization"], second.headers["x-request-id"]) == ("Bearer 1", "r")
        assert 0 < float(second.headers["x-request-timeout"]) <= 20


def test_a_body_of_v1_goes_to_the_predictor_as_it_is(installed: None, tmp_path: Path) -> None:
    with predictor() as inner:
        inner.say(200, {"anything": 1})
        with running_server({"m": None}, predictor_host=inner.host, **explained(tmp_path)) as running:
            body = {"instances": [{"text": "a"}, {"text": "b"}], "more": [1]}
            assert running.client.post("/v1/models/m:predict", json=body).json() == {"anything": 1}
        assert inner.asked[0].json == body


def test_what_the_predictor_refuses_is_told_to_the_client(installed: None, tmp_path: Path) -> None:
    with predictor() as inner:
        inner.say(400, {"error": "two features are expected"})
        with running_server({"m": None}, predictor_host=inner.host, **explained(tmp_path)) as running:
            answer = running.client.post("/v1/models/m:explain", json=ROWS)
    assert (answer.status_code, answer.json()) == (400, {"error": "two features are expected"})


def test_a_client_that_goes_ends_the_explanation_of_a_component(installed: None, tmp_path: Path) -> None:
    released = threading.Event()
    with predictor() as inner:
        given = inner.answer

        def answer(request: Any) -> tuple[int, Mapping[str, str], bytes]:
            released.wait(30)
            return given(request)

        inner.answer = answer  # type: ignore[assignment]  # of the same form
        with running_server({"m": None}, predictor_host=inner.host, **explained(tmp_path)) as running:
            with posted(running, "/v1/models/m:explain", asked("endless")):
                eventually((tmp_path / "begun").exists)
            eventually((tmp_path / "ended-endless").exists)
            released.set()
            assert running.client.post("/v1/models/m:explain", json=asked("document")).status_code == 200
