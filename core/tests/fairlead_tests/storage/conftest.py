"""The boundary under test: the fetcher and its providers, against real files and a real HTTP server on loopback.

Time is injected: pauses are noted and never waited.
"""

from __future__ import annotations

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
from fairlead_tests.storage.server import Server, serving

MakeFetcher: TypeAlias = "Callable[..., Fetcher]"


@dataclasses.dataclass
class Time:
    """A clock that moves when somebody sleeps, or when a test says so."""

    now: float = 1000.0
    pauses: list[float] = dataclasses.field(default_factory=list)
    free: int = 1 << 50

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def machine(self) -> Machine:
        return Machine(
            clock=lambda: self.now, sleep=self.sleep, chance=lambda: 0.0, free_space=lambda _folder: self.free
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
def fetcher(cache: Path, time: Time) -> MakeFetcher:
    """Make fetchers that share a cache and a clock; arguments are settings."""

    def make(progress: Progress | None = None, machine: Machine | None = None, **settings: Any) -> Fetcher:
        chosen = FetchSettings(**{"cache": cache, **settings})
        return Fetcher(Plugins.discover(), chosen, progress or SilentProgress(), machine=machine or time.machine())

    return make


def leftovers(cache: Path) -> list[str]:
    """What is in the cache beside lock files."""
    return sorted(str(path.relative_to(cache)) for path in (cache / "artifacts").rglob("*"))
