"""Folders of models for tests of many models: models that count their loads, wait at a gate, or take much memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from fairlead.contracts.tensors import Datatype, InferRequest, Tensor
from fairlead.engine.engine import Engine
from fairlead.engine.repository import Repository
from fairlead.plugins import Plugins
from fairlead.settings import ServerSettings
from fairlead.storage.fetcher import Fetcher
from fairlead_tests.models import write
from fairlead_tests.waiting import eventually

__all__ = ["COUNTED", "HEAVY", "Folder", "Gate", "ask", "engine_of", "until_begun"]

COUNTED: Final = """
    import numpy as np
    from fairlead import CustomModel

    class Counted(CustomModel):
        def beside(self, what: str):
            return self.artifact.with_name(f".{self.artifact.name}.{what}")

        def load(self) -> None:
            with self.beside("loads").open("a") as loads:
                loads.write("loaded\\n")
            # A named pipe: opening it for reading waits until the test opens it for writing.
            if self.beside("gate").exists():
                self.beside("gate").read_text()

        def predict(self, x: np.ndarray) -> np.ndarray:
            return x * 2

        def unload(self) -> None:
            with self.beside("unloads").open("a") as unloads:
                unloads.write("unloaded\\n")
"""

HEAVY: Final = """
    import numpy as np
    from fairlead import CustomModel

    class Heavy(CustomModel):
        def load(self) -> None:
            self.weights = np.ones(int(self.artifact.joinpath("mebibytes").read_text()) << 20, dtype=np.uint8)
            self.itself = self  # a cycle, as models have many

        def predict(self, x: np.ndarray) -> np.ndarray:
            gate = self.artifact.with_name(f".{self.artifact.name}.gate")
            if gate.exists():
                gate.with_suffix(".called").touch()
                gate.read_text()
            return x * 2
"""


class Gate:
    """Holds what reads it until the test opens it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        os.mkfifo(path)

    def open(self) -> None:
        """Let the one that waits go on, and everyone after it."""
        with self._path.open("w"):
            self._path.unlink()


class Folder:
    """A repository on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def counted(self, name: str, **config: Any) -> Path:
        """A model that counts its loads; ``config`` is its ``fairlead.json``."""
        return self._add(name, COUNTED, config)

    def heavy(self, name: str, mebibytes: int, **config: Any) -> Path:
        """A model that takes so much memory once it is loaded."""
        path = self._add(name, HEAVY, config)
        (path / "mebibytes").write_text(str(mebibytes))
        return path

    def gate(self, name: str) -> Gate:
        """Hold the next load of a counted model, or the next request to a heavy one."""
        return Gate(self.root / f".{name}.gate")

    def loads(self, name: str) -> int:
        """How often a counted model was loaded."""
        return self._lines(f".{name}.loads")

    def unloads(self, name: str) -> int:
        """How often a counted model was unloaded."""
        return self._lines(f".{name}.unloads")

    def was_called(self, name: str) -> bool:
        """Whether a request waits at the gate of a heavy model."""
        return (self.root / f".{name}.called").exists()

    def _lines(self, name: str) -> int:
        path = self.root / name
        return len(path.read_text().splitlines()) if path.exists() else 0

    def _add(self, name: str, source: str, config: dict[str, Any]) -> Path:
        path = write(self.root / name, source).parent
        if config:
            (path / "fairlead.json").write_text(json.dumps(config))
        return path


@contextlib.asynccontextmanager
async def engine_of(
    root: Path, *, clock: Callable[[], float] = time.monotonic, on_demand: bool = True, **settings: Any
) -> AsyncIterator[Engine]:
    """An engine that has started on a folder of models, and stops at the end."""
    plugins = Plugins.discover()
    repository = Repository(root)
    given = ServerSettings(load_on_demand=on_demand, **settings)
    engine = Engine(plugins, Fetcher(plugins).fetch, given, repository, clock=clock)
    await engine.start(repository.sources())
    try:
        yield engine
    finally:
        await engine.stop()


async def ask(engine: Engine, name: str) -> list[Any]:
    """Ask a model as a protocol shell does."""
    import numpy as np

    serving = await engine.acquire(name)
    tensor = Tensor("x", np.array([[1.0, 2.0]]), Datatype.FP64)
    response = await serving.infer(InferRequest(model_name=name, inputs=[tensor]))
    answer: list[Any] = response.outputs[0].data.tolist()
    return answer


async def until_begun(folder: Folder, name: str, loads: int = 1) -> None:
    """Wait until a counted model has begun to load so often."""
    await asyncio.to_thread(eventually, lambda: folder.loads(name) == loads)
