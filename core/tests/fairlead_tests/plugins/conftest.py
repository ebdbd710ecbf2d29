"""These tests see real distributions: packages and metadata in a temporary folder on ``sys.path``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead_tests.plugins import distributions


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[distributions.Site]:
    monkeypatch.delenv("FAIRLEAD_PLUGINS", raising=False)
    monkeypatch.delenv("FAIRLEAD_PLUGINS_STRICT", raising=False)
    made = distributions.planted(tmp_path, monkeypatch)
    yield made
    made.forget()
