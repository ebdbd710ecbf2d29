"""The memory that all models may take: who leaves for whom, who never does, and what is told when nobody can."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.engine import memory
from fairlead.engine.registry import ModelState
from fairlead.settings import ByteSize
from fairlead_tests.engine.folders import Folder, ask, engine_of
from fairlead_tests.waiting import eventually

if TYPE_CHECKING:
    from fairlead.engine.engine import Engine

MIB = 1 << 20
ANSWER = [[2.0, 4.0]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def budget(mebibytes: int) -> ByteSize:
    return ByteSize(mebibytes * MIB)


def loaded(engine: Engine) -> set[str]:
    return {entry.name for entry in engine.registry if entry.serving is not None}


def test_the_least_recently_used_leaves_and_comes_back_when_it_is_asked(folder: Folder) -> None:
    for name in "abc":
        folder.counted(name, memory="40MiB")

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(100)) as engine:
            for name in "aba":
                assert await ask(engine, name) == ANSWER
            assert await ask(engine, "c") == ANSWER
            assert loaded(engine) == {"a", "c"}
            left = engine.registry.get("b")
            assert left.state is ModelState.UNAVAILABLE
            assert left.reason == "It was unloaded to make room for another; the next request loads it."
            await engine.check("b")
            assert await ask(engine, "b") == ANSWER
            assert loaded(engine) == {"b", "c"}
            text = engine.metrics.expose("")[0].decode()
            assert "fairlead_model_evictions_total 2.0" in text
            assert "fairlead_models_loaded 2.0" in text
            assert f"fairlead_models_memory_bytes {80.0 * MIB:.8g}".partition("e")[0] in text

    asyncio.run(run())


def test_as_many_leave_as_it_takes(folder: Folder) -> None:
    for name in "abc":
        folder.counted(name, memory="30MiB")
    folder.counted("large", memory="70MiB")

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(100)) as engine:
            for name in "abc":
                await ask(engine, name)
            await ask(engine, "large")
            assert loaded(engine) == {"c", "large"}

    asyncio.run(run())


def test_a_pinned_model_never_leaves(folder: Folder) -> None:
    folder.counted("pinned", memory="60MiB", pinned=True, preload=True)
    for name in "ab":
        folder.counted(name, memory="40MiB")
    folder.counted("large", memory="50MiB")

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(100)) as engine:
            assert loaded(engine) == {"pinned"}
            for name in "abab":
                await ask(engine, name)
            assert loaded(engine) == {"b", "pinned"}
            with pytest.raises(errors.ModelNotReady, match="takes 50 MiB of memory beside 60 MiB of pinned models"):
                await ask(engine, "large")
            assert loaded(engine) == {"b", "pinned"}

    asyncio.run(run())


def test_a_model_that_alone_is_too_large_is_told_the_sizes_and_nobody_leaves_for_it(folder: Folder) -> None:
    folder.counted("a", memory="40MiB")
    folder.counted("large", memory="200MiB")

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(100)) as engine:
            await ask(engine, "a")
            with pytest.raises(errors.ModelNotReady, match=r"takes 200 MiB of memory, and the budget is 100 MiB\."):
                await ask(engine, "large")
            assert loaded(engine) == {"a"}
            assert folder.loads("large") == 0

    asyncio.run(run())


def test_a_model_in_use_does_not_leave_and_the_other_waits_for_it(folder: Folder) -> None:
    folder.heavy("busy", 1, memory="60MiB")
    folder.counted("other", memory="60MiB")

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(100)) as engine:
            await ask(engine, "busy")
            gate = folder.gate("busy")
            held = asyncio.create_task(ask(engine, "busy"))
            await asyncio.to_thread(eventually, lambda: folder.was_called("busy"))
            other = asyncio.create_task(ask(engine, "other"))
            done, _ = await asyncio.wait({other}, timeout=0.1)
            assert not done
            assert loaded(engine) == {"busy"}
            await asyncio.to_thread(gate.open)
            assert await held == ANSWER
            assert await other == ANSWER
            assert loaded(engine) == {"other"}

    asyncio.run(run())


def test_a_request_whose_model_finds_no_memory_in_time_is_told_to_come_back(folder: Folder) -> None:
    folder.heavy("busy", 1, memory="60MiB", request_timeout=30)
    folder.counted("other", memory="60MiB")

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(100), request_timeout=0.2) as engine:
            await engine.acquire("busy", 30)
            gate = folder.gate("busy")
            held = asyncio.create_task(ask(engine, "busy"))
            await asyncio.to_thread(eventually, lambda: folder.was_called("busy"))
            said = "There is no memory to load model other: it takes 60 MiB, and .* in use take 60 MiB of 100 MiB"
            with pytest.raises(errors.Overloaded, match=said):
                await engine.acquire("other", 30)
            with pytest.raises(errors.Overloaded, match=said):
                await engine.load("other")
            await engine.check("other")
            await asyncio.to_thread(gate.open)
            assert await held == ANSWER
            assert (await engine.acquire("other", 30)).name == "other"

    asyncio.run(run())


def test_without_loading_on_demand_nobody_leaves_because_nobody_would_come_back(folder: Folder) -> None:
    for name in "abc":
        folder.counted(name, memory="40MiB")

    async def run() -> None:
        async with engine_of(folder.root, on_demand=False, model_memory_budget=budget(100)) as engine:
            assert loaded(engine) == {"a", "b"}
            with pytest.raises(errors.ModelNotReady, match=r"models take 80 MiB already.*Unload one"):
                await engine.load("c")
            await engine.unload("a")
            await engine.load("c")
            assert loaded(engine) == {"b", "c"}

    asyncio.run(run())


def test_models_that_are_loaded_at_start_do_not_push_each_other_out(folder: Folder) -> None:
    for name in "abc":
        folder.counted(name, memory="40MiB", preload=True)

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(100)) as engine:
            assert loaded(engine) == {"a", "b"}
            assert "none of them may be evicted" in engine.registry.get("c").reason
            assert (folder.loads("a"), folder.unloads("a")) == (1, 0)

    asyncio.run(run())


def test_a_reload_needs_memory_for_both_and_says_so(folder: Folder) -> None:
    folder.counted("a", memory="60MiB")
    folder.counted("b", memory="45MiB")

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(100)) as engine:
            await ask(engine, "a")
            with pytest.raises(
                errors.ModelNotReady, match=r"beside its 60 MiB that answer until then.*unload the model"
            ):
                await engine.load("a")
            assert await ask(engine, "a") == ANSWER
            await ask(engine, "b")
            await engine.load("b")
            assert loaded(engine) == {"b"}

    asyncio.run(run())


def test_models_that_are_loaded_anew_at_once_do_not_wait_for_each_others_memory(folder: Folder) -> None:
    for name in "abcd":
        folder.counted(name, memory="30MiB")

    async def run() -> None:
        for most in (1, 3):
            async with engine_of(folder.root, model_memory_budget=budget(100), max_loads=most) as engine:
                for name in "abc":
                    await ask(engine, name)
                reloads = [asyncio.create_task(engine.load(name)) for name in "abc"]
                assert await ask(engine, "d") == ANSWER
                for outcome in await asyncio.gather(*reloads, return_exceptions=True):
                    assert outcome is None or isinstance(outcome, errors.Overloaded)
                assert len(loaded(engine)) <= 3

    asyncio.run(run())


def test_requests_to_more_models_than_fit_are_all_answered(folder: Folder) -> None:
    names = [f"m{number}" for number in range(8)]
    for name in names:
        folder.counted(name, memory="30MiB")

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(100), max_loads=3) as engine:
            answers = await asyncio.gather(*(ask(engine, name) for _ in range(5) for name in names))
            assert answers == [ANSWER] * 40
            assert len(loaded(engine)) == 3

    asyncio.run(run())


# -- memory as the system sees it -----------------------------------------------------------------------

measured = pytest.mark.skipif(memory.private() is None, reason="this system does not tell a process its memory")


@measured
def test_what_a_model_takes_is_measured_when_it_loads(folder: Folder) -> None:
    sizes = {"first": 48, "a": 48, "b": 160}  # the first may bring modules with it
    for name, size in sizes.items():
        folder.heavy(name, size)

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(500)) as engine:
            memory.give_back()  # what other tests have left must not go meanwhile
            for name, size in sizes.items():
                await ask(engine, name)
                seen = engine.registry.get(name).seen
                assert seen is not None
                assert abs(seen.size / MIB - size) < 40

    asyncio.run(run())


@measured
def test_a_model_that_turns_out_too_large_does_not_stay_and_is_not_loaded_again(folder: Folder) -> None:
    path = folder.heavy("large", 80)

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(50)) as engine:
            memory.give_back()
            before = memory.private()
            with pytest.raises(errors.ModelNotReady, match="MiB of memory, and the budget is 50 MiB") as refused:
                await engine.acquire("large")
            (said,) = re.findall(r"takes ([\d.]+) MiB", str(refused.value))
            assert abs(float(said) - 80) < 40
            assert loaded(engine) == set()
            (path / "model.py").touch()  # written anew, it may be another model
            with pytest.raises(errors.ModelNotReady, match="BudgetExceeded"):
                await engine.load("large")

            def is_given_back() -> bool:
                memory.give_back()
                return (memory.private() or 0) < (before or 0) + 40 * MIB

            await asyncio.to_thread(eventually, is_given_back)

    asyncio.run(run())


@measured
def test_memory_goes_back_to_the_system_when_a_model_leaves(folder: Folder) -> None:
    folder.heavy("a", 96)
    folder.heavy("b", 96)

    async def run() -> None:
        async with engine_of(folder.root, model_memory_budget=budget(150)) as engine:
            memory.give_back()
            before = memory.private() or 0
            for name in "ababab":
                await ask(engine, name)
                assert loaded(engine) == {name}
                assert (memory.private() or 0) - before < 140 * MIB
            assert (memory.private() or 0) - before > 60 * MIB
            await engine.unload("b")
            assert (memory.private() or 0) - before < 48 * MIB

    asyncio.run(run())
