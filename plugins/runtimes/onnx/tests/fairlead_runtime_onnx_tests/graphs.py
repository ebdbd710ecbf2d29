"""Graphs that the tests serve, made by hand or by converters."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
IR_VERSION = 10


def value(name: str, shape: Sequence[int | str | None] | None, kind: int = TensorProto.FLOAT) -> Any:
    """An input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    nodes: Sequence[Any],
    initializers: Mapping[str, Any] | None = None,
    **given: Any,
) -> Any:
    """A model of one graph; initializers are arrays by name, or whole tensors."""
    tensors = [
        each if isinstance(each, TensorProto) else numpy_helper.from_array(np.asarray(each), name)
        for name, each in (initializers or {}).items()
    ]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", given.pop("opset", OPSET)), *given.pop("opsets", ())]
    made = helper.make_model(graph, opset_imports=opsets, functions=given.pop("functions", ()))
    made.ir_version = given.pop("ir_version", IR_VERSION)
    made.producer_name, made.producer_version = "graphs", "1.2"
    assert not given
    return made


def saved(path: Path, made: Any, name: str = "model.onnx") -> Path:
    """Write a model into a folder; returns the folder."""
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(made.SerializeToString())
    return path


def own_answer(folder: Path, feeds: Mapping[str, Any], name: str = "model.onnx") -> dict[str, Any]:
    """What onnxruntime itself answers, by output name."""
    session = onnxruntime.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(feeds)), strict=True))


def doubling(first: int | str | None = "rows", kind: int = TensorProto.FLOAT, **given: Any) -> Any:
    """``y = x + x`` of ``[first, 2]``."""
    nodes = [helper.make_node("Add", ["x", "x"], ["y"])]
    return model([value("x", [first, 2], kind)], [value("y", [first, 2], kind)], nodes, **given)


def identity(kind: int, shape: Sequence[int | str | None] = ("rows",)) -> Any:
    """``y = x``."""
    return model([value("x", shape, kind)], [value("y", shape, kind)], [helper.make_node("Identity", ["x"], ["y"])])


def affine() -> Any:
    """Two inputs and two outputs, with one free first dimension: ``sum = a @ w + b`` and ``most = argmax(sum)``."""
    return model(
        [value("a", ["rows", 3]), value("b", ["rows", 2])],
        [value("sum", ["rows", 2]), value("most", ["rows"], TensorProto.INT64)],
        [
            helper.make_node("MatMul", ["a", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["sum"]),
            helper.make_node("ArgMax", ["sum"], ["most"], axis=1, keepdims=0),
        ],
        {"w": np.arange(6, dtype=np.float32).reshape(3, 2)},
    )


def scaling(**given: Any) -> Any:
    """``y = x * scale``, where ``scale`` may be overridden."""
    shape = given.pop("shape", [2])
    scale = np.full(shape, 3, dtype=np.float32)
    return model(
        [value("x", ["rows", 2]), value("scale", shape)],
        [value("y", ["rows", 2])],
        [helper.make_node("Mul", ["x", "scale"], ["y"])],
        {"scale": scale},
    )


def external(location: str | bytes, *, name: str = "w", length: int = 8) -> Any:
    """A tensor of two FP32 numbers that lie in a file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, text in (("location", location), ("offset", "0"), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key = key
        entry.value = text
    return tensor


def with_external(location: str) -> Any:
    """``y = x * w``, where ``w`` lies in a file."""
    return model(
        [value("x", ["rows", 2])],
        [value("y", ["rows", 2])],
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        {"w": external(location)},
    )


def weights(path: Path) -> Path:
    """The file of `with_external`: 2 and 3."""
    np.array([2, 3], dtype=np.float32).tofile(path)
    return path


@functools.cache
def forest(*, zipmap: bool = True, labels: tuple[str, ...] = ()) -> Any:
    """A forest of iris that skl2onnx has converted."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_iris(return_X_y=True)
    target = np.array(labels)[y] if labels else y
    fitted = RandomForestClassifier(5, random_state=0).fit(x, target)
    return to_onnx(fitted, x[:1].astype(np.float32), options=None if zipmap else {"zipmap": False})


IRIS = np.array([[5.1, 3.5, 1.4, 0.2], [6.8, 2.8, 4.8, 1.4], [6.3, 3.3, 6.0, 2.5]], dtype=np.float32)
"""A flower of each species."""
