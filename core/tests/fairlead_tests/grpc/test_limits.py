"""What a client cannot do to a server: too much, too large, too slow, or nothing at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from fairlead import errors
from fairlead.settings import ServerSettings
from fairlead.testing import RunningServer, running_server
from fairlead_tests import models
from fairlead_tests.grpc.asking import INFER, body, call, channel_to, code_of, infer, open_gate, refused
from fairlead_tests.grpc.test_control import SERVING, health
from fairlead_tests.waiting import eventually

CODE = grpc.StatusCode
MIB = 1024 * 1024
LARGE = """
    import numpy as np
    from fairlead import CustomModel

    class Large(CustomModel):
        def predict(self, x: np.ndarray) -> np.ndarray:
            return np.zeros((int(x.ravel()[0]), 1024), np.float32)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("models")
    paths = {
        "echo": models.write(folder, models.ECHO, "echo/model.py"),
        "large": models.write(folder, LARGE, "large/model.py"),
    }
    limits: dict[str, Any] = {"grpc_max_receive_message_length": MIB, "grpc_max_send_message_length": MIB}
    with running_server(paths, grpc=True, grpc_max_concurrent_calls=32, **limits) as running:
        yield running


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that ends a call which has sent no message for two seconds, once another comes."""
    path = models.write(tmp_path, models.ECHO)
    with running_server({"echo": path}, grpc=True, grpc_max_concurrent_calls=32, body_timeout=2.0) as running:
        yield running


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with channel_to(server, max_receive_message_length=-1, max_send_message_length=-1) as made:
        yield made


def goes_on(channel: grpc.Channel) -> bool:
    return bool(infer(channel, body("echo")).model_name == "echo" and health(channel) == SERVING)


def test_a_message_over_the_cap_is_refused(channel: grpc.Channel) -> None:
    refusal = refused(channel, body("echo", np.zeros((2, MIB), np.uint8)))
    assert refusal.code is CODE.RESOURCE_EXHAUSTED
    assert goes_on(channel)


def test_a_message_that_expands_over_the_cap_is_refused(channel: grpc.Channel) -> None:
    bomb = body("echo", np.zeros((64, MIB), np.uint8))
    refusal = refused(channel, bomb, compression=grpc.Compression.Gzip)
    assert refusal.code in (CODE.RESOURCE_EXHAUSTED, CODE.INTERNAL)
    assert goes_on(channel)


def test_a_message_may_be_compressed(channel: grpc.Channel) -> None:
    assert infer(channel, body("echo"), compression=grpc.Compression.Gzip).model_name == "echo"


def test_an_answer_over_the_cap_says_so(channel: grpc.Channel) -> None:
    refusal = refused(channel, body("large", np.array([[1000.0]])))
    assert refusal.code is CODE.RESOURCE_EXHAUSTED
    assert "--grpc-max-send-message-length" in refusal.details
    assert goes_on(channel)


def test_metadata_of_a_megabyte_is_refused(channel: grpc.Channel) -> None:
    refusal = refused(channel, body("echo"), metadata=(("x-large", "x" * MIB),))
    assert refusal.code in (CODE.RESOURCE_EXHAUSTED, CODE.UNAVAILABLE, CODE.INTERNAL)
    assert goes_on(channel)


def silent(channel: grpc.Channel, end: threading.Event) -> Any:
    """A call that sends no message until the event is set."""

    def nothing() -> Iterator[bytes]:
        end.wait(30)
        yield from ()

    method: Any = channel.stream_unary(INFER)
    return method.future(nothing(), timeout=30)


def test_calls_that_send_nothing_hold_up_nobody_and_are_ended(hasty: RunningServer) -> None:
    end = threading.Event()
    with channel_to(hasty) as slow, channel_to(hasty) as channel:
        calls = [silent(slow, end) for _ in range(32)]
        assert health(channel) == SERVING
        eventually(lambda: _outcome(channel) == "OK")
        eventually(lambda: _outcome(channel) == "OK" and all(each.done() for each in calls))
        end.set()
        assert {each.code() for each in calls} == {CODE.DEADLINE_EXCEEDED}
    with channel_to(hasty) as channel:
        assert goes_on(channel)


def _outcome(channel: grpc.Channel) -> str:
    try:
        infer(channel, body("echo"))
    except grpc.RpcError as error:
        return code_of(error).name
    return "OK"


def test_a_call_that_ends_without_a_message_is_refused(channel: grpc.Channel) -> None:
    end = threading.Event()
    end.set()
    with pytest.raises(grpc.RpcError) as raised:
        silent(channel, end).result(30)
    assert code_of(raised.value) is CODE.INVALID_ARGUMENT
    assert goes_on(channel)


def test_calls_that_are_reset_at_once_leave_nothing_behind(server: RunningServer) -> None:
    for _ in range(20):
        with channel_to(server) as channel:
            for _ in range(50):
                call(channel, INFER).future(body("echo"), timeout=30).cancel()
    with channel_to(server) as channel:
        held = [call(channel, INFER).future(body("echo"), timeout=30) for _ in range(32)]
        assert len([each.result(30) for each in held]) == 32  # as many as may be at a time


def test_calls_beyond_the_limit_are_refused_and_probes_are_not(tmp_path: Path, interface: str) -> None:
    path = models.write(tmp_path, models.GATED)
    gate = tmp_path / "gate"
    with (
        running_server({"gated": path}, grpc=True, grpc_max_concurrent_calls=2, max_threads=3) as running,
        channel_to(running) as channel,
    ):
        os.mkfifo(gate)
        held = [call(channel, INFER).future(body("gated"), timeout=30) for _ in range(2)]
        eventually(lambda: running.engine.serving("gated").in_flight == 2)
        eventually((tmp_path / "calls").exists)
        refusal = refused(channel, body("gated"))
        assert refusal.code is CODE.RESOURCE_EXHAUSTED
        assert refusal.trailing["retry-after"] == "1"
        assert health(channel) == SERVING
        for each in held:
            each.cancel()
        open_gate(gate)
        eventually(lambda: _is_gated_free(channel))


def _is_gated_free(channel: grpc.Channel) -> bool:
    try:
        return bool(infer(channel, body("gated")).model_name == "gated")
    except grpc.RpcError:
        return False


def test_a_full_queue_refuses_the_next_call(tmp_path: Path) -> None:
    path = models.write(tmp_path, models.GATED)
    gate = tmp_path / "gate"
    with running_server({"gated": path}, grpc=True, max_queue_size=1) as running, channel_to(running) as channel:
        (tmp_path / "calls").unlink(missing_ok=True)
        os.mkfifo(gate)
        held = [call(channel, INFER).future(body("gated"), timeout=30)]
        eventually((tmp_path / "calls").exists)
        held.append(call(channel, INFER).future(body("gated"), timeout=30))
        eventually(lambda: running.engine.serving("gated").in_flight == 2)
        refusal = refused(channel, body("gated"))
        assert refusal.code is CODE.RESOURCE_EXHAUSTED
        assert "overloaded" in refusal.details
        assert int(refusal.trailing["grpc-retry-pushback-ms"]) >= 1000
        for each in held:
            each.cancel()
        open_gate(gate)


# -- the port -------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_said_with_what_to_do(server: RunningServer) -> None:
    from fairlead.grpc.server import GrpcServer

    assert server.grpc_address is not None
    taken = int(server.grpc_address.rpartition(":")[2])
    with pytest.raises(errors.ConfigurationError, match=rf"Cannot listen on 127\.0\.0\.1:{taken} for gRPC") as raised:
        GrpcServer(server.engine, port=taken).listen()
    assert "--grpc-port" in str(raised.value)
    assert "--enable-grpc false" in str(raised.value)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="are both 9000"):
        ServerSettings(http_port=9000, grpc_port=9000)
    with pytest.raises(errors.ConfigurationError, match="65536"):
        ServerSettings(grpc_port=65536)
    with pytest.raises(errors.ConfigurationError, match="at least 1 thread"):
        ServerSettings(max_threads=0)


def test_who_lets_the_system_choose_one_port_lets_it_choose_both() -> None:
    assert ServerSettings.from_environment({}, http_port=0).grpc_port == 0
    assert ServerSettings.from_environment({}, http_port=0, grpc_port=9001).grpc_port == 9001
    assert ServerSettings.from_environment({"FAIRLEAD_GRPC_PORT": "9001"}, http_port=0).grpc_port == 9001
    assert ServerSettings.from_environment({}).grpc_port == 8081
