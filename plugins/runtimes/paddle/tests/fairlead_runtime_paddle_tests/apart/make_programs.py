"""Save the programs that the tests serve: ``python make_programs.py FOLDER json|old``."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any


def main(folder: Path, form: str) -> None:
    warnings.simplefilter("ignore")
    import paddle
    from paddle.static import InputSpec

    class One(paddle.nn.Layer):  # type: ignore[misc]  # PaddlePaddle has no types
        def __init__(self) -> None:
            super().__init__()
            self.dense = paddle.nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return paddle.nn.functional.softmax(self.dense(x))

    class Two(paddle.nn.Layer):  # type: ignore[misc]  # PaddlePaddle has no types
        def __init__(self) -> None:
            super().__init__()
            self.dense = paddle.nn.Linear(4, 3)

        def forward(self, numbers: Any, index: Any) -> Any:
            return self.dense(numbers), index * 2

    class Image(paddle.nn.Layer):  # type: ignore[misc]  # PaddlePaddle has no types
        def __init__(self) -> None:
            super().__init__()
            self.scale = self.create_parameter([3], default_initializer=paddle.nn.initializer.Constant(2.0))

        def forward(self, image: Any) -> Any:
            return image.mean(axis=[2, 3]) * self.scale

    paddle.seed(7)
    numbers = InputSpec([None, 4], "float32", name="x")
    paddle.jit.save(One(), str(folder / form / "inference"), input_spec=[numbers])
    if form == "json":
        specs = [InputSpec([None, 4], "float32", name="numbers"), InputSpec([None, 1], "int64", name="index")]
        paddle.jit.save(Two(), str(folder / "two" / "inference"), input_spec=specs)
        image = InputSpec([None, 3, None, None], "float32", name="image")
        paddle.jit.save(Image(), str(folder / "image" / "inference"), input_spec=[image])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
