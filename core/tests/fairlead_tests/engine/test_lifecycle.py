"""Loading, reloading, unloading and draining, seen from a running server."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from fairlead import errors
from fairlead.contracts.tensors import InferRequest
from fairlead.engine.repository import Repository
from fairlead.testing import RunningServer, running_server
from fairlead_tests.engine.leaving import posted
from fairlead_tests.models import DOUBLER, GATED, write
from fairlead_tests.waiting import eventually

BODY = {"instances": [[1, 2]]}


def index(server: RunningServer) -> dict[str, tuple[str, str]]:
    entries = server.client.post("/v2/repository/index").json()
    return {entry["name"]: (entry["state"], entry["reason"]) for entry in entries}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "doubler", DOUBLER)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[RunningServer]:
    repository = Repository(folder)
    with running_server({"doubler": folder / "doubler"}, repository=repository) as running:
        yield running


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


# -- a model that does not load -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no weights')", "no weights"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("import no_such_module", "no_such_module"),
        ("x = 1", "CustomModel"),
        ("def broken(:", "SyntaxError|invalid syntax"),
    ],
    ids=["raises", "exits", "misses a module", "holds no model", "is no Python"],
)
def test_a_server_whose_only_model_does_not_load_ends_and_says_why(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(errors.FairleadError, match=reason), running_server({"bad": write(tmp_path, source)}):
        pass


def test_a_model_that_does_not_load_leaves_the_others_alone(folder: Path) -> None:
    bad = write(folder / "bad", "raise RuntimeError('no weights')")
    with running_server({"bad": bad, "doubler": folder / "doubler"}) as running:
        assert running.client.get("/v2/health/ready").status_code == 200
        assert running.client.get("/v2/models/bad/ready").status_code == 503
        assert running.client.post("/v1/models/bad:predict", json=BODY).status_code == 503
        assert running.client.post("/v1/models/doubler:predict", json=BODY).status_code == 200
        state, reason = index(running)["bad"]
        assert state == "UNAVAILABLE"
        assert "no weights" in reason


def test_a_model_that_loads_but_does_not_answer_a_sample_is_not_ready(tmp_path: Path) -> None:
    source = DOUBLER.replace("return x * 2", "raise KeyError('lost')")
    with (
        pytest.raises(errors.SampleFailed, match=r"does not answer a sample.*KeyError: 'lost' \(.*model\.py:11\)\."),
        running_server({"doubler": write(tmp_path, source)}),
    ):
        pass


def test_a_model_that_does_not_answer_its_sample_is_unloaded(tmp_path: Path) -> None:
    source = DOUBLER.replace("return x * 2", "raise KeyError('lost')")
    source += "\n        def unload(self) -> None:\n            self.artifact.joinpath('unloaded').touch()\n"
    with pytest.raises(errors.SampleFailed), running_server({"doubler": write(tmp_path, source)}):
        pass
    eventually((tmp_path / "unloaded").exists)


def test_a_model_that_hangs_on_its_sample_is_not_ready_and_does_not_hang_the_server(folder: Path) -> None:
    source = DOUBLER.replace("return x * 2", "import threading; threading.Event().wait()")
    unknown = DOUBLER.replace("inputs =", "of =").replace("outputs =", "to =")  # so that it is asked for no sample
    models = {"hangs": write(folder / "hangs", source), "doubler": write(folder / "unknown", unknown)}
    with running_server(models, sample_timeout=0.2) as running:
        state, reason = index(running)["hangs"]
        assert state == "UNAVAILABLE"
        assert "no answer within 0.2 seconds" in reason
        assert running.client.post("/v1/models/doubler:predict", json=BODY).status_code == 200


def test_a_model_that_refuses_the_made_up_sample_is_ready_and_says_so(tmp_path: Path) -> None:
    source = DOUBLER.replace(
        "return x * 2", "from fairlead.errors import InvalidInput; raise InvalidInput('zeros are not taken')"
    )
    with running_server({"doubler": write(tmp_path, source)}) as running:
        state, reason = index(running)["doubler"]
        assert state == "READY"
        assert "zeros are not taken" in reason


# -- while a model loads --------------------------------------------------------------------------------


def test_the_server_is_live_and_not_ready_while_its_model_loads(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    source = DOUBLER.replace(
        "batching = True", f"batching = True\n        weights = __import__('pathlib').Path({str(gate)!r}).read_text()"
    )
    with running_server({"doubler": write(tmp_path, source)}, wait=False) as running:
        assert running.client.get("/v2/health/live").status_code == 200
        assert running.client.get("/v2/health/ready").json() == {"error": "Server is not ready."}
        loading = running.client.post("/v1/models/doubler:predict", json=BODY)
        assert loading.status_code in (404, 503)
        gate.write_text("weights")
        eventually(lambda: running.client.get("/v2/health/ready").status_code == 200)
        assert running.client.post("/v1/models/doubler:predict", json=BODY).status_code == 200


# -- the repository API ---------------------------------------------------------------------------------


def test_a_model_of_the_repository_is_loaded_by_name(server: RunningServer, folder: Path) -> None:
    write(folder / "second", DOUBLER)
    assert server.client.post("/v2/repository/models/second/load").json() == {"name": "second", "load": True}
    assert server.client.post("/v1/models/second:predict", json=BODY).status_code == 200
    assert index(server)["second"][0] == "READY"


def test_a_reload_serves_what_is_on_disk_now(server: RunningServer, folder: Path) -> None:
    write(folder / "doubler", DOUBLER.replace("x * 2", "x * 10"))
    assert server.client.post("/v2/repository/models/doubler/load").status_code == 200
    answer = server.client.post("/v1/models/doubler:predict", json=BODY)
    assert answer.json() == {"predictions": [[10.0, 20.0]]}


def test_a_reload_that_fails_says_so_and_the_old_model_goes_on(server: RunningServer, folder: Path) -> None:
    write(folder / "doubler", "raise RuntimeError('no weights')")
    failed = server.client.post("/v2/repository/models/doubler/load")
    assert failed.status_code == 503
    assert "no weights" in failed.json()["error"]
    assert server.client.post("/v1/models/doubler:predict", json=BODY).status_code == 200
    state, reason = index(server)["doubler"]
    assert state == "READY"
    assert "no weights" in reason


def test_an_unloaded_model_is_known_and_not_ready_and_can_be_loaded_again(server: RunningServer) -> None:
    assert server.client.post("/v2/repository/models/doubler/unload").json() == {"name": "doubler", "unload": True}
    assert server.client.post("/v1/models/doubler:predict", json=BODY).status_code == 503
    assert server.client.get("/v1/models").json() == {"models": ["doubler"]}
    assert server.client.post("/v2/repository/index", json={"ready": True}).json() == []
    assert server.client.post("/v2/repository/models/doubler/load").status_code == 200
    assert server.client.post("/v1/models/doubler:predict", json=BODY).status_code == 200


@pytest.mark.parametrize("name", ["none", "..", "%2e%2e", ".hidden", "doubler%2F..%2Fdoubler"])
def test_what_is_no_folder_of_the_repository_is_not_loaded(server: RunningServer, folder: Path, name: str) -> None:
    write(folder / ".hidden", DOUBLER)
    response = server.client.post(f"/v2/repository/models/{name}/load")
    assert response.status_code in (404, 405)
    assert index(server).keys() == {"doubler"}


# -- requests in flight ---------------------------------------------------------------------------------


class Gate:
    """A served model that holds its requests until the test opens the gate."""

    def __init__(self, folder: Path) -> None:
        self.model = write(folder, GATED, "gated.py")
        self.pipe = folder / "gate"
        self.calls = folder / "calls"
        os.mkfifo(self.pipe)

    def wait_for_call(self) -> None:
        eventually(self.calls.exists)

    def open(self) -> None:
        pipe, self.pipe = self.pipe, self.pipe.with_name("opened")
        with pipe.open("w"):
            pipe.unlink()


def ask(server: RunningServer) -> httpx.Response:
    return server.client.post("/v1/models/gated:predict", json=BODY)


def test_probes_are_answered_while_a_model_computes(tmp_path: Path, background: ThreadPoolExecutor) -> None:
    gate = Gate(tmp_path)
    with running_server({"gated": gate.model}) as running:
        asked: Future[httpx.Response] = background.submit(ask, running)
        gate.wait_for_call()
        assert running.client.get("/v2/health/ready").status_code == 200
        assert running.client.get("/metrics").status_code == 200
        gate.open()
        assert asked.result(30).status_code == 200


def test_a_reload_answers_what_is_in_flight_with_the_old_model(tmp_path: Path, background: ThreadPoolExecutor) -> None:
    gate = Gate(tmp_path)
    with running_server({"gated": gate.model}) as running:
        asked = background.submit(ask, running)
        gate.wait_for_call()
        old = running.engine.serving("gated")
        write(tmp_path, DOUBLER.replace('"x", Datatype.FP64', '"any", Datatype.FP64'), "gated.py")
        reload = background.submit(running.client.post, "/v2/repository/models/gated/load")
        eventually(lambda: running.engine.serving("gated") is not old)
        assert ask(running).json() == {"predictions": [[2.0, 4.0]]}
        assert not asked.done()
        gate.open()
        assert asked.result(30).json() == {"predictions": [[1, 2]]}
        assert reload.result(30).status_code == 200


@contextlib.contextmanager
def half_sent(running: RunningServer, name: str) -> Iterator[Callable[[], tuple[int, object]]]:
    """A request of which the server has half of the body; the value sends the other half and returns the answer."""
    body = json.dumps(BODY).encode()
    head = f"POST /v1/models/{name}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2])), timeout=30) as connection:

        def rest() -> tuple[int, object]:
            connection.sendall(body[5:])
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, json.loads(response.read())

        connection.sendall(head.encode() + body[:5])
        # A connection of its own, answered after this one was read.
        assert running.client.get("/v2/health/live").status_code == 200
        yield rest


def test_a_request_whose_model_is_loaded_anew_while_it_is_sent_is_answered_by_the_new_one(
    server: RunningServer, folder: Path
) -> None:
    with half_sent(server, "doubler") as rest:
        write(folder / "doubler", DOUBLER.replace("x * 2", "x * 3"))
        assert server.client.post("/v2/repository/models/doubler/load").status_code == 200
        assert rest() == (200, {"predictions": [[3, 6]]})


def test_a_request_whose_model_is_unloaded_while_it_is_sent_is_told_so(server: RunningServer) -> None:
    with half_sent(server, "doubler") as rest:
        assert server.client.post("/v2/repository/models/doubler/unload").status_code == 200
        assert rest()[0] == 503


def test_a_model_that_was_unloaded_since_it_was_looked_up_refuses(server: RunningServer) -> None:
    serving = server.engine.serving("doubler")
    assert server.client.post("/v2/repository/models/doubler/unload").status_code == 200
    with pytest.raises(errors.ModelNotReady):
        asyncio.run(serving.infer(InferRequest(model_name="doubler")))


def test_the_queue_is_bounded(tmp_path: Path, background: ThreadPoolExecutor) -> None:
    gate = Gate(tmp_path)
    with running_server({"gated": gate.model}, max_queue_size=2) as running:
        held = background.submit(ask, running)
        gate.wait_for_call()
        waiting = [background.submit(ask, running) for _ in range(6)]
        eventually(lambda: sum(each.done() for each in waiting) == 4)
        refused = [each.result() for each in waiting if each.done()]
        assert [(each.status_code, each.headers["retry-after"]) for each in refused] == [(429, "1")] * 4
        gate.open()
        assert held.result(30).status_code == 200
        assert sorted(each.result(30).status_code for each in waiting) == [200, 200, 429, 429, 429, 429]


def test_the_deadline_is_kept_for_what_waits_and_for_what_the_model_holds(
    tmp_path: Path, background: ThreadPoolExecutor
) -> None:
    gate = Gate(tmp_path)
    with running_server({"gated": gate.model}, request_timeout=0.5) as running:
        held = background.submit(ask, running)
        gate.wait_for_call()
        waiting = background.submit(ask, running)
        assert (held.result(30).status_code, waiting.result(30).status_code) == (504, 504)
        gate.open()
    assert gate.calls.read_text().count("called") == 1


def test_a_client_that_goes_away_is_not_computed_for(tmp_path: Path, background: ThreadPoolExecutor) -> None:
    gate = Gate(tmp_path)
    with running_server({"gated": gate.model}) as running:
        held = background.submit(ask, running)
        gate.wait_for_call()
        served = running.engine.serving("gated")
        with posted(running, "/v1/models/gated:predict", BODY):
            eventually(lambda: served.in_flight == 2)
        eventually(lambda: served.in_flight == 1)
        gate.open()
        assert held.result(30).status_code == 200
        assert ask(running).status_code == 200
        assert gate.calls.read_text().count("called") == 2


def test_threads_of_unloaded_models_end(tmp_path: Path) -> None:
    with running_server({"doubler": write(tmp_path, DOUBLER)}) as running:
        for _ in range(5):
            assert running.client.post("/v2/repository/models/doubler/load").status_code == 200
        eventually(lambda: threads().count("model-doubler") == 1)
    eventually(lambda: "model-doubler" not in threads())


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]
