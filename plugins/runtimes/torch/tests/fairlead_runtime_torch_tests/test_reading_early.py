"""Safetensors that are read before the rest of the artefact is here."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
import safetensors.torch
import torch

from fairlead import Artifact, LoadSettings, UnpicklingPolicy, errors
from fairlead_runtime_torch import weights
from fairlead_runtime_torch._plugin import SPEC
from fairlead_runtime_torch.runtime import TorchRuntime
from fairlead_runtime_torch_tests import modules


class Stream(io.BytesIO):
    """Bytes that come from no file; notes how many were read."""

    read_bytes = 0

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self.read_bytes += count
        return count


class Arriving(Artifact):
    """An artefact whose path is there once its weights were read."""

    def __init__(self, folder: Path, awaited: int) -> None:
        object.__setattr__(self, "uri", "test://weights")
        self.__dict__.update(folder=folder, awaited=awaited, streams={})

    @property
    def path(self) -> Path:
        assert sum(stream.read_bytes for stream in self.__dict__["streams"].values()) >= self.__dict__["awaited"]
        return cast("Path", self.__dict__["folder"])

    def sizes(self) -> Mapping[str, int]:
        return Artifact(path=self.__dict__["folder"], uri="").sizes()

    def open(self, name: str) -> BinaryIO:
        stream = self.__dict__["streams"][name] = Stream((self.__dict__["folder"] / name).read_bytes())
        return stream


def settings(policy: str = "allow") -> LoadSettings:
    options = {setting.name: setting.default for setting in SPEC.settings} | {"nthread": 1, "device": "cpu"}
    return LoadSettings(model_name="m", options=options, unpickling=UnpicklingPolicy.parse(policy))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    safetensors.torch.save_file(modules.made().state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "model.py").write_text(modules.CLASS)
    return tmp_path


def test_the_weights_are_read_before_the_path_is_asked_for(folder: Path) -> None:
    artifact = Arriving(folder, (folder / "model.safetensors").stat().st_size)
    model = TorchRuntime().load(artifact, settings())
    (sample,) = model.samples()
    np.testing.assert_allclose(
        model.predict(sample).outputs[0].data, modules.expected(sample.inputs[0].data).numpy(), rtol=1e-6
    )


def test_the_class_is_not_run_where_the_policy_forbids_it(folder: Path) -> None:
    with pytest.raises(errors.UnpicklingRefused):
        TorchRuntime().load(Arriving(folder, 0), settings("deny"))


@pytest.mark.parametrize("other", ["model.pt", "second.safetensors"])
def test_where_it_is_not_clear_which_file_it_is_nothing_is_read(folder: Path, other: str) -> None:
    (folder / other).touch()
    artifact = Arriving(folder, 0)
    with pytest.raises(errors.ArtifactAmbiguous):
        TorchRuntime().load(artifact, settings())
    assert artifact.__dict__["streams"] == {}


def test_other_forms_under_that_name_are_loaded_of_the_whole(tmp_path: Path) -> None:
    modules.weights(tmp_path, "model.safetensors")
    model = TorchRuntime().load(Arriving(tmp_path, 0), settings())
    assert len(model.samples()) == 1


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32),
        *(torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64),
    ],
    ids=str,
)
@pytest.mark.parametrize("mapped", [True, False], ids=["on disk", "arriving"])
def test_tensors_are_those_that_the_library_reads(tmp_path: Path, dtype: torch.dtype, mapped: bool) -> None:
    path = tmp_path / "a.safetensors"
    saved = {"a": torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype), "one": torch.ones(()).to(dtype)}
    saved["none"] = torch.empty((0, 3), dtype=dtype)
    safetensors.torch.save_file(saved, path)
    with path.open("rb") if mapped else Stream(path.read_bytes()) as file:
        read = weights.tensors(weights.stored(cast("BinaryIO", file), path.name), path.name)
    wanted = safetensors.torch.load_file(path)
    assert read.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
        assert bytes(read[name].flatten().view(torch.uint8).tolist()) == bytes(
            tensor.flatten().view(torch.uint8).tolist()
        )
