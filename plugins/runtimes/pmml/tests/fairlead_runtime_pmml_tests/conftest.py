"""Tests of this folder need a Java runtime, and JPMML."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_INSTALL = "for example: apt-get install default-jre-headless; pip install 'fairlead-runtime-pmml[jpmml]'"


def _missing() -> str | None:
    """What is not installed; None where nothing is missing."""
    if importlib.util.find_spec("jpmml_evaluator") is None:
        return f"jpmml-evaluator is not installed ({_INSTALL})"
    import jpype

    try:
        jpype.getDefaultJVMPath()
    except jpype.JVMNotFoundException:
        return f"there is no Java runtime ({_INSTALL})"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip them with that reason."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    if here and (missing := _missing()) is not None:
        for item in here:
            item.add_marker(pytest.mark.skip(reason=missing))
