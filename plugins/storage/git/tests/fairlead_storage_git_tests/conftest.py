"""The boundary under test: the plugin, against real repositories and a real git server on loopback."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from fairlead_storage_git.provider import GitProvider
from fairlead_storage_git_tests.repositories import Repository
from fairlead_storage_git_tests.servers import GitServer, serving

MakeProvider: TypeAlias = "Callable[..., GitProvider]"


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials of whoever runs the tests."""
    for name in ("GIT_USERNAME", "GIT_PASSWORD", "GIT_MAX_BYTES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the repositories of a server are."""
    return tmp_path / "repositories"


@pytest.fixture
def make_repository(root: Path) -> Iterator[Callable[[], Repository]]:
    numbers, made = itertools.count(1), []

    def make() -> Repository:
        made.append(Repository(root / f"{next(numbers)}.git"))
        return made[-1]

    yield make
    for repository in made:
        repository.close()


@pytest.fixture
def repository(make_repository: Callable[[], Repository]) -> Repository:
    return make_repository()


@pytest.fixture(params=["git", "dulwich"])
def server(request: pytest.FixtureRequest, root: Path) -> Iterator[GitServer]:
    """The same repositories over HTTP, by two servers: one with protocol version 2, and one with version 0."""
    if request.param == "git" and shutil.which("git") is None:
        pytest.skip("needs the program git; install the package git")
    root.mkdir(exist_ok=True)
    with serving(root, request.param) as server:
        yield server


@pytest.fixture
def provider() -> Iterator[MakeProvider]:
    """Makes providers; arguments are credentials."""
    made: list[GitProvider] = []

    def make(timeout: float = 10.0, **credentials: str) -> GitProvider:
        made.append(GitProvider(credentials=credentials, timeout=timeout))
        return made[-1]

    yield make
    for each in made:
        each.close()
