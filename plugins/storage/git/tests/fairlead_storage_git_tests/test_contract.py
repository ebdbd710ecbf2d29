from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest

from fairlead.testing.storage import Place, StorageContract

if TYPE_CHECKING:
    from fairlead_storage_git_tests.repositories import Repository
    from fairlead_storage_git_tests.servers import GitServer


class _Contract(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "git"

    def join(self, uri: str, name: str) -> str:
        return f"{uri}#subdirectory={urllib.parse.quote(name)}"


class TestFileContract(_Contract):
    @pytest.fixture
    def place(self, make_repository: Callable[[], Repository]) -> Place:
        def place(tree: Mapping[str, bytes]) -> str:
            repository = make_repository()
            repository.commit(tree)
            return f"git+{repository.path.as_uri()}"

        return place


class TestHttpContract(_Contract):
    @pytest.fixture
    def place(self, make_repository: Callable[[], Repository], server: GitServer) -> Place:
        def place(tree: Mapping[str, bytes]) -> str:
            repository = make_repository()
            repository.commit(tree)
            return f"git+{server.url}/{repository.path.name}"

        return place
