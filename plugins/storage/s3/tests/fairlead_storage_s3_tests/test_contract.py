"""The conformance kit, against moto's server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fairlead.testing import StorageContract
from fairlead_storage_s3_tests import bucket as buckets

if TYPE_CHECKING:
    from fairlead.testing.storage import Change, Place
    from fairlead_storage_s3_tests.bucket import Bucket, Server


class TestContract(StorageContract):
    @pytest.fixture
    def plugin(self) -> str:
        return "s3"

    @pytest.fixture
    def place(self, bucket: Bucket) -> Place:
        return bucket.place

    @pytest.fixture
    def change(self, bucket: Bucket) -> Change:
        return bucket.change

    @pytest.fixture
    def credentials(self, server: Server) -> dict[str, str]:
        return buckets.credentials(server.url)
