"""The page about custom models: every Python block on it is a model that loads; `test_examples` checks their types."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fairlead import errors
from fairlead.custom import hints
from fairlead_tests.custom.asking import ask, tensors

if TYPE_CHECKING:
    from fairlead_tests.custom.conftest import Load, Write

PAGE = (Path(__file__).parents[4] / "docs" / "custom-models.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_blocks_answer_as_the_page_says(write: Write, load: Load) -> None:
    asking = ("Inches", "Influence")
    header = json.dumps({"weight": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}}).encode()
    weight = np.array([[2], [3]], dtype="<f4").tobytes()
    folder = write("", "linear.safetensors", header="").parent
    (folder / "linear.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + weight)
    smallest, declared, lengths, linear, _, area, _, positive = (
        load(
            write(block, f"block_{number}.py", header=""),
            name="m",
            **({"predictor_host": "127.0.0.1:1"} if any(f"class {name}(" in block for name in asking) else {}),
        )
        for number, block in enumerate(BLOCKS)
    )
    assert ask(area, inputs=tensors(sides=[[2, 3]])).output("output-0").data.tolist() == [6]
    assert ask(linear, inputs=tensors(x=[[1, 2]])).output("output-0").data.tolist() == [[8]]
    assert ask(smallest, inputs=tensors(x=[[1, 2], [3, 4]])).output("output-0").data.tolist() == [[2, 4], [6, 8]]
    assert len(declared.samples()) == 1
    assert ask(declared, inputs=tensors(x=[[1, 2]])).output("output-0").data.dtype == np.float32
    assert ask(lengths, inputs=tensors(x=["a", "bcd"])).payload == {"model": "m", "mean": 2.0}
    with pytest.raises(errors.InvalidInput, match="must not be negative"):
        ask(positive, inputs=tensors(x=[-1]))


@pytest.mark.parametrize("annotation", [each for each in hints.SUPPORTED if "<" not in each])
def test_every_supported_annotation_is_on_the_page(annotation: str) -> None:
    assert f"`{annotation}`" in PAGE
