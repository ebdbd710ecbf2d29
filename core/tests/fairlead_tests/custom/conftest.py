"""Models are written to real files and loaded by the real runtime; nothing is patched.

`write` puts source code into a folder, `load` gives it to `PythonRuntime`, and what was loaded is unloaded at the end.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from fairlead.contracts.runtime import AnyModel, Artifact, LoadSettings
from fairlead.contracts.unpickling import UnpicklingPolicy
from fairlead.custom.runtime import PythonRuntime

HEADER = """
from __future__ import annotations
import numpy as np
import pandas as pd
from typing import Any
from numpy.typing import NDArray
from fairlead import CustomModel, Datatype, InferRequest, InferResponse, Tensor, TensorSpec
"""

Write = Callable[..., Path]


class Load(Protocol):
    def __call__(self, path: Path, *, name: str = ..., policy: str = ..., **options: str) -> AnyModel: ...


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write source code, with the imports that every model here needs, and return the file."""

    def write(source: str, name: str = "model.py", header: str = HEADER) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(header + textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def load() -> Iterator[Load]:
    """Load a file or a folder; every model is unloaded at the end."""
    loaded: list[AnyModel] = []

    def load(path: Path, *, name: str = "m", policy: str = "allow", **options: Any) -> AnyModel:
        settings = LoadSettings(model_name=name, unpickling=UnpicklingPolicy.parse(policy), options=options)
        model = PythonRuntime().load(Artifact(path=path, uri=str(path)), settings)
        loaded.append(model)
        return model

    yield load
    for model in loaded:
        model.unload()
