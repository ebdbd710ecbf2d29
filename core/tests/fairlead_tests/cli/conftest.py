"""These tests run the command in this process, or as the installed script where the process itself is the matter."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead.cli import main
from fairlead.engine import garbage
from fairlead_tests.plugins import distributions


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    status: int
    output: str
    errors: str


Command = Callable[..., Ran]


@contextlib.contextmanager
def logging_restored() -> Iterator[None]:
    """Undo what the command does to this process's logging: its handler writes to a stream that ends with the test."""
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn.error")
    handlers, levels = root.handlers[:], (root.level, uvicorn.level)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        uvicorn.setLevel(levels[1])


@pytest.fixture
def fairlead(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    for variable in ("FAIRLEAD_PLUGINS", "FAIRLEAD_PLUGINS_STRICT", "FAIRLEAD_DEBUG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(garbage, "begin", lambda: None)  # this process is no server, and goes on to other tests

    def run(*arguments: str) -> Ran:
        with logging_restored():
            status = main.main(arguments)
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[distributions.Site]:
    made = distributions.planted(tmp_path, monkeypatch)
    yield made
    made.forget()


@pytest.fixture
def site_with_a_slow_plugin(site: distributions.Site) -> Path:
    """A site with a plugin that says so, and then waits for ever."""
    site.install("slow", plugin="import threading\nprint('waiting', flush=True)\nthreading.Event().wait()\n")
    return site.folder
