"""The provider passes the public conformance kit, through the public door."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from fairlead.testing.storage import Place, StorageContract
from fairlead_storage_oci_tests import images

if TYPE_CHECKING:
    from fairlead_storage_oci_tests.registries import Registry


class TestContract(StorageContract):
    """A registry has no folders: the file or the folder that a test asks for is pushed as an artefact of its own."""

    @pytest.fixture
    def plugin(self) -> str:
        return "oci"

    @pytest.fixture(autouse=True)
    def pushing(self, registry: Registry) -> None:
        self._registry = registry
        self._trees: dict[str, Mapping[str, bytes]] = {}

    @pytest.fixture
    def place(self) -> Place:
        def place(tree: Mapping[str, bytes]) -> str:
            root = f"oci://{self._registry.host}/kit/{len(self._trees)}"
            self._trees[root] = tree
            return root

        return place

    def join(self, uri: str, name: str) -> str:
        tree = self._trees[uri]
        tag = hashlib.sha256(repr((uri, name, sorted(tree.items()))).encode()).hexdigest()[:16]
        found = {
            each.removeprefix(f"{name}/"): content for each, content in tree.items() if each.startswith(f"{name}/")
        }
        if name in tree:
            found = {name.rpartition("/")[2]: tree[name]}
        if found:
            images.files(self._registry, uri.partition(f"{self._registry.host}/")[2], tag, found)
        return f"{uri}:{tag}"
