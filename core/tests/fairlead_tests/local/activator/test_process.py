"""The activator's process: started, killed, started again, and gone with its platform."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import uvloop

from fairlead.errors import PlatformError
from fairlead.local.activator import process
from fairlead.local.activator.seats import Held, Seats
from fairlead_tests.local.activator.asking import Platform, at, client, eventually, running
from fairlead_tests.waiting import eventually as soon

NAME = "default/iris-predictor-00001"
REST = "/hold/rest/default%2Firis-predictor-00001/v1/models/iris:predict"

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows processes in /proc and ends orphans")

PLATFORM = """
import asyncio, sys
from pathlib import Path
from fairlead.local.activator.process import Activator
from fairlead.local.activator.seats import Seats

async def run():
    activator = Activator(Path(sys.argv[1]), on_wake=lambda name: print("wake", flush=True), on_exit=print)
    activator.assign("a", Seats())
    await activator.start()
    print(activator.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(run())
"""


def has_ended(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def resident(pid: int | None) -> int:
    """The memory of a process, in kB."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def crash(platform: Platform, signum: signal.Signals = signal.SIGKILL) -> None:
    assert platform.activator.pid is not None
    os.kill(platform.activator.pid, signum)


def test_nothing_is_left_when_it_stops(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path / "activator") as platform:
            activator = platform.activator
            pid = activator.pid
            assert pid is not None
            assert activator.socket == tmp_path / "activator" / "activator.sock"
            assert activator.socket.stat().st_mode & 0o777 == 0o600
        assert activator.pid is None
        assert await activator.measure() == {}
        assert list((tmp_path / "activator").iterdir()) == [activator.log]
        assert activator.log.read_text() == ""
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert platform.exits.empty()
        await activator.stop()

    asyncio.run(run())


def test_it_can_be_started_again_after_it_was_stopped(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform:
            await platform.assign(NAME, Seats(rest=at(1)))
            await platform.activator.stop()
            await platform.activator.start()
            async with platform.client() as gateway:
                assert (await gateway.get(REST)).address == "127.0.0.1:1"

    asyncio.run(run())


def test_those_that_wait_are_refused_when_it_stops(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform, platform.client() as gateway:
            await platform.assign(NAME, Seats())
            gateway.ask(REST)
            await platform.until_waiting(NAME, 1)
            await platform.activator.stop()
            reply = await gateway.reply()
            assert (reply.status, reply.error) == (462, "The platform has ended.")

    asyncio.run(run())


def test_a_killed_process_is_reported_and_a_new_one_knows_everything(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform:
            activator = platform.activator
            activator.assign(NAME, Seats(rest=at(1)))
            activator.assign("waits", Seats())
            await platform.assign("gone", Seats(rest=at(9)))
            async with platform.client() as held, platform.client() as gateway:
                assert (await gateway.get(REST)).address == "127.0.0.1:1"
                held.ask("/hold/rest/waits/")
                await platform.until_waiting("waits", 1)
                crash(platform)
                assert await platform.exits.get() == -signal.SIGKILL
                assert (activator.pid, await held.rest()) == (None, b"")
            assert await activator.measure() == {}
            activator.assign(NAME, Seats(rest=at(2)))
            activator.forget("gone")
            async with platform.client() as early:
                early.ask(REST)
                await activator.start()
                assert (await early.reply()).address == "127.0.0.1:2"
                assert (await early.get("/hold/rest/gone/")).error == "gone is not known here."
            for _ in range(2):
                assert await activator.measure() == {NAME: Held(0, 2, 2), "waits": Held(0, 1, 0)}
                crash(platform)
                await platform.exits.get()
                await activator.start()

    asyncio.run(run())


def test_it_can_be_killed_many_times_under_load_and_each_request_is_answered_or_reset(tmp_path: Path) -> None:
    async def ask(platform: Platform, counts: dict[bool, int], over: asyncio.Event) -> None:
        while not over.is_set():
            async with platform.client() as gateway:
                try:
                    while not over.is_set():
                        assert (await gateway.get(REST)).address == "127.0.0.1:1"
                        counts[True] += 1
                except (OSError, asyncio.IncompleteReadError):
                    counts[False] += 1

    async def run() -> None:
        counts, over = {True: 0, False: 0}, asyncio.Event()

        def has_grown(beyond: int) -> bool:
            return counts[True] > beyond

        async with running(tmp_path) as platform, asyncio.TaskGroup() as clients:
            await platform.assign(NAME, Seats(rest=at(1)))
            for _ in range(4):
                clients.create_task(ask(platform, counts, over))
            for _ in range(5):
                before = counts[True]
                await eventually(partial(has_grown, before + 20))
                crash(platform)
                await platform.exits.get()
                await platform.activator.start()
            over.set()
        assert counts[True] > 100
        assert counts[False] <= 20

    asyncio.run(run())


def test_a_process_that_is_told_to_end_answers_those_that_wait(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform, platform.client() as gateway:
            await platform.assign(NAME, Seats())
            gateway.ask(REST)
            await platform.until_waiting(NAME, 1)
            crash(platform, signal.SIGINT)
            await platform.until_waiting(NAME, 1)
            crash(platform, signal.SIGTERM)
            reply = await gateway.reply()
            assert (reply.status, reply.error) == (462, "The activator was told to end; try again.")
            assert await platform.exits.get() == 0

    asyncio.run(run())


def test_a_backend_that_is_forgotten_refuses_those_that_wait(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform, platform.client() as gateway:
            await platform.assign(NAME, Seats())
            gateway.ask(REST)
            await platform.until_waiting(NAME, 1)
            platform.activator.forget(NAME)
            platform.activator.forget(NAME)
            reply = await gateway.reply()
            assert (reply.status, reply.error) == (462, f"{NAME} is gone.")
            assert await platform.activator.measure() == {}

    asyncio.run(run())


def test_a_process_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_STOP_SECONDS", 0.05)

    async def run() -> None:
        async with running(tmp_path) as platform:
            await platform.assign(NAME, Seats())
            crash(platform, signal.SIGSTOP)
            with monkeypatch.context() as hasty:
                hasty.setattr(process, "_MEASURE_SECONDS", 0.05)
                assert await platform.activator.measure() == {}
            crash(platform, signal.SIGCONT)
            await platform.until_waiting(NAME, 0)
            crash(platform, signal.SIGSTOP)
        assert platform.activator.pid is None

    asyncio.run(run())


def test_a_process_that_reads_nothing_is_killed(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform:
            crash(platform, signal.SIGSTOP)
            for number in range(20):
                platform.activator.assign(NAME, Seats(refusal=f"{number}" * 1_000_000))
            assert await platform.exits.get() == -signal.SIGKILL

    asyncio.run(run())


@LINUX
@pytest.mark.parametrize("hangs", [False, True])
def test_it_ends_with_a_platform_that_is_killed(tmp_path: Path, hangs: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PLATFORM, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as platform:
        try:
            assert platform.stdout is not None
            pid = int(platform.stdout.readline())
            assert not has_ended(pid)
            if hangs:
                os.kill(pid, signal.SIGSTOP)
        finally:
            platform.kill()
    soon(lambda: has_ended(pid))
    # What it left behind is in nobody's way.
    assert (tmp_path / "activator.sock").exists()

    async def run() -> None:
        async with running(tmp_path) as after:
            await after.assign(NAME, Seats(rest=at(1)))
            async with after.client() as gateway:
                assert (await gateway.get(REST)).address == "127.0.0.1:1"

    asyncio.run(run())


def test_it_works_on_the_other_event_loop_too(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform, platform.client() as gateway:
            await platform.assign(NAME, Seats())
            gateway.ask(REST)
            assert await platform.wakes.get() == NAME
            await platform.assign(NAME, Seats(rest=at(1)))
            assert (await gateway.reply()).address == "127.0.0.1:1"
            crash(platform)
            assert await platform.exits.get() == -signal.SIGKILL
            await platform.activator.start()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_a_folder_with_a_long_name_is_no_problem(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / "activator"

    async def run() -> None:
        async with running(folder) as platform:
            path = platform.activator.socket
            assert len(os.fsencode(path)) <= 107
            assert path == Platform(folder).activator.socket
            assert path != Platform(folder.parent).activator.socket
            assert path.parent.stat().st_mode & 0o777 == 0o700
            await platform.assign(NAME, Seats(rest=at(1)))
            async with client(path) as gateway:
                assert (await gateway.get(REST)).address == "127.0.0.1:1"
        assert not path.parent.exists()

    asyncio.run(run())


def test_a_socket_that_cannot_be_made_is_an_error_that_says_where(tmp_path: Path) -> None:
    (tmp_path / "activator.sock").mkdir()
    (tmp_path / "file").touch()

    async def run() -> None:
        for folder in (tmp_path, tmp_path / "file"):
            platform = Platform(folder)
            with pytest.raises(PlatformError, match=f"The activator cannot be started in {folder}: "):
                await platform.activator.start()
            assert platform.activator.pid is None

    asyncio.run(run())


def test_a_process_that_does_not_start_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        platform = Platform(tmp_path)
        with monkeypatch.context() as patched:
            patched.setenv("PYTHONHOME", "/nowhere")
            with pytest.raises(PlatformError, match=r"(?s)does not start.*activator\.log: .+"):
                await platform.activator.start()
        assert platform.activator.pid is None
        assert platform.exits.empty()
        await platform.activator.start()
        await platform.activator.stop()
        assert not platform.activator.socket.exists()

    asyncio.run(run())


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform:
            with pytest.raises(RuntimeError, match="runs already"):
                await platform.activator.start()

    asyncio.run(run())


def test_a_log_that_has_grown_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LARGEST_LOG", 10)

    async def run() -> None:
        for left, before in [("short\n", "short\n"), ("", "a long log\n")]:
            (tmp_path / "activator.log").write_text(before)
            async with running(tmp_path) as platform:
                assert platform.activator.log.read_text() == left

    asyncio.run(run())


@LINUX
def test_the_process_is_light(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as platform:
            for number in range(200):
                platform.activator.assign(f"default/model-{number}-predictor-00001", Seats())
            await eventually(platform.activator.measure)
            assert resident(platform.activator.pid) < 40_000

    asyncio.run(run())


def test_its_modules_load_nothing_of_weight() -> None:
    names = "pydantic, rich, numpy, yaml, fairlead.plugins, fairlead.api"
    code = f"""
import sys
import fairlead.local.activator.__main__
loaded = [name for name in {names.split(", ")} if name in sys.modules]
print(*loaded)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""
