"""What all clients together may make a server hold, over both protocols."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import httpx
import numpy as np
import pytest

from fairlead.testing import RunningServer, running_server
from fairlead_tests.grpc.asking import body, channel_to, infer, refused
from fairlead_tests.models import ECHO, write
from fairlead_tests.rest.test_connections import Raw, head
from fairlead_tests.waiting import eventually

PREDICT = "/v1/models/echo:predict"
SMALL = b'{"instances":[1]}'
LARGE = b'{"instances":[1]' + b" " * 60_000 + b"}"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    path = write(tmp_path_factory.mktemp("models"), ECHO, "echo.py")
    with running_server({"echo": path}, grpc=True, max_body_bytes=100_000, max_body_bytes_in_flight=150_000) as running:
        yield running


@pytest.fixture
def held(server: RunningServer) -> Iterator[Raw]:
    """A client that has sent nearly all of a large body."""
    with Raw(server) as raw:
        raw.send(head(PREDICT, "Content-Length: 100000") + b" " * 99_999)
        eventually(lambda: server.engine.intake.held == 99_999)
        yield raw


@pytest.mark.parametrize("content", [LARGE, iter([LARGE[:1000], LARGE[1000:]])], ids=["whole", "chunked"])
@pytest.mark.usefixtures("held")
def test_a_large_request_is_refused_while_others_hold_too_much(
    server: RunningServer, content: bytes | Iterator[bytes]
) -> None:
    response = server.client.post(PREDICT, content=content, headers={"content-type": "application/json"})
    assert response.status_code == 429
    assert "--max-body-bytes-in-flight" in response.json()["error"]
    assert int(response.headers["retry-after"]) >= 1
    assert server.client.post(PREDICT, content=SMALL).json() == {"predictions": [1]}


@pytest.mark.usefixtures("held")
def test_a_large_call_is_refused_while_rest_holds_too_much(server: RunningServer) -> None:
    with channel_to(server) as channel:
        refusal = refused(channel, body("echo", np.zeros((1, 8000))))
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert infer(channel, body("echo")).model_name == "echo"


@pytest.mark.parametrize("ends", ["answered", "gone"])
def test_who_is_answered_or_has_gone_holds_nothing(server: RunningServer, held: Raw, ends: str) -> None:
    if ends == "gone":
        held.socket.close()
    else:
        assert held.send(b" ").answer()[0] == 400
    eventually(lambda: server.engine.intake.held == 0)
    assert server.client.post(PREDICT, content=LARGE).json() == {"predictions": [1]}


def test_nothing_is_held_once_all_are_answered(server: RunningServer) -> None:
    with channel_to(server) as channel:
        infer(channel, body("echo", np.zeros((1, 8000))))
        refused(channel, body("none", np.zeros((1, 8000))))
    for content in (SMALL, LARGE, b"no JSON", iter([SMALL])):
        server.client.post(PREDICT, content=content)
    compressed = httpx.Request(
        "POST", f"{server.url}{PREDICT}", content=b"no gzip", headers={"content-encoding": "gzip"}
    )
    assert server.client.send(compressed).status_code == 400
    eventually(lambda: server.engine.intake.held == 0)
