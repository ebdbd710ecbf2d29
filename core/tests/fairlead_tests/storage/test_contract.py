from __future__ import annotations

import itertools
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead.storage import uris
from fairlead.testing.storage import Change, Place, StorageContract

if TYPE_CHECKING:
    from fairlead_tests.storage.server import Server


class TestFileContract(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "file"

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        numbers = itertools.count()

        def place(tree: Mapping[str, bytes]) -> str:
            root = tmp_path / str(next(numbers))
            for name, content in tree.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(content)
            return root.as_uri()

        return place

    @pytest.fixture
    def change(self) -> Change:
        return lambda uri, content: void(uris.local_path(uri).write_bytes(content))

    def join(self, uri: str, name: str) -> str:
        return f"{uri}/{urllib.parse.quote(name)}"


class TestHttpContract(StorageContract):
    trees = False

    @pytest.fixture
    def plugin(self) -> str:
        return "http"

    @pytest.fixture
    def place(self, server: Server) -> Place:
        return server.place

    @pytest.fixture
    def change(self, server: Server) -> Change:
        return lambda uri, content: void(server.put(urllib.parse.urlsplit(uri).path, content))

    def join(self, uri: str, name: str) -> str:
        return f"{uri}/{urllib.parse.quote(name)}"


def void(_result: object) -> None:
    """Nothing, of what has a result."""
