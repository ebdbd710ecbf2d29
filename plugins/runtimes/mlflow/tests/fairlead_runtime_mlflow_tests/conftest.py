"""What all tests of this plugin share: MLflow reports nothing, and warns of nothing that is not tested."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


_OF_SAVING = (
    "ignore:[\\s\\S]*[Tt]ype hint",  # advice on models of Python code
    "ignore:[\\s\\S]*An input example was not provided",
    "ignore:Hint. Inferred schema contains integer column",
    "ignore:Operation with range is deprecated",  # MLflow saves an input example with an old call of pandas
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """MLflow warns of much as it saves a model; what it warns of as it serves one is a note or an error."""
    for item in items:
        if "fairlead_runtime_mlflow_tests" in item.nodeid:
            for each in _OF_SAVING:
                item.add_marker(pytest.mark.filterwarnings(each))


@pytest.fixture(autouse=True)
def _no_files_left(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow writes its database into the working directory, if it writes one."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not {"mlruns", "mlflow.db"} & {each.name for each in Path.cwd().iterdir()}
