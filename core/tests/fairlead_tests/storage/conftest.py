"""The boundary under test: the fetcher and its providers, against real files and a real HTTP server on loopback.

Time is injected: pauses are noted and never waited.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.machine import Machine
from fairlead.storage.progress import Progress, SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead_tests.plugins import distributions
from fairlead_tests.storage import buckets
from fairlead_tests.storage.server import Server, serving

MakeFetcher: TypeAlias = "Callable[..., Fetcher]"


@dataclasses.dataclass
class Time:
    """A clock that moves when somebody sleeps, or when a test says so."""

    now: float = 1000.0
    pauses: list[float] = dataclasses.field(default_factory=list)
    free: int = 1 << 50
    boot: str = dataclasses.field(default_factory=lambda: Machine().boot)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def machine(self) -> Machine:
        return Machine(
            clock=lambda: self.now,
            sleep=self.sleep,
            wait=lambda _event, seconds: self.sleep(seconds),
            chance=lambda: 0.0,
            free_space=lambda _folder: self.free,
            boot=self.boot,
        )


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def fetcher(cache: Path, time: Time) -> Iterator[MakeFetcher]:
    """Make fetchers that share a cache and a clock; arguments are settings."""
    with contextlib.ExitStack() as made:
        yield _maker(cache, time, made)


def _maker(cache: Path, time: Time, made: contextlib.ExitStack) -> MakeFetcher:
    def make(progress: Progress | None = None, machine: Machine | None = None, **settings: Any) -> Fetcher:
        chosen = FetchSettings(**{"cache": cache, **settings})
        fetcher = Fetcher(Plugins.discover(), chosen, progress or SilentProgress(), machine=machine or time.machine())
        made.callback(fetcher.close)
        return fetcher

    return make


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[distributions.Site]:
    """A site with the provider of `fairlead_tests.storage.buckets`."""
    for variable in ("FAIRLEAD_PLUGINS", "FAIRLEAD_PLUGINS_STRICT"):
        monkeypatch.delenv(variable, raising=False)
    made = distributions.planted(tmp_path, monkeypatch)
    buckets.install(made)
    yield made
    made.forget()


def leftovers(cache: Path) -> list[str]:
    """What is in the cache beside lock files."""
    return sorted(str(path.relative_to(cache)) for path in (cache / "artifacts").rglob("*"))
