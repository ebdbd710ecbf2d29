"""Content that is worth resuming, and ways to stop while it is fetched."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_tests.storage.server import CHUNK, Server

if TYPE_CHECKING:
    from fairlead_tests.storage.conftest import MakeFetcher

__all__ = ["CONTENT", "Stopped", "sha256", "stop_after"]

CONTENT = os.urandom(10 * CHUNK)


class Stopped(BaseException):
    """What a test raises in the place of a kill."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stop_after(server: Server, fetcher: MakeFetcher, uri: str, sent: int) -> None:
    """Begin a fetch and let the connection break for good."""
    server.faults.truncate_at = sent
    with pytest.raises(errors.StorageUnavailable):
        fetcher(retries=0).fetch(uri)
