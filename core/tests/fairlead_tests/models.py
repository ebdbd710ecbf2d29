"""One-file models that tests write to disk and serve."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

__all__ = ["ASYNC_ECHO", "DOUBLER", "ECHO", "GATED", "write"]

DOUBLER: Final = """
    import numpy as np
    from fairlead import CustomModel, Datatype, TensorSpec

    class Doubler(CustomModel):
        batching = True
        inputs = (TensorSpec("x", Datatype.FP64, (-1, 2)),)
        outputs = (TensorSpec("output-0", Datatype.FP64, (-1, 2)),)

        def predict(self, x: np.ndarray) -> np.ndarray:
            return x * 2
"""

ECHO: Final = """
    from fairlead import CustomModel, InferRequest, InferResponse

    class Echo(CustomModel):
        def predict(self, request: InferRequest) -> InferResponse:
            payload = None if request.inputs else request.payload
            return InferResponse(model_name="", outputs=request.inputs, payload=payload)
"""

ASYNC_ECHO: Final = """
    from fairlead import CustomModel, InferRequest, InferResponse

    class AsyncEcho(CustomModel):
        async def predict(self, request: InferRequest) -> InferResponse:
            return InferResponse(model_name="", outputs=request.inputs)
"""

GATED: Final = """
    import threading
    import numpy as np
    from fairlead import CustomModel

    class Gated(CustomModel):
        def load(self) -> None:
            self.gate = self.artifact / "gate"
            self.calls = self.gate.with_name("calls")

        def predict(self, x: np.ndarray) -> np.ndarray:
            with self.calls.open("a") as calls:
                calls.write("called\\n")
            # A named pipe: opening it for reading waits until the test opens it for writing.
            if self.gate.exists():
                self.gate.read_text()
            return x
"""


def write(folder: Path, source: str, name: str = "model.py") -> Path:
    """Write a model's source to a file, and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path
