"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.torch

from fairlead import Model, RuntimeSpec, Tensor, UnpicklingPolicy, errors
from fairlead.testing import RuntimeContract
from fairlead_runtime_torch_tests import modules

if TYPE_CHECKING:
    from fairlead.testing.runtime import Load


class Torch(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "torch"

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [modules.tensor(modules.ROWS)]


class TestAnExportedProgram(Torch):
    @pytest.fixture
    def artifact(self, exported: Path) -> Path:
        return exported


class TestAnExportedProgramOfSeveralInputsThatWritesToThem(Torch):
    @pytest.fixture
    def artifact(self, exported_several: Path) -> Path:
        return exported_several

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        names = ("args_0", "args_1_0", "args_1_1")
        return [modules.tensor(np.full((2, 3), place, dtype=np.float32), name) for place, name in enumerate(names, 1)]


class TestTorchScriptWhoseInputsAreNotKnown(Torch):
    @pytest.fixture
    def artifact(self, scripted: Path) -> Path:
        return scripted

    @pytest.fixture
    def unpickles(self) -> bool:
        return False


class TestTorchScriptWhoseInputsAreDeclared(TestTorchScriptWhoseInputsAreNotKnown):
    @pytest.fixture
    def settings(self) -> dict[str, str | int | float | bool]:
        return {"inputs": "x:FP32[-1,4]", "nthread": 1, "device": "cpu"}


class TestTorchScriptThatTouchesFiles(TestTorchScriptWhoseInputsAreNotKnown):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return modules.script(tmp_path / "model.pt", modules.Saving(str(tmp_path / "saved")))

    @pytest.fixture
    def unpickles(self) -> bool:
        return True


class TestWeightsAndTheirClass(Torch):
    @pytest.fixture
    def artifact(self, weights: Path) -> Path:
        return weights

    def test_the_policy_trusted_loads_the_listed_file_alone(
        self, load: Load, artifact: Path, spec: RuntimeSpec, unpickles: bool
    ) -> None:
        """Here it is the file of the class that runs code, and not the weights."""
        digest = hashlib.sha256((artifact / "model.py").read_bytes()).hexdigest()
        assert isinstance(load(artifact, UnpicklingPolicy.parse(f"sha256:{digest}")), Model)
        other = hashlib.sha256((artifact / "model.pt").read_bytes()).hexdigest()
        with pytest.raises(errors.UnpicklingRefused):
            load(artifact, UnpicklingPolicy.parse(f"sha256:{other}"))


class TestSafetensorsAndTheirClass(TestWeightsAndTheirClass):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        folder = modules.weights(tmp_path / "weights")
        (folder / "model.pt").rename(folder.parent / "model.pt")
        safetensors.torch.save_file(modules.made().state_dict(), folder / "model.safetensors")
        return folder

    def test_the_policy_trusted_loads_the_listed_file_alone(
        self, load: Load, artifact: Path, spec: RuntimeSpec, unpickles: bool
    ) -> None:
        digest = hashlib.sha256((artifact / "model.py").read_bytes()).hexdigest()
        assert isinstance(load(artifact, UnpicklingPolicy.parse(f"sha256:{digest}")), Model)
