"""What models answer and raise, as it goes out; and what a long body costs everybody else."""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from fairlead.testing import running_server
from fairlead_tests.models import ECHO, write

HEADERS = """
    from typing import Any
    from fairlead import CustomModel, InferResponse

    class Headers(CustomModel):
        def predict(self, body: dict[str, Any]) -> InferResponse:
            return InferResponse(model_name="", payload=b"raw" if body["raw"] else {}, headers=body["headers"])
"""
RAISES = """
    import asyncio
    from fairlead import CustomModel, InferRequest, InferResponse

    class Raises(CustomModel):
        async def predict(self, request: InferRequest) -> InferResponse:
            if request.parameters:
                raise {"cancel": asyncio.CancelledError, "interrupt": KeyboardInterrupt}[request.parameters["how"]]
            return InferResponse(model_name="", outputs=request.inputs)
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("models")
    sources = {"headers": HEADERS, "raises": RAISES, "echo": ECHO}
    with running_server({name: write(folder, text, f"{name}.py") for name, text in sources.items()}) as running:
        yield running.client


# -- headers of a model's own ---------------------------------------------------------------------------


def answered(client: httpx.Client, headers: dict[str, object], raw: bool = False) -> httpx.Response:
    return client.post("/v1/models/headers:predict", json={"headers": headers, "raw": raw})


def test_a_models_headers_go_out(client: httpx.Client) -> None:
    assert answered(client, {"X-Cost": "7 \u00b5s"}).headers["x-cost"] == "7 \u00b5s"


@pytest.mark.parametrize(
    ("name", "value"),
    [("x", "a\r\nset-cookie: b"), ("x", "a\0"), ("x: y\r\nz", "a"), ("", "a"), ("x", "\u20ac"), ("x", 7)],
)
def test_a_header_that_http_cannot_carry_fails_the_request_and_injects_nothing(
    client: httpx.Client, name: str, value: object
) -> None:
    response = answered(client, {name: value})
    assert response.status_code == 500
    assert "a header that HTTP cannot carry" in response.json()["error"]
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Connection", "X-Request-Id", "Date"])
def test_headers_of_the_transport_are_not_a_models_to_set(client: httpx.Client, name: str) -> None:
    response = answered(client, {name: "close"})
    assert response.status_code == 200
    assert response.headers.get_list(name) != ["close"]
    assert len(response.headers.get_list(name)) < 2


def test_the_content_type_of_bytes_is_the_models_and_that_of_json_is_not(client: httpx.Client) -> None:
    assert answered(client, {"Content-Type": "image/png"}, raw=True).headers["content-type"] == "image/png"
    assert "content-type" not in answered(client, {}, raw=True).headers
    assert answered(client, {"Content-Type": "image/png"}).headers["content-type"] == "application/json"


# -- exceptions of a model that awaits ------------------------------------------------------------------


@pytest.mark.parametrize(("how", "name"), [("cancel", "CancelledError"), ("interrupt", "KeyboardInterrupt")])
def test_what_would_end_the_loop_or_the_request_is_a_failure_of_the_model(
    client: httpx.Client, how: str, name: str
) -> None:
    tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
    response = client.post("/v2/models/raises/infer", json={"inputs": [tensor], "parameters": {"how": how}})
    assert (response.status_code, response.json()["error"].startswith(name)) == (500, True)
    assert client.post("/v2/models/raises/infer", json={"inputs": [tensor]}).status_code == 200


# -- log lines ------------------------------------------------------------------------------------------


def test_a_client_cannot_write_log_lines(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    model = write(tmp_path_factory.mktemp("model"), ECHO)
    caplog.set_level(logging.INFO, "fairlead.access")
    with running_server({"echo": model}, access_log=True) as running:
        running.client.post("/v2/models/a%0Ainfo%20forged%1b%5b31m/infer")
    lines = [record.getMessage() for record in caplog.records if record.name == "fairlead.access"]
    assert lines[0].startswith("POST /v2/models/a%0Ainfo%20forged%1b%5b31m/infer 404")


# -- long bodies ----------------------------------------------------------------------------------------


def test_probes_are_answered_while_a_long_body_is_read(client: httpx.Client) -> None:
    count = 1_000_000
    tensor = {"name": "x", "shape": [count], "datatype": "BYTES", "parameters": {"binary_data_size": 5 * count}}
    document = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    body = document + struct.pack("<Ic", 1, b"a") * count
    headers = {"inference-header-content-length": str(len(document))}
    answered = 0
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.post, "/v2/models/echo/infer", content=body, headers=headers)
        while not asked.done():
            assert client.get("/v2/health/live").status_code == 200
            answered += 1
    assert asked.result().status_code == 200
    assert answered > 3  # before the body is there, while it is read, and after, there could be one each


def test_what_is_read_beside_the_loop_is_answered_like_everything_else(client: httpx.Client) -> None:
    rows = [[float(number)] * 10 for number in range(20_000)]
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(client.post, "/v1/models/echo:predict", json={"instances": [[start, *row] for row in rows]})
            for start in range(4)
        ]
    for start, answer in enumerate(asked):
        assert answer.result().json() == {"predictions": [[start, *row] for row in rows]}
    wrong = client.post("/v1/models/echo:predict", content=b'{"instances": [' + b" " * 300_000)
    assert (wrong.status_code, "Unrecognized request format" in wrong.json()["error"]) == (400, True)
