"""The conformance kit. A repository is fetched as a whole, so that each folder and file of a tree is one of its own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from fairlead.testing.storage import Place, StorageContract

if TYPE_CHECKING:
    from fairlead_storage_huggingface_tests.hub import Hub


class TestContract(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "huggingface"

    @pytest.fixture
    def credentials(self, hub: Hub) -> dict[str, str]:
        return {"HF_ENDPOINT": hub.url}

    @pytest.fixture
    def place(self, hub: Hub) -> Place:
        numbers = itertools.count()

        def place(tree: Mapping[str, bytes]) -> str:
            root = f"hf://org/tree{next(numbers)}"
            folders = {"", *(name[: found.start()] for name in tree for found in re.finditer("/", name))}
            for folder in folders:
                start = f"{folder}/" if folder else ""
                below = {name.removeprefix(start): tree[name] for name in tree if name.startswith(start)}
                hub.repo(_repository(root, folder), below)
            for name, content in tree.items():
                hub.repo(_repository(root, name), {name.rpartition("/")[2]: content})
            return root

        return place

    def join(self, uri: str, name: str) -> str:
        return f"hf://{_repository(uri, name)}"


def _repository(root: str, name: str) -> str:
    """The repository that stands for a folder or a file of a tree."""
    mark = re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):x}_", name)
    return f"{root.removeprefix('hf://')}-{mark}" if name else root.removeprefix("hf://")
