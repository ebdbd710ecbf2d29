"""Servers for the tests of this folder; each test that takes `interface` runs with both ways to grpcio."""

from __future__ import annotations

import pytest

from fairlead.grpc import direct


@pytest.fixture(params=["inside", "public"])
def interface(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which interface of grpcio servers use that are started from here on."""
    assert direct.works(), "the inside of the grpcio that is installed is not the one that is used"
    if request.param == "public":
        monkeypatch.setattr(direct, "works", lambda: False)
    return str(request.param)
