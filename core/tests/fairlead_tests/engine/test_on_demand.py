"""Models that are loaded by the first request: one load for all who wait, bounded, not repeated at once, never lost."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from fairlead import errors
from fairlead.engine.registry import ModelState
from fairlead.engine.repository import Repository
from fairlead.settings import ByteSize
from fairlead.testing import running_server
from fairlead_tests.engine.folders import Folder, ask, engine_of, until_begun
from fairlead_tests.waiting import eventually

if TYPE_CHECKING:
    from fairlead.engine.engine import Engine

BODY = {"instances": [[1.0, 2.0]]}
ANSWER = [[2.0, 4.0]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# -- the first request ----------------------------------------------------------------------------------


def test_nothing_is_loaded_at_start_and_the_first_request_loads_its_model_alone(folder: Folder) -> None:
    folder.counted("a")
    folder.counted("b")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            assert [(entry.name, entry.state) for entry in engine.registry] == [
                ("a", ModelState.UNAVAILABLE),
                ("b", ModelState.UNAVAILABLE),
            ]
            with pytest.raises(errors.ModelNotReady):
                engine.serving("a")
            assert await ask(engine, "a") == ANSWER
            assert await ask(engine, "a") == ANSWER
            assert engine.serving("a").name == "a"
            assert (folder.loads("a"), folder.loads("b")) == (1, 0)

    asyncio.run(run())


def test_requests_that_come_together_cause_one_load(folder: Folder) -> None:
    folder.counted("a")
    gate = folder.gate("a")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            asking = [asyncio.create_task(ask(engine, "a")) for _ in range(20)]
            await until_begun(folder, "a")
            asking += [asyncio.create_task(ask(engine, "a")) for _ in range(20)]
            await asyncio.to_thread(gate.open)
            assert await asyncio.gather(*asking) == [ANSWER] * 40
            assert folder.loads("a") == 1

    asyncio.run(run())


def test_no_more_models_load_at_once_than_may(folder: Folder) -> None:
    gates = []
    for name in "abc":
        folder.counted(name)
        gates.append(folder.gate(name))

    async def run() -> None:
        async with engine_of(folder.root, max_loads=2) as engine:
            asking = [asyncio.create_task(ask(engine, name)) for name in "abc"]
            await until_begun(folder, "a")
            await until_begun(folder, "b")
            waiting = engine.registry.get("c")
            assert (waiting.state, waiting.reason) == (ModelState.LOADING, "Other models are loaded before it.")
            assert folder.loads("c") == 0
            for gate in gates:
                await asyncio.to_thread(gate.open)
            assert await asyncio.gather(*asking) == [ANSWER] * 3

    asyncio.run(run())


def test_a_request_waits_no_longer_than_its_deadline_and_the_load_goes_on(folder: Folder) -> None:
    folder.counted("a")
    gate = folder.gate("a")

    async def run() -> None:
        async with engine_of(folder.root, request_timeout=0.2) as engine:
            with pytest.raises(errors.DeadlineExceeded, match=r"was not loaded within 0\.2 seconds"):
                await engine.acquire("a")
            with pytest.raises(errors.DeadlineExceeded, match=r"0\.01"):
                await engine.acquire("a", 0.01)
            await until_begun(folder, "a")
            await asyncio.to_thread(gate.open)
            await engine.acquire("a", 30)
            assert folder.loads("a") == 1

    asyncio.run(run())


def test_a_client_that_goes_does_not_end_the_load_for_the_others(folder: Folder) -> None:
    folder.counted("a")
    gate = folder.gate("a")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            first, second = (asyncio.create_task(ask(engine, "a")) for _ in range(2))
            await until_begun(folder, "a")
            first.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await first
            await asyncio.to_thread(gate.open)
            assert await second == ANSWER

    asyncio.run(run())


def test_no_more_requests_wait_for_a_load_than_may_wait_for_a_model(folder: Folder) -> None:
    folder.counted("a")
    gate = folder.gate("a")

    async def run() -> None:
        async with engine_of(folder.root, max_queue_size=2) as engine:
            asking = [asyncio.create_task(ask(engine, "a")) for _ in range(2)]
            await until_begun(folder, "a")
            with pytest.raises(errors.Overloaded, match="2 requests wait already"):
                await engine.acquire("a")
            await asyncio.to_thread(gate.open)
            assert await asyncio.gather(*asking) == [ANSWER] * 2

    asyncio.run(run())


# -- a load that fails ----------------------------------------------------------------------------------


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_load_that_fails_is_not_repeated_for_every_request(folder: Folder) -> None:
    (folder.counted("a") / "fairlead.json").write_text('{"pined": true}')
    clock = Clock()

    async def refused(engine: Engine) -> errors.ModelNotReady:
        with pytest.raises(errors.ModelNotReady, match="Did you mean pinned") as raised:
            await engine.acquire("a")
        return raised.value

    async def run() -> None:
        async with engine_of(folder.root, clock=clock) as engine:
            pauses = []
            for _ in range(8):
                await refused(engine)
                failed = engine.registry.get("a").failure
                again = await refused(engine)
                assert engine.registry.get("a").failure is failed, "it was loaded again too early"
                with pytest.raises(errors.ModelNotReady):
                    await engine.check("a")
                pauses.append(again.retry_after)
                clock.now += again.retry_after
                await engine.check("a")
            assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]

    asyncio.run(run())


def test_a_load_on_request_is_tried_at_once_and_ends_the_pause(folder: Folder) -> None:
    file = folder.counted("a") / "fairlead.json"
    file.write_text("nonsense")

    async def run() -> None:
        async with engine_of(folder.root, clock=Clock()) as engine:
            with pytest.raises(errors.ModelNotReady, match="is not JSON"):
                await engine.acquire("a")
            file.unlink()
            with pytest.raises(errors.ModelNotReady, match="is not JSON"):
                await engine.acquire("a")
            await engine.load("a")
            assert await ask(engine, "a") == ANSWER

    asyncio.run(run())


# -- what is known --------------------------------------------------------------------------------------


def test_a_model_that_cannot_be_loaded_harms_no_other(folder: Folder) -> None:
    (folder.counted("bad") / "fairlead.json").write_text("[]")
    folder.counted("good", preload=True)
    folder.counted("other")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            assert {entry.name: entry.state for entry in engine.registry} == {
                "bad": ModelState.UNAVAILABLE,
                "good": ModelState.READY,
                "other": ModelState.UNAVAILABLE,
            }
            assert "is not a JSON object" in engine.registry.get("bad").reason
            assert engine.registry.get("other").reason == "It is loaded by the first request."
            assert engine.ready
            assert await ask(engine, "other") == ANSWER

    asyncio.run(run())


def test_a_folder_that_comes_later_is_found_by_a_request(folder: Folder) -> None:
    async def run() -> None:
        async with engine_of(folder.root) as engine:
            with pytest.raises(errors.ModelNotFound):
                await engine.acquire("late")
            folder.counted("late")
            await engine.check("late")
            assert folder.loads("late") == 0
            assert await ask(engine, "late") == ANSWER

    asyncio.run(run())


def test_a_folder_that_has_gone_is_told_at_the_next_load_and_what_answers_goes_on(folder: Folder) -> None:
    path = folder.counted("a")
    folder.counted("b")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            assert await ask(engine, "a") == ANSWER
            path.rename(folder.root.with_name("elsewhere"))
            (folder.root / "b").rename(folder.root.with_name("elsewhere too"))
            with pytest.raises(errors.ModelNotReady, match="ArtifactNotFound"):
                await engine.load("a")
            assert await ask(engine, "a") == ANSWER
            assert engine.registry.get("a").reason.startswith("There is nothing at")
            with pytest.raises(errors.ModelNotReady, match="There is nothing at"):
                await engine.acquire("b")

    asyncio.run(run())


def test_models_of_a_folder_are_loaded_at_start_unless_it_is_asked_otherwise(folder: Folder) -> None:
    folder.counted("a")

    async def run() -> None:
        async with engine_of(folder.root, on_demand=False) as engine:
            assert engine.serving("a") is await engine.acquire("a")
            await engine.unload("a")
            with pytest.raises(errors.ModelNotReady):
                await engine.acquire("a")
            with pytest.raises(errors.ModelNotFound):
                await engine.acquire("b")

    asyncio.run(run())


# -- over the network -----------------------------------------------------------------------------------


def index(client: httpx.Client) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in client.post("/v2/repository/index").json()}


def test_routes_tell_that_a_model_answers_before_it_is_loaded_and_none_but_questions_load_it(folder: Folder) -> None:
    for name in ("a", "b", "c"):
        folder.counted(name)
    models = {name: folder.root / name for name in ("a", "b", "c")}
    with running_server(models, repository=Repository(folder.root), load_on_demand=True) as running:
        client = running.client
        assert client.get("/v2/health/ready").status_code == 200
        assert client.get("/v1/models").json() == {"models": ["a", "b", "c"]}
        for route in ("/v1/models/a", "/v2/models/a/ready"):
            assert client.get(route).json() == {"name": "a", "ready": True}
        assert index(client) == dict.fromkeys("abc", "UNAVAILABLE")
        assert client.post("/v2/repository/index", json={"ready": True}).json() == []
        assert client.get("/v2/models/b").json()["name"] == "b"
        assert client.post("/v1/models/a:predict", json=BODY).json() == {"predictions": ANSWER}
        assert index(client) == {"a": "READY", "b": "READY", "c": "UNAVAILABLE"}
        assert client.get("/v2/models/none/ready").status_code == 404
        assert client.post("/v1/models/none:predict", json=BODY).status_code == 404
        metrics = client.get("/metrics").text
        assert 'fairlead_model_loads_total{cause="demand",outcome="ok"} 2.0' in metrics
        assert "fairlead_models_loaded 2.0" in metrics
        assert 'fairlead_model_ready{model_name="a"} 1.0' in metrics
        assert 'model_name="c"' not in metrics


def test_a_client_of_a_model_that_does_not_load_is_told_why_and_when_to_come_back(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.counted("a") / "fairlead.json").write_text("{}x")
    with running_server({}, repository=Repository(folder.root), load_on_demand=True) as running:
        monkeypatch.setattr(running.engine._loads, "_clock", Clock())  # a second later it is tried again
        for _ in range(2):
            refused = running.client.post("/v1/models/a:predict", json=BODY)
            assert refused.status_code == 503
            assert "fairlead.json is not JSON" in refused.json()["error"]
            assert refused.headers["retry-after"] == "1"
        assert running.client.get("/v2/models/a/ready").status_code == 503


def test_limits_of_one_model_hold_for_it_alone(folder: Folder) -> None:
    folder.heavy("strict", 1, request_timeout=0.5)
    folder.heavy("free", 1)
    with (
        ThreadPoolExecutor(1) as pool,
        running_server({}, repository=Repository(folder.root), load_on_demand=True, request_timeout=30) as running,
    ):
        for name in ("strict", "free"):
            assert running.client.post(f"/v2/repository/models/{name}/load").status_code == 200
        gates = [folder.gate(name) for name in ("strict", "free")]
        free = pool.submit(running.client.post, "/v1/models/free:predict", json=BODY)
        eventually(lambda: folder.was_called("free"))
        late = running.client.post("/v1/models/strict:predict", json=BODY)
        assert late.status_code == 504
        assert "within 0.5 seconds" in late.json()["error"]
        assert not free.done()
        for gate in gates:
            gate.open()
        assert free.result(30).status_code == 200


def test_a_request_whose_model_leaves_while_it_is_sent_brings_it_back(folder: Folder) -> None:
    for name in ("a", "b"):
        folder.counted(name, memory="60MiB")
    body = json.dumps(BODY).encode()
    head = f"POST /v1/models/a:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    budget = ByteSize(100 << 20)
    repository = Repository(folder.root)
    with running_server({}, repository=repository, load_on_demand=True, model_memory_budget=budget) as running:
        assert running.client.post("/v1/models/a:predict", json=BODY).status_code == 200
        address = ("127.0.0.1", int(running.url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(head.encode() + body[:5])
            # On a connection of its own, answered after the first half was read.
            assert running.client.post("/v1/models/b:predict", json=BODY).status_code == 200
            assert index(running.client) == {"a": "UNAVAILABLE", "b": "READY"}
            connection.sendall(body[5:])
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert json.loads(response.read()) == {"predictions": ANSWER}
        assert (folder.loads("a"), folder.loads("b")) == (2, 1)
