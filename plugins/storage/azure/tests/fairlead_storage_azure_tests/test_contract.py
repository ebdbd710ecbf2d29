"""The conformance kit: blobs against Azurite, files against a double of Azure Files."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

import pytest

from fairlead.testing import StorageContract

if TYPE_CHECKING:
    from fairlead.testing.storage import Change, Place
    from fairlead_storage_azure_tests.azurite import Azurite
    from fairlead_storage_azure_tests.filer import Filer


class TestBlobs(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "azure"

    @pytest.fixture
    def place(self, azurite: Azurite) -> Place:
        return azurite.place

    @pytest.fixture
    def change(self, azurite: Azurite) -> Change:
        return lambda uri, content: azurite.replace(uri.removeprefix("az://").partition("/")[2], content)

    @pytest.fixture
    def credentials(self, azurite: Azurite) -> dict[str, str]:
        return azurite.credentials


class TestShares(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "azure"

    @pytest.fixture
    def place(self, filer: Filer) -> Place:
        return filer.place

    @pytest.fixture
    def change(self, filer: Filer) -> Change:
        return lambda uri, content: filer.files.update({urllib.parse.urlsplit(uri).path.split("/", 2)[2]: content})

    @pytest.fixture
    def credentials(self, filer: Filer) -> dict[str, str]:
        return filer.credentials

    def join(self, uri: str, name: str) -> str:
        return f"{uri}/{urllib.parse.quote(name)}"
