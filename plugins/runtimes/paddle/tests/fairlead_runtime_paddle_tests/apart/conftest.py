"""Tests of this folder run in a process of their own, which ``test_apart.py`` starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

APART = "FAIRLEAD_TESTS_APART"

collect_ignore_glob = [] if os.environ.get(APART) else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Importing PaddlePaddle warns of a missing cache for compilers; saving a model, of its own use of numpy."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:No ccache found"))


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with programs: ``json`` and ``old`` of one input and output, ``two`` of two, in any number of rows."""
    from fairlead_runtime_paddle_tests.apart import programs

    folder = tmp_path_factory.mktemp("programs")
    programs.save_all(folder)
    return folder
