"""``fairlead logs``: what is read from the files of replicas, also while they grow and are renamed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead.cli.showlogs import Tail
from fairlead.local import client
from fairlead.local.folder import Folder
from fairlead.local.replicas.logs import RotatedLog
from fairlead_tests.cli.platforms import Stage, beside, manifest, world
from fairlead_tests.local.homes import home

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command, Ran

IRIS, WINE = "iris-predictor-00001-abcde", "wine-predictor-00001-abcde"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    with home() as environ:
        for variable in ("FAIRLEAD_STATE", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(variable, environ[variable])
        yield Folder()


@pytest.fixture
def with_a_platform(folder: Folder, tmp_path: Path) -> Iterator[Callable[[Callable[[Stage], Ran]], Ran]]:
    isvc = tmp_path / "isvc.yaml"
    isvc.write_text(manifest("iris"))
    folder.acquire()
    yield lambda asks: beside(folder, world(isvc), asks)
    folder.release()


Asked = Callable[[Callable[[Stage], "Ran"]], "Ran"]


def whole(path: Path) -> list[bytes]:
    """Every line of a log."""
    with contextlib.closing(Tail(path)) as tail:
        return list(tail.history(None, whole=True))


def test_lines_are_shown_as_they_were_written(fairlead: Command, with_a_platform: Asked, folder: Folder) -> None:
    folder.log("default", IRIS).write_text('{"level": "info", "message": "grüße"}\nunfinished')
    ran = with_a_platform(lambda _: fairlead("logs", "iris"))
    assert ran.output == '{"level": "info", "message": "grüße"}\nunfinished\n'


def test_only_the_last_lines_are_shown_where_that_is_asked_for(
    fairlead: Command, with_a_platform: Asked, folder: Folder
) -> None:
    folder.log("default", IRIS).write_text("1\n2\n3\n")
    assert with_a_platform(lambda _: fairlead("logs", "iris", "--tail", "2")).output == "2\n3\n"


def test_what_was_renamed_comes_before_what_is_written_now(tmp_path: Path) -> None:
    log = RotatedLog(tmp_path / "x.log", max_bytes=20, files=3)
    for number in range(9):
        log.write(f"line {number}\n".encode())
    log.close()
    assert whole(tmp_path / "x.log") == [f"line {number}\n".encode() for number in range(4, 9)]


def test_nothing_is_lost_or_repeated_while_a_log_is_renamed(tmp_path: Path) -> None:
    log = RotatedLog(tmp_path / "x.log", max_bytes=50, files=3)
    log.write(b"line 00\n")
    tail = Tail(tmp_path / "x.log")
    lines = list(tail.history(None, whole=False))
    for number in range(1, 60):
        log.write(f"line {number:02}\n".encode())
        if number % 3 == 0:
            lines += tail.more()
    lines += tail.more()
    tail.close()
    log.close()
    assert lines == [f"line {number:02}\n".encode() for number in range(60)]


def test_a_line_is_followed_once_it_is_finished(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    file.write_bytes(b"one\ntw")
    tail = Tail(file)
    assert list(tail.history(None, whole=False)) == [b"one\n"]
    assert tail.more() == []
    with file.open("ab") as more:
        more.write(b"o\nthree\n")
    assert tail.more() == [b"two\n", b"three\n"]
    tail.close()


def test_a_log_that_comes_later_is_followed(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "x.log")
    assert list(tail.history(5, whole=False)) == []
    (tmp_path / "x.log").write_bytes(b"one\n")
    assert tail.more() == [b"one\n"]
    tail.close()


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"x" * 3_000_000)
    assert max(map(len, whole(tmp_path / "x.log"))) <= 1024 * 1024 + 1


def test_followed_logs_end_with_the_platform(
    fairlead: Command, with_a_platform: Asked, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = folder.log("default", IRIS)
    log.write_text("first\n")
    follows, more = threading.Event(), Tail.more

    def seen(tail: Tail) -> list[bytes]:
        follows.set()
        return more(tail)

    monkeypatch.setattr(Tail, "more", seen)

    def ask(stage: Stage) -> Ran:
        def write() -> None:
            assert follows.wait(60)
            with log.open("a") as file:
                file.write("second\n")
            client.ask(folder, "down")

        writing = threading.Thread(target=write)
        writing.start()
        ran = fairlead("logs", "iris", "-f")
        writing.join()
        return ran

    assert with_a_platform(ask).output == "first\nsecond\n"


def test_previous_shows_replicas_that_are_gone(fairlead: Command, with_a_platform: Asked, folder: Folder) -> None:
    folder.log("default", IRIS).write_text("now\n")
    folder.log("default", "iris-predictor-00001-zzzzz").write_text("before\n")
    folder.log("default", "iris-v2-predictor-00001-zzzzz").write_text("another service\n")
    assert with_a_platform(lambda _: fairlead("logs", "iris", "--previous")).output == "before\n"


def test_previous_shows_what_a_platform_left_that_has_ended(fairlead: Command, folder: Folder) -> None:
    for age, name in ((0, "iris-predictor-00002-bbbbb"), (100, "iris-predictor-00001-aaaaa")):
        log = folder.log("default", name)
        log.write_text(f"{age}\n")
        os.utime(log, (1e9 - age, 1e9 - age))
    ran = fairlead("logs", "iris", "--previous")
    assert ran.output == "[iris-predictor-00001-aaaaa] 100\n[iris-predictor-00002-bbbbb] 0\n"
    assert fairlead("logs", "iris", "--previous", "--replica", "iris-predictor-00002-bbbbb").output == "0\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--replica", "nobody"], f"iris has no replica nobody.\nThere is {IRIS}."),
        (["--tail", "-1"], "--tail -1: a number of lines is not negative."),
        (["--previous", "-f"], "--previous and --follow exclude each other"),
        (["--previous"], "There is no log of a replica of iris that is gone."),
    ],
)
def test_what_cannot_be_shown_is_an_error(
    fairlead: Command, with_a_platform: Asked, arguments: list[str], expected: str
) -> None:
    ran = with_a_platform(lambda _: fairlead("logs", "iris", *arguments))
    assert ran.status == 2
    assert expected in ran.errors


def test_a_component_without_replicas_is_said(fairlead: Command, with_a_platform: Asked) -> None:
    ran = with_a_platform(lambda _: fairlead("logs", "iris", "--component", "transformer"))
    assert (ran.status, ran.output) == (0, "")
    assert "transformer of iris has no replicas now" in ran.errors
