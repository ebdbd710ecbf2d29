"""Questions that are answered on the connection itself, beside the same ones that go through the application."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.testing import RunningServer, running_server
from fairlead_tests.models import ASYNC_ECHO, DOUBLER, ECHO, GATED, write
from fairlead_tests.rest.test_connections import Raw, head, infer
from fairlead_tests.waiting import eventually

TENSOR = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}
QUESTIONS: list[tuple[str, Any, dict[str, str]]] = [
    ("/v1/models/double:predict", {"instances": [[1, 2]]}, {}),
    ("/v1/models/double:predict", {"instances": [[1, 2, 3]]}, {}),
    ("/v1/models/double:predict", {"instances": "text"}, {}),
    ("/v1/models/double:explain", {"instances": [[1, 2]]}, {}),
    ("/v1/models/echo:predict", {"any": "thing"}, {}),
    ("/v2/models/echo/infer", {"inputs": [TENSOR], "id": "7"}, {}),
    ("/v2/models/echo/infer", {"inputs": [TENSOR], "id": "8", "outputs": [{"name": "y"}]}, {}),
    ("/v2/models/echo/infer", {"inputs": [{}], "id": "9"}, {}),
    ("/v2/models/later/infer", {"inputs": [TENSOR], "id": "10"}, {}),
    ("/v2/models/echo/infer", {"inputs": [TENSOR], "id": "11"}, {"x-request-timeout": "soon"}),
    ("/v2/models/echo/infer", {"inputs": [TENSOR], "id": "12"}, {"inference-header-content-length": "x"}),
    ("/v2/models/none/infer", {"inputs": [TENSOR], "id": "13"}, {}),
    ("/v2/models/echo/explain", {"inputs": [TENSOR], "id": "14"}, {}),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("models")
    models = {
        "echo": write(folder, ECHO, "echo.py"),
        "double": write(folder, DOUBLER, "double.py"),
        "later": write(folder, ASYNC_ECHO, "later.py"),
    }
    with running_server(models) as running:
        yield running


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[tuple[RunningServer, Path]]:
    """A server whose model answers when a test opens its gate."""
    folder = tmp_path / "gated"
    write(folder, GATED)
    with running_server({"gated": folder}, body_timeout=0.5) as running:
        os.mkfifo(folder / "gate")
        yield running, folder


def calls(folder: Path) -> int:
    path = folder / "calls"
    return path.read_text().count("called") if path.exists() else 0


def ask_gated(number: float = 1) -> bytes:
    body = json.dumps({"instances": [number]}).encode()
    return head("/v1/models/gated:predict", f"Content-Length: {len(body)}") + body


@pytest.mark.parametrize(("path", "document", "headers"), QUESTIONS)
def test_a_question_has_one_answer_whichever_way_it_takes(
    server: RunningServer, path: str, document: Any, headers: dict[str, str]
) -> None:
    body = json.dumps(document).encode()
    headers = {"content-type": "application/json", "x-request-id": "abc", **headers}
    short = server.client.post(path, content=body, headers=headers)
    chunked = server.client.post(path, content=iter([body[:10], body[10:]]), headers=headers)
    assert chunked.request.headers["transfer-encoding"] == "chunked"
    assert (short.status_code, short.content) == (chunked.status_code, chunked.content)
    assert without_date(short) == without_date(chunked)
    assert short.headers["x-request-id"] == "abc"


def without_date(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name != "date"}


def test_many_questions_in_one_piece_are_answered_in_their_order(server: RunningServer) -> None:
    with Raw(server) as raw:
        bodies = [json.dumps({"instances": [[number, 0]]}).encode() for number in range(5)]
        raw.send(b"".join(head("/v1/models/double:predict", f"Content-Length: {len(each)}") + each for each in bodies))
        answers = [json.loads(raw.answer()[1])["predictions"] for _ in bodies]
        assert answers == [[[2.0 * number, 0.0]] for number in range(5)]


def test_a_question_behind_another_kind_of_request_waits_for_its_answer(server: RunningServer) -> None:
    with Raw(server) as raw:
        raw.send(infer() + head("/v2/health/live", method="GET") + infer())
        assert [raw.answer()[0] for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize(
    ("version", "lines", "stays"),
    [("1.1", [], True), ("1.1", ["Connection: close"], False), ("1.0", [], False)],
)
def test_the_connection_stays_or_ends_as_the_client_wants(
    server: RunningServer, version: str, lines: list[str], stays: bool
) -> None:
    with Raw(server) as raw:
        raw.send(infer("echo", *lines).replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1))
        assert raw.answer()[0] == 200
        if stays:
            assert raw.send(infer()).answer()[0] == 200
        else:
            assert raw.ends()


def test_a_body_that_comes_byte_by_byte_is_taken_whole(server: RunningServer) -> None:
    with Raw(server) as raw:
        for byte in infer():
            raw.send(bytes([byte]))
        assert json.loads(raw.answer()[1])["outputs"][0]["data"] == [1, 2]


def test_what_a_client_no_longer_waits_for_costs_the_model_nothing(gated: tuple[RunningServer, Path]) -> None:
    running, folder = gated
    serving = running.engine.serving("gated")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(running.client.post, "/v1/models/gated:predict", json={"instances": [0]})
        eventually(lambda: calls(folder) == 1)
        with Raw(running) as raw:
            raw.send(ask_gated())
            eventually(lambda: serving.in_flight == 2)
        eventually(lambda: serving.in_flight == 1)
        (folder / "gate").write_text("")
        assert held.result().status_code == 200
    assert calls(folder) == 1


@pytest.mark.parametrize(
    "line", ["X-Request-Timeout: 0.05", "X-Envoy-Expected-Rq-Timeout-Ms: 50"], ids=["seconds", "milliseconds"]
)
def test_a_client_is_told_when_its_own_deadline_has_passed(gated: tuple[RunningServer, Path], line: str) -> None:
    running, folder = gated
    name, value = line.split(": ")
    late = running.client.post("/v1/models/gated:predict", json={"instances": [0]}, headers={name: value})
    assert (late.status_code, "within 0.05 seconds" in late.json()["error"]) == (504, True)
    threading.Thread(target=(folder / "gate").write_text, args=("",), daemon=True).start()


@pytest.mark.parametrize("value", ["", "0", "-1", "nan", "inf", "1s"])
def test_a_deadline_that_is_none_is_refused(server: RunningServer, value: str) -> None:
    refused = server.client.post(
        "/v2/models/echo/infer", json={"inputs": [TENSOR]}, headers={"x-request-timeout": value}
    )
    assert (refused.status_code, "x-request-timeout" in refused.json()["error"]) == (400, True)


def test_a_body_that_stops_half_way_is_refused_and_what_still_comes_is_dropped(
    gated: tuple[RunningServer, Path],
) -> None:
    running, _ = gated
    whole = ask_gated()
    with Raw(running) as raw:
        raw.send(whole[:-3])
        status, body = raw.answer()
        assert (status, json.loads(body)["error"]) == (400, "The body was not complete within 0.5 seconds.")
        raw.send(whole[-3:] + head("/v2/health/live", method="GET"))
        assert raw.answer()[0] == 200


def test_a_client_that_goes_in_the_middle_of_its_body_leaves_nothing_behind(server: RunningServer) -> None:
    with Raw(server) as raw:
        raw.send(infer()[:-3])
        raw.socket.shutdown(socket.SHUT_RDWR)
    assert server.engine.serving("echo").in_flight == 0
    assert server.client.post("/v2/models/echo/infer", json={"inputs": [TENSOR]}).status_code == 200
