"""The routes of a running server, asked by an HTTP client."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.rest.app import Application
from fairlead.rest.controlapp import ControlApplication
from fairlead.rest.inference import Inference
from fairlead.testing import RunningServer, running_server
from fairlead_tests.models import DOUBLER, ECHO, write


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("models")
    models = {"doubler": write(folder, DOUBLER, "doubler.py"), "echo": write(folder, ECHO, "echo.py")}
    with running_server(models, max_body_bytes=100_000, enable_docs_url=True) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: RunningServer) -> httpx.Client:
    return server.client


def v2(values: object = (1, 2), shape: tuple[int, ...] = (1, 2), name: str = "x") -> dict[str, object]:
    return {"inputs": [{"name": name, "shape": shape, "datatype": "FP64", "data": values}]}


# -- what a client of KServe sees -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", {"status": "alive"}),
        ("/v1/models", {"models": ["doubler", "echo"]}),
        ("/v1/models/doubler", {"name": "doubler", "ready": True}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models", {"models": ["doubler", "echo"]}),
        ("/v2/models/doubler/ready", {"name": "doubler", "ready": True}),
        (
            "/v2/models/doubler",
            {
                "name": "doubler",
                "versions": None,
                "platform": "python",
                "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}],
                "outputs": [{"name": "output-0", "datatype": "FP64", "shape": [-1, 2]}],
            },
        ),
    ],
)
def test_get_routes_answer_as_kserve_does(client: httpx.Client, path: str, answer: object) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == answer


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/v1/models/doubler", 200),
        ("/v1/models/d%C3%B6bler", 404),
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
        ("/v2/models/doubler/ready", 200),
        ("/v2/models/absent/ready", 404),
    ],
)
def test_a_probe_is_answered_alike_with_and_without_the_framework(
    server: RunningServer, path: str, status: int
) -> None:
    engine = server.engine
    whole = ControlApplication(engine, Inference(engine))
    applications = (Application(engine), whole)
    short, long = [asyncio.run(_got(httpx.ASGITransport(each), path)) for each in applications]
    assert (short.status_code, short.content) == (status, long.content)
    assert long.status_code == status
    del short.headers["x-request-id"]  # the application's own, in front of both
    assert dict(short.headers) == dict(long.headers)


async def _got(transport: httpx.ASGITransport, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        return await client.get(path)


def test_v1_predict(client: httpx.Client) -> None:
    response = client.post("/v1/models/doubler:predict", json={"instances": [[1, 2], [3, 4]]})
    assert response.content == b'{"predictions":[[2.0,4.0],[6.0,8.0]]}'
    assert response.headers["content-type"] == "application/json"


def test_v2_infer_keeps_key_order_and_nulls(client: httpx.Client) -> None:
    response = client.post("/v2/models/doubler/infer", json={"id": "7", **v2()})
    assert response.content == (
        b'{"model_name":"doubler","model_version":null,"id":"7","parameters":null,"outputs":'
        b'[{"name":"output-0","shape":[1,2],"datatype":"FP64","parameters":null,"data":[2.0,4.0]}]}'
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/v1/models/none", 404, {"error": "Model with name none does not exist."}),
        ("GET", "/v2/models/none", 404, {"error": "Model with name none does not exist."}),
        ("POST", "/v1/models/none:predict", 404, {"error": "Model with name none does not exist."}),
        ("POST", "/v2/models/none/infer", 404, {"error": "Model with name none does not exist."}),
        ("GET", "/v1/models/doubler:predict", 404, {"error": "Model with name doubler:predict does not exist."}),
        ("GET", "/nowhere", 404, {"detail": "Not Found"}),
        ("POST", "/v1/models/a%2Fb:predict", 404, {"detail": "Not Found"}),
        ("POST", "/v2/models/none/explain", 404, {"error": "Model with name none does not exist."}),
        ("GET", "/v2/models/doubler/infer", 405, {"detail": "Method Not Allowed"}),
        ("GET", "/v2/models/doubler/explain", 405, {"detail": "Method Not Allowed"}),
        ("HEAD", "/", 405, None),
        ("GET", "/v2/models/doubler/versions/1", 501, {"error": "Model versioning not supported yet."}),
        ("GET", "/v2/models/doubler/versions/1/ready", 501, {"error": "Model versioning not supported yet."}),
        ("POST", "/v2/models/doubler/versions/1/infer", 501, {"error": "Model versioning not supported yet."}),
        ("POST", "/v2/models/doubler/versions/1/explain", 501, {"error": "Model versioning not supported yet."}),
        ("POST", "/v1/models/doubler:explain", 501, None),
    ],
)
def test_errors_have_the_status_and_the_text_that_kserve_gives(
    client: httpx.Client, method: str, path: str, status: int, body: object
) -> None:
    content = b'{"instances":[[1,2]]}' if method == "POST" else None
    response = client.request(method, path, content=content, headers={"content-type": "application/json"})
    assert response.status_code == status
    if body is not None:
        assert response.json() == body


def test_a_trailing_slash_is_redirected_on_this_server_whatever_host_the_client_names(client: httpx.Client) -> None:
    response = client.get("/v2/?a=b", headers={"host": "elsewhere.example"})
    assert (response.status_code, response.headers["location"]) == (307, "/v2?a=b")


def test_a_schema_mistake_is_told_to_clients_of_kserve_and_of_triton(client: httpx.Client) -> None:
    response = client.post(
        "/v2/models/doubler/infer", json={"inputs": [{"name": "x", "datatype": "FP64", "data": [1]}]}
    )
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "InferenceRequest", "inputs", 0, "shape"]
    assert response.json()["error"] == "inputs.0.shape: Field required"


# -- request ids, compression, media types --------------------------------------------------------------


def test_a_request_id_is_returned(client: httpx.Client) -> None:
    for path in ("/v2", "/v1/models/none"):
        assert client.get(path, headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    answer = client.post("/v2/models/doubler/infer", json=v2(), headers={"x-request-id": "abc-2"})
    assert answer.headers["x-request-id"] == "abc-2"


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129])
def test_a_request_id_is_made_where_none_fit_to_be_logged_is_given(client: httpx.Client, given: str | None) -> None:
    headers = {} if given is None else {"x-request-id": given}
    made = client.post("/v2/models/doubler/infer", json=v2(), headers=headers).headers["x-request-id"]
    assert len(made) == 32
    assert made != given


@pytest.mark.parametrize(("name", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies_are_taken(client: httpx.Client, name: str, compress: object) -> None:
    assert callable(compress)
    body = compress(json.dumps(v2()).encode())
    response = client.post(
        "/v2/models/doubler/infer",
        content=body,
        headers={"content-encoding": name, "content-type": "application/json"},
    )
    assert response.json()["outputs"][0]["data"] == [2.0, 4.0]


def test_an_unknown_content_encoding_is_refused(client: httpx.Client) -> None:
    response = client.post("/v2/models/doubler/infer", content=b"{}", headers={"content-encoding": "br"})
    assert response.status_code == 415
    assert "gzip" in response.json()["error"]


# -- documents and metrics ------------------------------------------------------------------------------


def test_the_openapi_document_describes_the_inference_routes(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {
        "/v1/models/{model_name}:predict",
        "/v1/models/{model_name}:explain",
        "/v2/models/{model_name}/infer",
        "/v2/models/{model_name}/explain",
        "/v2/repository/index",
    } <= paths.keys()


def test_docs_are_shown_when_asked_for(client: httpx.Client) -> None:
    assert "Fairlead" in client.get("/docs").text


def test_metrics_count_by_model_protocol_and_code(client: httpx.Client) -> None:
    client.post("/v1/models/echo:predict", content=b"{")
    text = client.get("/metrics").text
    assert 'fairlead_requests_total{code="400",model_name="echo",protocol="v1"}' in text
    assert 'request_predict_seconds_count{model_name="doubler"}' in text
    assert 'fairlead_model_ready{model_name="doubler"} 1.0' in text


def test_names_of_unknown_models_do_not_become_labels(client: httpx.Client) -> None:
    for number in range(5):
        client.post(f"/v1/models/unknown-{number}:predict", json={"instances": [1]})
    assert "unknown-" not in client.get("/metrics").text


def test_metrics_are_openmetrics_where_the_client_asks_for_them(client: httpx.Client) -> None:
    response = client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


# -- the settings that change what is served ------------------------------------------------------------


def test_a_timeout_of_zero_is_no_timeout(tmp_path: Path) -> None:
    names = ("header_timeout", "body_timeout", "request_timeout", "sample_timeout", "timeout_keep_alive")
    timeouts: dict[str, Any] = dict.fromkeys(names, 0)
    with running_server({"doubler": write(tmp_path, DOUBLER)}, **timeouts) as running:
        for _ in range(3):
            answer = running.client.post("/v1/models/doubler:predict", json={"instances": [[1, 2]]})
            assert answer.headers["connection"] == "close"
            assert running.client.get("/v2").headers["connection"] == "close"
            assert answer.json() == {"predictions": [[2.0, 4.0]]}


def test_the_repository_api_can_be_turned_off(tmp_path: Path) -> None:
    models = {"doubler": write(tmp_path, DOUBLER)}
    with running_server(models, enable_repository_api=False) as running:
        for path in ("index", "models/doubler/load", "models/doubler/unload"):
            assert running.client.post(f"/v2/repository/{path}").status_code == 501
        assert running.client.get("/v1/models/doubler").status_code == 200
        assert running.client.get("/docs").status_code == 404


def test_every_route_of_the_repository_api_is_turned_off_with_it(tmp_path: Path) -> None:
    with running_server({"doubler": write(tmp_path, DOUBLER)}, enable_repository_api=False) as running:
        paths = running.client.get("/openapi.json").json()["paths"]
        guarded = [path.format(model_name="doubler") for path in paths if path.startswith("/v2/repository")]
        assert len(guarded) == 3
        assert {running.client.post(path).status_code for path in guarded} == {501}
