"""shap is imported once, before its first test: it takes seconds."""

from __future__ import annotations

import warnings
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True, name="shap")
def shap_library() -> Any:
    with warnings.catch_warnings():
        # It draws with matplotlib, where that is installed, and calls functions of it that are to go.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap
    return shap
