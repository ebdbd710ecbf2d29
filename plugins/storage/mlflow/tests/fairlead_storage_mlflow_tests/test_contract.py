from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from fairlead.testing.storage import Change, Place, StorageContract

if TYPE_CHECKING:
    from fairlead_storage_mlflow_tests.servers import Tracking


class TestContract(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "mlflow"

    @pytest.fixture
    def credentials(self, server: Tracking) -> dict[str, str]:
        return {"MLFLOW_TRACKING_URI": server.url}

    @pytest.fixture
    def place(self, server: Tracking) -> Place:
        def place(tree: Mapping[str, bytes]) -> str:
            return f"runs:/{server.run(tree)}"

        return place

    @pytest.fixture
    def change(self, server: Tracking) -> Change:
        def change(uri: str, content: bytes) -> None:
            run, _, name = uri.removeprefix("runs:/").partition("/")
            server.put(run, name, content)

        return change
