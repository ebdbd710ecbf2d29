"""Loads and unloads that meet: joined, in order, and with an answer for everyone when the server stops."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.engine.registry import ModelState
from fairlead.engine.repository import Repository
from fairlead.testing import running_server
from fairlead_tests.engine.folders import Folder, ask, engine_of, until_begun
from fairlead_tests.waiting import eventually

BODY = {"instances": [[1.0, 2.0]]}
ANSWER = [[2.0, 4.0]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def threads(name: str) -> int:
    return sum(thread.name == f"model-{name}" for thread in threading.enumerate())


def test_loads_on_request_that_come_together_are_one(folder: Folder) -> None:
    folder.counted("a")
    gate = folder.gate("a")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            loads = [asyncio.create_task(engine.load("a")) for _ in range(10)]
            await until_begun(folder, "a")
            loads += [asyncio.create_task(engine.load("a")) for _ in range(10)]
            await asyncio.to_thread(gate.open)
            await asyncio.gather(*loads)
            assert folder.loads("a") == 1

    asyncio.run(run())


def test_a_load_on_request_of_files_that_have_changed_meanwhile_follows_the_one_under_way(folder: Folder) -> None:
    path = folder.counted("a")
    gate = folder.gate("a")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            first = asyncio.create_task(engine.load("a"))
            await until_begun(folder, "a")
            source = (path / "model.py").read_text()
            (path / "model.py").write_text(source.replace("x * 2", "x * 10"))
            second = asyncio.create_task(engine.load("a"))
            await asyncio.to_thread(gate.open)
            await asyncio.gather(first, second)
            assert await ask(engine, "a") == [[10.0, 20.0]]
            assert folder.loads("a") == 2

    asyncio.run(run())


def test_a_model_that_was_unloaded_on_request_stays_so_until_it_is_loaded_on_request(folder: Folder) -> None:
    folder.counted("a")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            assert await ask(engine, "a") == ANSWER
            await engine.unload("a")
            for question in (engine.acquire("a"), engine.check("a")):
                with pytest.raises(errors.ModelNotReady, match=r"It was unloaded\."):
                    await question
            await engine.load("a")
            assert await ask(engine, "a") == ANSWER
            assert (folder.loads("a"), folder.unloads("a")) == (2, 1)

    asyncio.run(run())


def test_an_unload_while_a_model_loads_has_the_last_word(folder: Folder) -> None:
    folder.counted("a")
    gate = folder.gate("a")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            asking = [asyncio.create_task(ask(engine, "a")) for _ in range(5)]
            await until_begun(folder, "a")
            unloading = asyncio.create_task(engine.unload("a"))
            await asyncio.sleep(0)
            await asyncio.to_thread(gate.open)
            await unloading
            for outcome in await asyncio.gather(*asking, return_exceptions=True):
                assert outcome == ANSWER or isinstance(outcome, errors.ModelNotReady)
            assert engine.registry.get("a").state is ModelState.UNAVAILABLE
            assert (folder.loads("a"), folder.unloads("a")) == (1, 1)
        eventually(lambda: threads("a") == 0)

    asyncio.run(run())


def test_a_load_on_request_while_a_model_is_about_to_be_unloaded_follows_the_unload(folder: Folder) -> None:
    folder.counted("a")
    gate = folder.gate("a")

    async def run() -> None:
        async with engine_of(folder.root) as engine:
            first = asyncio.create_task(engine.load("a"))
            await until_begun(folder, "a")
            unloading = asyncio.create_task(engine.unload("a"))
            await asyncio.sleep(0)
            second = asyncio.create_task(engine.load("a"))
            await asyncio.sleep(0)
            await asyncio.to_thread(gate.open)
            await asyncio.gather(first, unloading, second)
            assert await ask(engine, "a") == ANSWER
            assert (folder.loads("a"), folder.unloads("a")) == (2, 1)

    asyncio.run(run())


def test_a_server_that_stops_answers_those_who_wait_for_a_load_and_leaks_no_thread(folder: Folder) -> None:
    for name in "ab":
        folder.counted(name)
    gate = folder.gate("a")

    async def run() -> None:
        async with engine_of(folder.root, max_loads=1) as engine:
            asking = [asyncio.create_task(ask(engine, name)) for name in "aab"]
            await until_begun(folder, "a")
            await engine.stop()
            for outcome in await asyncio.gather(*asking, return_exceptions=True):
                assert isinstance(outcome, errors.ServerNotReady)
            for question in (engine.acquire("a"), engine.load("a"), engine.check("a")):
                with pytest.raises(errors.ServerNotReady):
                    await question

    asyncio.run(run())
    gate.open()
    eventually(lambda: threads("a") == threads("b") == 0)
    assert (folder.unloads("a"), folder.loads("b")) == (1, 0)


def test_a_drain_answers_requests_that_load_their_model(folder: Folder) -> None:
    folder.counted("a")
    gate = folder.gate("a")
    with (
        ThreadPoolExecutor(4) as pool,
        running_server({"a": folder.root / "a"}, repository=Repository(folder.root), load_on_demand=True) as running,
    ):
        asked = [pool.submit(running.client.post, "/v1/models/a:predict", json=BODY) for _ in range(4)]
        eventually(lambda: folder.loads("a") == 1)
        running.engine.drain()
        gate.open()
        assert [each.result(30).json() for each in asked] == [{"predictions": ANSWER}] * 4
