"""Activators are real processes, which a busy machine may keep waiting: what they have counted is waited for."""

from __future__ import annotations

import pytest

from fairlead.local.activator import process
from fairlead_tests.local.activator.asking import PATIENCE


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_MEASURE_SECONDS", PATIENCE)
