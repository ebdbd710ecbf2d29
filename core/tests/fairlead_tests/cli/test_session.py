"""One life of a platform in the foreground: signals, manifests that change, and what commands ask of it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.cli.session import Session
from fairlead.local import client
from fairlead.local.folder import Folder
from fairlead.local.watching import Watcher
from fairlead_tests.cli.platforms import ADDRESS, Memory, Recorder, manifest, running, until, world
from fairlead_tests.local.homes import home

if TYPE_CHECKING:
    from fairlead.cli.hangup import Hangup


@pytest.fixture
def folder() -> Iterator[Folder]:
    with home() as environ:
        made = Folder(environ=environ)
        made.acquire()
        yield made
        made.release()


@pytest.fixture
def isvc(tmp_path: Path) -> Path:
    made = tmp_path / "isvc.yaml"
    made.write_text(manifest("iris"))
    return made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(folder: Folder, isvc: Path, number: signal.Signals) -> None:
    async def live() -> tuple[int, Memory, Recorder]:
        async with running(folder, world(isvc)) as stage:
            os.kill(os.getpid(), number)
            return await stage.ended, stage.platform, stage.display

    status, platform, display = asyncio.run(live())
    assert status == 0
    assert platform.stopped
    assert display.ended
    assert not folder.control.exists()


def test_a_second_signal_ends_it_at_once_with_all_its_processes(
    folder: Folder, isvc: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def live() -> int:
        async with running(folder, world(isvc)) as stage:
            stage.platform.patience.clear()
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: "a second signal ends at once" in caplog.text)
            os.kill(os.getpid(), signal.SIGTERM)
            return await stage.ended

    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True) as replica:
        assert replica.stdout is not None
        replica.stdout.readline()
        folder.record(replica.pid)
        try:
            with caplog.at_level(logging.INFO):
                assert asyncio.run(live()) == 128 + signal.SIGTERM
            assert replica.wait() == -signal.SIGKILL
        finally:
            replica.kill()


def test_a_platform_that_cannot_start_is_an_error_and_leaves_nothing(folder: Folder, isvc: Path) -> None:
    def make(on_change: object) -> Memory:
        made = Memory(folder, lambda: None)
        made.refusal = errors.ConfigurationError("Port 8080 is taken.")
        return made

    async def live() -> int:
        return await Session(folder, world(isvc), Recorder(), make).run()

    with pytest.raises(errors.ConfigurationError, match="is taken"):
        asyncio.run(live())
    assert not folder.control.exists()


def test_commands_ask_while_it_runs(folder: Folder, isvc: Path) -> None:
    async def live() -> None:
        async with running(folder, world(isvc)) as stage:
            holder = Folder(environ=environ_of(folder)).holder()
            assert holder is not None
            assert holder.address == ADDRESS

            def ask(command: str, **arguments: Any) -> object:
                return client.ask(folder, command, **arguments)

            info = await asyncio.to_thread(ask, "info")
            assert isinstance(info, dict)
            assert (info["name"], info["address"], info["ending"]) == ("default", ADDRESS, False)
            (view,) = await asyncio.to_thread(client.ask, folder, "views")
            assert view == await asyncio.to_thread(ask, "view", namespace="default", name="iris")
            assert await asyncio.to_thread(ask, "view", namespace="other", name="iris") is None
            with pytest.raises(errors.PlatformError, match="needs a namespace and a name"):
                await asyncio.to_thread(ask, "remove")
            assert await asyncio.to_thread(ask, "down") is True
            assert await stage.ended == 0

    asyncio.run(live())


def environ_of(folder: Folder) -> dict[str, str]:
    return {"FAIRLEAD_STATE": str(folder.state.parent), "XDG_RUNTIME_DIR": str(folder.runtime.parents[2])}


def test_two_platforms_run_side_by_side(folder: Folder, isvc: Path, tmp_path: Path) -> None:
    other = Folder("other", environ=environ_of(folder))
    other.acquire()
    second = tmp_path / "second.yaml"
    second.write_text(manifest("wine"))

    async def live() -> None:
        async with running(folder, world(isvc)), running(other, world(second)):
            one = await asyncio.to_thread(client.ask, folder, "views")
            two = await asyncio.to_thread(client.ask, other, "views")
            assert [each["manifest"]["metadata"]["name"] for each in (*one, *two)] == ["iris", "wine"]

    asyncio.run(live())
    other.release()


def put(file: Path, text: str) -> None:
    """Write a file as a whole: these tests look more often than a file is empty."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.replace(file)


# -- manifests that change -------------------------------------------------------------------------------


def test_what_changes_in_a_watched_file_is_declared(folder: Folder, isvc: Path) -> None:
    async def live() -> None:
        async with running(folder, world(isvc), watch=True) as stage:
            await asyncio.to_thread(put, isvc, f"{manifest('iris')}---\n{manifest('wine')}")
            await until(lambda: stage.platform.declared[-1] == ["iris", "wine"])

    asyncio.run(live())


@pytest.mark.parametrize("broken", ["{half", manifest("wrong"), "kind: Nothing"])
def test_a_mistake_in_a_watched_file_keeps_what_was_declared_and_is_told(
    folder: Folder, isvc: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def live() -> None:
        async with running(folder, world(isvc), watch=True) as stage:
            await asyncio.to_thread(put, isvc, broken)
            await until(lambda: "what was declared before stays, since something is wrong" in caplog.text)
            assert stage.platform.declared == [["iris"]]
            await asyncio.to_thread(put, isvc, manifest("iris", uri="file:///better"))
            await until(lambda: len(stage.platform.declared) == 2)
            assert stage.platform.declared[-1] == ["iris"]

    with caplog.at_level(logging.ERROR):
        asyncio.run(live())


def test_what_is_read_and_what_is_wrong_can_be_asked(folder: Folder, isvc: Path) -> None:
    async def live() -> None:
        async with running(folder, world(isvc), watch=True) as stage:

            def info() -> Any:
                return client.ask(folder, "info")

            async def after_another_look() -> Any:
                begun = (await asyncio.to_thread(info))["looks"][0]
                while True:
                    told = await asyncio.to_thread(info)
                    if told["looks"][1] > begun and not told["unread"]:
                        return told

            assert (await after_another_look())["mistake"] == ""
            await asyncio.to_thread(put, isvc, "{half")
            assert "isvc.yaml" in (await after_another_look())["mistake"]
            assert stage.platform.declared == [["iris"]]
            await asyncio.to_thread(put, isvc, manifest("wine"))
            assert (await after_another_look())["mistake"] == ""
            assert stage.platform.declared[-1] == ["wine"]

    asyncio.run(live())


def test_a_removed_file_removes_its_services(folder: Folder, isvc: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(manifest("wine"))

    async def live() -> None:
        async with running(folder, world(isvc, other), watch=True) as stage:
            assert stage.platform.declared == [["iris", "wine"]]
            await asyncio.to_thread(isvc.unlink)
            await until(lambda: stage.platform.declared[-1] == ["wine"])
            await asyncio.to_thread(other.unlink)
            await until(lambda: stage.platform.declared[-1] == [])

    asyncio.run(live())


def test_a_folder_that_is_emptied_removes_its_services(folder: Folder, isvc: Path, tmp_path: Path) -> None:
    async def live() -> None:
        async with running(folder, world(tmp_path), watch=True) as stage:
            assert stage.platform.declared == [["iris"]]
            await asyncio.to_thread(isvc.unlink)
            await until(lambda: stage.platform.declared[-1] == [])

    asyncio.run(live())


def test_a_deleted_service_stays_away_until_its_own_manifest_changes(
    folder: Folder, isvc: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(manifest("wine"))

    async def live() -> None:
        async with running(folder, world(isvc, other), watch=True) as stage:

            def remove() -> object:
                return client.ask(folder, "remove", namespace="default", name="iris")

            assert await asyncio.to_thread(remove) is True
            assert await asyncio.to_thread(remove) is False
            await asyncio.to_thread(put, other, manifest("wine", uri="file:///better"))
            await until(lambda: len(stage.platform.declared) == 2)
            assert stage.platform.declared[-1] == ["wine"]
            await asyncio.to_thread(put, isvc, manifest("iris", uri="file:///better"))
            await until(lambda: stage.platform.declared[-1] == ["iris", "wine"])

    asyncio.run(live())


def test_a_secret_of_the_same_name_does_not_bring_a_deleted_service_back(
    folder: Folder, isvc: Path, tmp_path: Path
) -> None:
    other = tmp_path / "secret.yaml"
    other.write_text("{apiVersion: v1, kind: Secret, metadata: {name: iris}, stringData: {a: b}}")

    async def live() -> None:
        async with running(folder, world(isvc, other), watch=True) as stage:
            assert await asyncio.to_thread(lambda: client.ask(folder, "remove", namespace="default", name="iris"))
            await asyncio.to_thread(put, other, other.read_text().replace("b}}", "c}}"))
            await until(lambda: len(stage.platform.declared) == 2)
            assert stage.platform.declared == [["iris"], []]

    asyncio.run(live())


class _Terminal:
    """A SIGHUP that asks to load anew, as it does for a process without a terminal."""

    def tell(self, load_anew: object, end: object) -> None:
        assert callable(load_anew)
        load_anew()


def test_sighup_reads_the_files_again_and_brings_back_what_was_deleted(folder: Folder, isvc: Path) -> None:
    hangup: Hangup = _Terminal()  # type: ignore[assignment]  # it has what is used of one
    made: list[Memory] = []

    def make(on_change: object) -> Memory:
        assert callable(on_change)
        made.append(Memory(folder, on_change))
        return made[-1]

    async def live() -> None:
        session = Session(folder, world(isvc), Recorder(), make, hangup=hangup)
        ended = asyncio.ensure_future(session.run())
        await until(lambda: made and made[0].declared)
        assert await asyncio.to_thread(lambda: client.ask(folder, "remove", namespace="default", name="iris"))
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: len(made[0].declared) == 2)
        assert made[0].declared == [["iris"], ["iris"]]
        await asyncio.to_thread(client.ask, folder, "down")
        assert await ended == 0

    asyncio.run(live())


def test_what_cannot_be_watched_any_more_is_no_reason_to_end(folder: Folder, tmp_path: Path) -> None:
    place = tmp_path / "services"
    place.mkdir()
    (place / "isvc.yaml").write_text(manifest("iris"))
    declared = world(place)
    watcher = Watcher(declared.files)
    (place / "isvc.yaml").unlink()
    place.rmdir()
    assert [watcher.poll() for _ in range(3)][-1] == {place / "isvc.yaml"}
    declared.read()
    assert declared.resources == []


# -- what is shown ---------------------------------------------------------------------------------------


def test_each_change_is_shown(folder: Folder, isvc: Path) -> None:
    async def live() -> None:
        async with running(folder, world(isvc)) as stage:
            await until(lambda: stage.display.shown)
            stage.platform.conditions["iris"] = ("False", "CrashLoopBackOff", "It ends.")
            stage.platform.on_change()
            await until(lambda: len(stage.display.shown) == 2)
            (view,) = stage.display.shown[-1]
            assert view["manifest"]["status"]["conditions"][0]["reason"] == "CrashLoopBackOff"

    asyncio.run(live())
