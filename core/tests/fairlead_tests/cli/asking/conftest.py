"""A platform that runs in this process, beside which commands ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead.local.folder import Folder
from fairlead_tests.cli.platforms import Stage, beside, manifest, world
from fairlead_tests.local.homes import home

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Ran


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    with home() as environ:
        for variable in ("FAIRLEAD_STATE", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(variable, environ[variable])
        yield Folder()


@pytest.fixture
def isvc(tmp_path: Path) -> Path:
    made = tmp_path / "isvc.yaml"
    wine = manifest("wine").replace("{name: wine}", "{name: wine, annotations: {fairlead.io/of-wine: 'yes'}}")
    made.write_text("---\n".join([manifest("iris"), wine, manifest("iris", namespace="team")]))
    return made


@pytest.fixture
def with_a_platform(folder: Folder, isvc: Path) -> Iterator[Callable[[Callable[[Stage], Ran]], Ran]]:
    """Runs what asks, in a thread, beside a platform with iris and wine, and with iris in another namespace."""
    folder.acquire()
    yield lambda asks: beside(folder, world(isvc), asks)
    folder.release()


Asked = Callable[[Callable[[Stage], "Ran"]], "Ran"]
