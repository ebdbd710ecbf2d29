"""The program runs as a process, against a real HTTP server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead_tests.cli.initializing.running import Initializer
from fairlead_tests.storage.server import Server, serving


@pytest.fixture
def initializer(tmp_path: Path) -> Initializer:
    return Initializer(tmp_path)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "volume" / "models"
