"""Small modules, saved in every form that is served; torch is imported once, when the tests are."""

from __future__ import annotations

import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from fairlead import Artifact, LoadSettings, Tensor, UnpicklingPolicy
from fairlead_runtime_torch._plugin import SPEC
from fairlead_runtime_torch.runtime import TorchRuntime

if TYPE_CHECKING:
    from fairlead_runtime_torch.model import TorchModel

ROWS = np.array([[6.8, 2.8, 4.8, 1.4], [5.1, 3.5, 1.4, 0.2], [6.0, 2.2, 5.0, 1.5]], dtype=np.float32)

CLASS = """
import torch
from fairlead import Datatype, TensorSpec


class Net(torch.nn.Module):
    inputs = [TensorSpec("x", Datatype.FP32, (-1, 4))]

    def __init__(self, classes=3):
        super().__init__()
        self.linear = torch.nn.Linear(4, classes)

    def forward(self, x):
        return self.linear(x).softmax(-1)
"""


class Net(torch.nn.Module):  # type: ignore[misc]  # mypy does not follow torch
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).softmax(-1)


class Scores(NamedTuple):
    logits: torch.Tensor
    best: torch.Tensor


class Saving(torch.nn.Module):  # type: ignore[misc]  # mypy does not follow torch
    """Writes a file, which TorchScript can do without Python."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.path)
        return x


class Function(torch.nn.Module):  # type: ignore[misc]  # mypy does not follow torch
    """A module of a function, for those that need no more."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: torch.Tensor) -> Any:
        return self.function(*args)


def made() -> Net:
    torch.manual_seed(0)
    module = Net()
    module.eval()
    return module


def expected(rows: Any = ROWS) -> Any:
    """What the library itself answers."""
    with torch.inference_mode():
        return made()(torch.from_numpy(np.array(rows)))


def export(
    module: torch.nn.Module,
    path: Path,
    *inputs: torch.Tensor,
    dynamic: Any = None,
    keywords: Mapping[str, Any] | None = None,
) -> Path:
    program = torch.export.export(module, inputs, dict(keywords or {}), dynamic_shapes=dynamic)
    torch.export.save(program, path)
    return path


def export_net(path: Path, **limits: int) -> Path:
    return export(made(), path, torch.zeros(2, 4), dynamic={"x": {0: torch.export.Dim("rows", **limits)}})


def script(path: Path, module: torch.nn.Module | None = None) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch deprecates TorchScript, and still loads it
        torch.jit.script(module or made()).save(path)
    return path


def weights(folder: Path, name: str = "model.pt", source: str = CLASS) -> Path:
    """A folder with the weights, and the file of their class."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(made().state_dict(), folder / name)
    (folder / "model.py").write_text(source, encoding="utf-8")
    return folder


def load(path: Path, policy: str = "allow", **options: Any) -> TorchModel:
    complete = {setting.name: setting.default for setting in SPEC.settings} | {"nthread": 1} | options
    settings = LoadSettings(model_name="model", unpickling=UnpicklingPolicy.parse(policy), options=complete)
    return TorchRuntime().load(Artifact(path=path, uri=path.as_uri()), settings)


def tensor(array: Any, name: str = "x") -> Tensor:
    return Tensor.from_numpy(name, np.asarray(array))


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def bombed(program: Path, path: Path, marker: Path) -> Path:
    """A copy of an exported program, with a bomb in place of its example inputs."""
    bomb = io.BytesIO()
    torch.save(((Bomb(marker),), {}), bomb, pickle_module=pickle)
    with zipfile.ZipFile(program) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, bomb.getvalue() if "sample_inputs" in name else source.read(name))
    return path
