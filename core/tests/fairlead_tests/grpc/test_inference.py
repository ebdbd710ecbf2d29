"""ModelInfer over real channels: answers, errors, metadata, deadlines and clients that go away."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.protocol._pb import messages
from fairlead.testing import RunningServer, running_server
from fairlead_tests import models
from fairlead_tests.grpc.asking import INFER, ask, body, call, channel_to, infer, open_gate, refused
from fairlead_tests.waiting import eventually

ODD = """
    from fairlead import CustomModel, InferRequest, InferResponse, errors

    class Odd(CustomModel):
        def predict(self, request: InferRequest) -> InferResponse:
            asked = request.parameters.get("do")
            if asked == "raise":
                raise ValueError("a secret of the model's")
            if asked == "overload":
                raise errors.Overloaded("full", retry_after=7)
            if asked == "headers":
                return InferResponse(model_name="", outputs=request.inputs, headers={"X-Model": "odd"})
            if asked == "wrong headers":
                return InferResponse(model_name="", outputs=request.inputs, headers={"x": "a\\nb"})
            if asked == "long":
                raise ValueError("ü" * 5000)
            if asked == "see":
                seen = {key: str(value) for key, value in request.headers.items()}
                return InferResponse(model_name="", outputs=request.inputs, parameters=seen)
            return InferResponse(model_name="", outputs=request.inputs)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("models")
    paths = {
        "odd": models.write(folder, ODD, "odd/model.py"),
        "echo": models.write(folder, models.ECHO, "echo/model.py"),
        "doubler": models.write(folder, models.DOUBLER, "doubler/model.py"),
        "async": models.write(folder, models.ASYNC_ECHO, "async/model.py"),
    }
    with running_server(paths, grpc=True) as running:
        yield running


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with channel_to(server) as made:
        yield made


def doing(what: str) -> bytes:
    made = messages.ModelInferRequest.FromString(body("odd"))
    made.parameters["do"].string_param = what
    return made.SerializeToString()


@pytest.mark.parametrize("model", ["echo", "async"])
def test_a_model_answers(channel: grpc.Channel, model: str) -> None:
    answer = infer(channel, body(model, id="7"))
    assert (answer.model_name, answer.id) == (model, "7")
    assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist() == [1, 2]


def test_a_server_answers_through_either_interface(tmp_path: Path, interface: str) -> None:
    with running_server({"m": models.write(tmp_path, ODD)}, grpc=True) as running, channel_to(running) as channel:
        made = messages.ModelInferRequest.FromString(body("m"))
        answer, told = call(channel, INFER).with_call(made.SerializeToString(), timeout=30)
        assert messages.ModelInferResponse.FromString(answer).model_name == "m"
        assert "x-request-id" in {each.key for each in told.trailing_metadata()}
        made.parameters["do"].string_param = "headers"
        _, told = call(channel, INFER).with_call(made.SerializeToString(), timeout=30)
        assert ("x-model", "odd") in [(each.key, each.value) for each in told.initial_metadata()]
        made.parameters["do"].string_param = "overload"
        assert refused(channel, made.SerializeToString()).trailing["retry-after"] == "7"
        assert refused(channel, body("unknown")).code is grpc.StatusCode.NOT_FOUND
        assert ask(channel, "ServerReady", messages.ServerReadyRequest(), messages.ServerReadyResponse).ready


def test_calls_that_wait_join_one_batch_whatever_the_number_of_threads(server: RunningServer) -> None:
    with channel_to(server) as channel, ThreadPoolExecutor(64) as pool:
        rows = [np.full((1, 2), index, np.float64) for index in range(400)]
        answers = list(pool.map(lambda row: infer(channel, body("doubler", row)), rows))
    for row, answer in zip(rows, answers, strict=True):
        assert np.frombuffer(answer.raw_output_contents[0]).tolist() == (row * 2).ravel().tolist()


# -- errors ---------------------------------------------------------------------------------------------


def test_each_error_has_its_code(channel: grpc.Channel, server: RunningServer) -> None:
    code = grpc.StatusCode
    for request, wanted, text in (
        (b"\xff\xff", code.INVALID_ARGUMENT, "no inference.ModelInferRequest"),
        (body("unknown"), code.NOT_FOUND, "Model with name unknown does not exist."),
        (body("echo", model_version="1"), code.UNIMPLEMENTED, "Model versioning not supported yet."),
        (messages.ModelInferRequest(model_name="echo").SerializeToString(), code.INVALID_ARGUMENT, "no inputs"),
        (doing("raise"), code.INTERNAL, "ValueError : a secret of the model's"),
        (doing("overload"), code.RESOURCE_EXHAUSTED, "full"),
        (doing("wrong headers"), code.INTERNAL, "a header that gRPC cannot carry: 'x'"),
    ):
        refusal = refused(channel, request)
        assert (refusal.code, text in refusal.details) == (wanted, True), refusal


def test_a_model_that_is_not_ready_is_unavailable(tmp_path: Path) -> None:
    with running_server({"m": models.write(tmp_path, models.ECHO)}, grpc=True) as running:
        running.client.post("/v2/repository/models/m/unload").raise_for_status()
        with channel_to(running) as channel:
            refusal = refused(channel, body("m"))
    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert refusal.trailing["retry-after"] == "1"


def test_a_client_that_is_refused_is_told_when_to_come_again(channel: grpc.Channel) -> None:
    trailing = refused(channel, doing("overload")).trailing
    assert trailing["retry-after"] == "7"
    assert trailing["grpc-retry-pushback-ms"] == "7000"


def test_a_text_of_any_length_reaches_the_client(channel: grpc.Channel) -> None:
    refusal = refused(channel, doing("long"))
    assert refusal.code is grpc.StatusCode.INTERNAL
    assert refusal.details.endswith("ü ...")


def test_an_unknown_method_is_unimplemented(channel: grpc.Channel) -> None:
    path = "/inference.GRPCInferenceService/ModelStreamInfer"
    assert refused(channel, b"", path).code is grpc.StatusCode.UNIMPLEMENTED


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_the_clients_mistake(channel: grpc.Channel, request_body: bytes) -> None:
    code = grpc.StatusCode
    assert refused(channel, request_body).code in (code.INVALID_ARGUMENT, code.NOT_FOUND)


# -- metadata -------------------------------------------------------------------------------------------


def test_metadata_reaches_the_model_as_headers(channel: grpc.Channel) -> None:
    sent = (("x-tenant", "a"), ("x-request-id", "42"), ("x-raw-bin", b"\xff"))
    answer = infer(channel, doing("see"), metadata=sent)
    assert answer.parameters["x-tenant"].string_param == "a"
    assert "user-agent" in answer.parameters
    assert "x-raw-bin" not in answer.parameters


def test_request_ids_are_taken_or_made_and_returned(channel: grpc.Channel) -> None:
    def returned(*metadata: Any) -> str:
        _, told = call(channel, INFER).with_call(body("echo"), metadata=metadata, timeout=30)
        return str({each.key: each.value for each in told.trailing_metadata()}["x-request-id"])

    assert returned(("x-request-id", "42")) == "42"
    assert len(returned()) == 32
    assert len(returned(("x-request-id", "with spaces"))) == 32
    assert refused(channel, body("unknown"), metadata=(("x-request-id", "43"),)).trailing["x-request-id"] == "43"


def test_headers_of_an_answer_are_initial_metadata(channel: grpc.Channel) -> None:
    _, told = call(channel, INFER).with_call(doing("headers"), timeout=30)
    assert ("x-model", "odd") in [(each.key, each.value) for each in told.initial_metadata()]


# -- deadlines and cancellation -------------------------------------------------------------------------


@pytest.fixture
def gated(tmp_path: Path, interface: str) -> Iterator[tuple[RunningServer, Path, Path]]:
    path = models.write(tmp_path, models.GATED)
    gate, calls = tmp_path / "gate", tmp_path / "calls"
    with running_server({"gated": path}, grpc=True) as running:
        calls.unlink(missing_ok=True)  # the sample
        os.mkfifo(gate)
        yield running, gate, calls


def hold(server: RunningServer, channel: grpc.Channel, calls: Path) -> Any:
    """A call in which the model is busy until the gate opens."""
    held = call(channel, INFER).future(body("gated"), timeout=30)
    eventually(calls.exists)
    return held


def waiting(server: RunningServer) -> int:
    return server.engine.serving("gated").in_flight


def test_a_call_past_its_deadline_costs_the_model_nothing(gated: tuple[RunningServer, Path, Path]) -> None:
    server, gate, calls = gated
    with channel_to(server) as channel:
        held = hold(server, channel, calls)
        assert refused(channel, body("gated"), timeout=0.2).code is grpc.StatusCode.DEADLINE_EXCEEDED
        eventually(lambda: waiting(server) == 1)
        open_gate(gate)
        held.result(30)
        assert calls.read_text().count("called") == 1


def test_a_call_that_is_cancelled_costs_the_model_nothing(gated: tuple[RunningServer, Path, Path]) -> None:
    server, gate, calls = gated
    with channel_to(server) as channel:
        held = hold(server, channel, calls)
        given_up = call(channel, INFER).future(body("gated"), timeout=30)
        eventually(lambda: waiting(server) == 2)
        given_up.cancel()
        eventually(lambda: waiting(server) == 1)
        open_gate(gate)
        held.result(30)
        assert calls.read_text().count("called") == 1


def test_a_client_that_goes_away_costs_the_model_nothing(gated: tuple[RunningServer, Path, Path]) -> None:
    server, gate, calls = gated
    with channel_to(server) as channel:
        held = hold(server, channel, calls)
        with channel_to(server) as other:
            lost = call(other, INFER).future(body("gated"), timeout=30)
            eventually(lambda: waiting(server) == 2)
            assert not lost.done()
        eventually(lambda: waiting(server) == 1)
        open_gate(gate)
        held.result(30)
        assert calls.read_text().count("called") == 1


def test_a_call_that_is_given_up_is_counted_as_cancelled(gated: tuple[RunningServer, Path, Path]) -> None:
    server, gate, calls = gated
    with channel_to(server) as channel:
        held = hold(server, channel, calls)
        held.cancel()
        eventually(lambda: 'code="CANCELLED"' in server.client.get("/metrics").text)
        open_gate(gate)


# -- what is left behind --------------------------------------------------------------------------------


def test_calls_are_counted_by_the_name_of_their_code(channel: grpc.Channel, server: RunningServer) -> None:
    infer(channel, body("echo"))
    refused(channel, body("echo", model_version="1"))

    def counted(code: str) -> bool:
        line = f'fairlead_requests_total{{code="{code}",model_name="echo",protocol="grpc"}}'
        return line in server.client.get("/metrics").text

    eventually(lambda: counted("OK") and counted("UNIMPLEMENTED"))
    assert "unknown" not in server.client.get("/metrics").text
    assert 'request_preprocess_seconds_count{model_name="echo"}' in server.client.get("/metrics").text


def test_the_access_log_has_a_line_for_each_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fairlead.access")
    path = models.write(tmp_path, models.ECHO)
    with running_server({"m": path}, grpc=True, access_log=True) as running, channel_to(running) as channel:
        infer(channel, body("m"), metadata=(("x-request-id", "42"),))
        eventually(lambda: any(record.name == "fairlead.access" for record in caplog.records))
    record = next(record for record in caplog.records if record.name == "fairlead.access")
    assert record.__dict__["request_id"] == "42"
    assert record.__dict__["status"] == "OK"
    assert "/inference.GRPCInferenceService/ModelInfer" in record.getMessage()


def test_a_failure_of_the_model_is_logged_with_its_traceback(
    channel: grpc.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    refused(channel, doing("raise"), metadata=(("x-request-id", "44"),))
    eventually(lambda: any("request 44 to model odd failed" in record.getMessage() for record in caplog.records))
    record = next(record for record in caplog.records if "request 44" in record.getMessage())
    assert record.exc_info is not None


def test_a_model_is_loaded_by_the_first_call_where_models_are_loaded_on_demand(tmp_path: Path) -> None:
    from fairlead.engine.repository import Repository

    models.write(tmp_path, models.ECHO, "late/model.py")
    with (
        running_server({}, repository=Repository(tmp_path), grpc=True, load_on_demand=True) as running,
        channel_to(running) as channel,
    ):
        assert infer(channel, body("late")).model_name == "late"
        assert refused(channel, body("unknown")).code is grpc.StatusCode.NOT_FOUND


def test_threads_are_not_used_up_by_calls_that_wait(tmp_path: Path) -> None:
    path = models.write(tmp_path, models.GATED)
    with running_server({"gated": path}, grpc=True, max_threads=1) as running, channel_to(running) as channel:
        os.mkfifo(tmp_path / "gate")
        held = [call(channel, INFER).future(body("gated"), timeout=30) for _ in range(20)]
        eventually(lambda: running.engine.serving("gated").in_flight == 20)  # with one thread to handle them
        open_gate(tmp_path / "gate")
        for each in held:
            each.result(30)


QUICK = """
    import numpy as np
    from fairlead import CustomModel

    class Quick(CustomModel):
        any_thread = True
        batching = True

        def predict(self, x: np.ndarray) -> np.ndarray:
            return x * 2
"""


def test_every_call_gets_its_own_answer_whether_calls_come_one_at_a_time_or_overlap(
    tmp_path: Path, interface: str
) -> None:
    def doubled(channel: grpc.Channel, start: int, count: int) -> bool:
        found = []
        for number in range(start, start + count):
            answer = infer(channel, body("quick", np.array([[float(number)]])))
            found.append(np.frombuffer(answer.raw_output_contents[0]).tolist() == [2.0 * number])
        return all(found)

    path = models.write(tmp_path, QUICK)
    with running_server({"quick": path}, grpc=True) as running, channel_to(running) as channel:
        assert doubled(channel, 0, 300)
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda client: doubled(channel, 1000 * client, 100), range(8)))
        assert doubled(channel, 0, 50)
        refusal = refused(channel, body("none", np.zeros((1, 1))))
        assert refusal.code is grpc.StatusCode.NOT_FOUND


def test_calls_are_answered_all_the_while_that_their_model_is_loaded_anew(tmp_path: Path, interface: str) -> None:
    path = models.write(tmp_path / "quick", QUICK)
    message = messages.ModelInferRequest(model_name="quick")
    tensor = message.inputs.add(name="x", datatype="INT64", shape=[1, 100_000])
    tensor.contents.int64_contents.extend(range(10**6, 10**6 + 100_000))  # long to decode, so that models come and go
    large, small = message.SerializeToString(), body("quick")
    stop = threading.Event()

    def ask_on(request: bytes) -> int:
        count = 0
        with channel_to(running, max_receive_message_length=-1) as channel:
            while not count or not stop.is_set():
                infer(channel, request)
                count += 1
        return count

    with running_server({"quick": path}, grpc=True) as running, ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask_on, request) for request in (large, large, small, small)]
        try:
            for _ in range(15):
                running.client.post("/v2/repository/models/quick/load").raise_for_status()
        finally:
            stop.set()
        assert all(each.result(60) for each in asked)
