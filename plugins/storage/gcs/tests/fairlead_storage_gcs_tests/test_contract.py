"""The conformance kit, against gcp-storage-emulator behind what makes it heed generations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fairlead.testing import StorageContract

if TYPE_CHECKING:
    from fairlead.testing.storage import Change, Place
    from fairlead_storage_gcs_tests.emulator import Emulator
    from fairlead_storage_gcs_tests.front import Front


class TestContract(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "gcs"

    @pytest.fixture
    def place(self, emulator: Emulator) -> Place:
        return emulator.place

    @pytest.fixture
    def change(self, emulator: Emulator) -> Change:
        return lambda uri, content: emulator.put(uri.removeprefix("gs://").partition("/")[2], content)

    @pytest.fixture
    def credentials(self, front: Front) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": front.url}
