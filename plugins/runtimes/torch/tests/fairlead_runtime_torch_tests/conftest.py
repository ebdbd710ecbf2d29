"""Artefacts that take long to make (an export takes seconds), made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fairlead_runtime_torch_tests import modules


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of any number of rows."""
    return modules.export_net(tmp_path_factory.mktemp("exported") / "model.pt2")


@pytest.fixture(scope="session")
def exported_several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of three inputs, two of them in a list, that writes to the first; it answers with a dictionary."""
    rows = {0: torch.export.Dim("rows")}
    module = modules.Function(lambda x, pair: {"sum": x.mul_(2) + pair[0], "half": pair[1].half()})
    inputs = (torch.zeros(2, 3), [torch.zeros(2, 3), torch.zeros(2, 3)])
    path = tmp_path_factory.mktemp("several") / "model.pt2"
    return modules.export(module, path, *inputs, dynamic={"args": (rows, [rows, rows])})


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules.script(tmp_path_factory.mktemp("scripted") / "model.pt")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights, and the file of their class."""
    return modules.weights(tmp_path_factory.mktemp("weights"))
