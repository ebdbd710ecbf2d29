"""The inputs and outputs of a model, as its graph declares them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import Datatype, TensorSpec, errors
from fairlead_runtime_onnx import graph

if TYPE_CHECKING:
    from fairlead_runtime_onnx.wire import Buffer

__all__ = ["Interface", "read"]

_DATATYPES: Final[Mapping[str, Datatype]] = {
    "tensor(bool)": Datatype.BOOL,
    "tensor(uint8)": Datatype.UINT8,
    "tensor(uint16)": Datatype.UINT16,
    "tensor(uint32)": Datatype.UINT32,
    "tensor(uint64)": Datatype.UINT64,
    "tensor(int8)": Datatype.INT8,
    "tensor(int16)": Datatype.INT16,
    "tensor(int32)": Datatype.INT32,
    "tensor(int64)": Datatype.INT64,
    "tensor(float16)": Datatype.FP16,
    "tensor(float)": Datatype.FP32,
    "tensor(double)": Datatype.FP64,
    "tensor(string)": Datatype.BYTES,
}
_MAPS: Final = re.compile(r"seq\(map\((?:int64|string),tensor\(float\)\)\)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What a model takes and answers with.

    Attributes:
        inputs: what a request must hold.
        optional: initializers that a request may give other values for.
        outputs: what it answers with; maps of class to probability are declared as FP32 ``[rows, classes]``.
        unranked: the inputs that may have any number of dimensions.
        classes: the labels of each output of maps, in the order of its columns; empty where the graph does not tell.
        ties: dimensions of inputs that must be of one length, because they have one name: pairs of input and axis.
        common_axis: whether the first dimension of every input and output is one and the same free dimension.
    """

    inputs: tuple[TensorSpec, ...]
    optional: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    unranked: frozenset[str]
    classes: Mapping[str, Sequence[str] | Sequence[int]]
    ties: Mapping[str, Sequence[tuple[str, int]]]
    common_axis: bool


def read(name: str, session: Any, data: Buffer, *, overridable: bool) -> Interface:
    """Read the interface of a loaded model.

    Args:
        name: the name of the model's file, for messages.
        session: the ``InferenceSession``.
        data: the content of the file, where onnxruntime does not tell enough.
        overridable: whether initializers that may be overridden become optional inputs.

    Raises:
        ModelLoadError: a type that no tensor of the protocol can carry.
        ValueError: the content is no model.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    initializers = session.get_overridable_initializers() if overridable else []
    unranked = graph.unranked_inputs(data) if any(not node.shape for node in inputs) else frozenset()
    maps = [node.name for node in outputs if _MAPS.fullmatch(node.type)]
    labels = graph.class_labels(data) if maps else {}
    classes = {output: labels.get(output, []) for output in maps}
    return Interface(
        inputs=tuple(_spec(name, "input", node, unranked) for node in inputs),
        optional=tuple(_spec(name, "initializer", node) for node in initializers if node.type in _DATATYPES),
        outputs=tuple(
            TensorSpec(node.name, Datatype.FP32, (-1, len(classes[node.name]) or -1))
            if node.name in classes
            else _spec(name, "output", node)
            for node in outputs
        ),
        unranked=unranked,
        classes=classes,
        ties=_ties(inputs),
        common_axis=_common_axis(inputs, [node for node in outputs if node.name not in classes]),
    )


def _spec(model: str, role: str, node: Any, unranked: Collection[str] = ()) -> TensorSpec:
    datatype = _DATATYPES.get(node.type)
    if datatype is None:
        raise errors.ModelLoadError(
            f"{model} has the {role} {node.name!r} of type {node.type}, which cannot be served.",
            remedy="Export the model with tensors of numbers, booleans or text (cast bfloat16 to float32).",
        )
    if node.name in unranked:
        return TensorSpec(node.name, datatype, (-1,))  # as good as any other
    shape = tuple(length if isinstance(length, int) and length >= 0 else -1 for length in node.shape)
    return TensorSpec(node.name, datatype, shape)


def _ties(inputs: Iterable[Any]) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for node in inputs:
        for axis, length in enumerate(node.shape):
            if isinstance(length, str) and length:
                found.setdefault(length, []).append((node.name, axis))
    return {dimension: places for dimension, places in found.items() if len(places) > 1}


def _common_axis(inputs: Sequence[Any], outputs: Sequence[Any]) -> bool:
    """Whether the first dimensions are free and the same; maps, of which there is one for each row, have none."""
    shapes = [node.shape for node in (*inputs, *outputs)]
    first = {shape[0] if shape else 0 for shape in shapes}
    return bool(inputs) and len(first) == 1 and not isinstance(next(iter(first)), int)
