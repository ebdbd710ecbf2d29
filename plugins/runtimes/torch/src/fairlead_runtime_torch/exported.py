"""Programs of torch.export: what their graph tells of inputs and outputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import Datatype, Tensor, TensorSpec, errors
from fairlead_runtime_torch import tensors
from fairlead_runtime_torch.files import Form
from fairlead_runtime_torch.program import Call, Declared, Program, as_tensor, free_rows

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

__all__ = ["program"]

_LARGEST: Final = 16 * 1024 * 1024
"""Elements of an example that is kept as the model's sample."""

_ASSUMED_LEAST: Final = 2
"""The least length that torch.export writes down where it means "0 or 1 as well"."""


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """One of the flat inputs: a tensor that clients send, or a constant of the export."""

    spec: TensorSpec | None
    value: Any


def program(exported: ExportedProgram, device: torch.device) -> Program:
    """What a program of torch.export is as a model; it is moved to the device.

    Raises:
        ModelLoadError: it takes or returns what is no tensor.
    """
    values = {node.name: node.meta.get("val") for node in exported.graph.nodes}
    leaves = [_leaf(each.arg, values) for each in _of_user(exported.graph_signature.input_specs)]
    inputs = tuple(leaf.spec for leaf in leaves if leaf.spec is not None)
    results = tensors.flatten_or_refuse(
        exported.call_spec.out_spec.unflatten(
            [_value(each.arg, values) for each in _of_user(exported.graph_signature.output_specs)]
        )
    )
    outputs = tuple(_spec(name, each) for name, each in results)
    rows = {_rows(values[spec.name]) for spec in inputs} | {_rows(each) for _, each in results}
    least, most = _range(exported, next(iter(rows))) if len(rows) == 1 else (0, None)
    batching = bool(free_rows(inputs)) and len(rows) == 1 and least <= _ASSUMED_LEAST
    example = _example(exported, leaves, batching)  # before it moves to the device
    return Program(
        module=_moved(exported, device).module(),
        call=_call(exported, leaves),
        reader=Declared(inputs),
        form=Form.EXPORTED.value,
        inputs=inputs,
        outputs=outputs,
        batching=batching,
        most_rows=most if batching else None,
        isolated=any(_may_write(node) for node in exported.graph.nodes),
        example=example,
        notes=_notes(exported),
    )


def _of_user(specs: Sequence[Any]) -> list[Any]:
    """The inputs or outputs that are a caller's; the others are weights, and buffers that are updated."""
    return [each for each in specs if each.kind.name in ("USER_INPUT", "USER_OUTPUT")]


def _value(argument: Any, values: Mapping[str, Any]) -> Any:
    """What stands for an input or output: a tensor without elements, or a constant."""
    return argument.value if type(argument).__name__ == "ConstantArgument" else values[argument.name]


def _leaf(argument: Any, values: Mapping[str, Any]) -> _Leaf:
    value = _value(argument, values)
    if type(argument).__name__ == "ConstantArgument":
        return _Leaf(None, value)
    if not hasattr(value, "shape"):
        raise errors.ModelLoadError(
            f"The program takes {argument.name!r}, which is no tensor.",
            remedy="Export it with tensors, and with constants for the rest.",
        )
    return _Leaf(_spec(argument.name, value), None)


def _spec(name: str, value: Any) -> TensorSpec:
    if not hasattr(value, "shape"):
        datatypes = {bool: Datatype.BOOL, int: Datatype.INT64, float: Datatype.FP32}
        return TensorSpec(name, datatypes.get(type(value), Datatype.INT64), ())
    datatype = tensors.datatype_of(value.dtype)
    if datatype is None:
        raise errors.ModelLoadError(f"The program takes or returns {name} of {value.dtype}, which no datatype carries.")
    return TensorSpec(name, datatype, tuple(each if isinstance(each, int) else -1 for each in value.shape))


def _rows(value: Any) -> Any:
    """The symbol of the first axis; None where it is of fixed length, or there is none."""
    shape = getattr(value, "shape", ())
    return None if not shape or isinstance(shape[0], int) else shape[0].node.expr


def _range(exported: ExportedProgram, symbol: Any) -> tuple[int, int | None]:
    """The least and the greatest length that a symbol stands for; None for any."""
    found = exported.range_constraints.get(symbol)
    if found is None:
        return 0, None
    least, most = (int(each) if getattr(each, "is_Integer", False) else None for each in (found.lower, found.upper))
    return least or 0, most


def _moved(exported: ExportedProgram, device: torch.device) -> ExportedProgram:
    held = [*exported.state_dict.values(), *exported.constants.values()]
    if device.type == "cpu" and all(getattr(each, "device", device) == device for each in held):
        return exported
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(exported, str(device))


def _call(exported: ExportedProgram, leaves: Sequence[_Leaf]) -> Call:
    names = [None if leaf.spec is None else leaf.spec.name for leaf in leaves]
    structure = exported.call_spec.in_spec
    arguments, keywords = structure.unflatten(list(range(len(leaves))))
    if not keywords and list(arguments) == list(range(len(leaves))) and None not in names:
        return lambda module, given: module(*given.values())  # the reader keeps the order of the inputs

    def call(module: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        flat = [leaf.value if name is None else given[name] for name, leaf in zip(names, leaves, strict=True)]
        positional, named = structure.unflatten(flat)
        return module(*positional, **named)

    return call


def _example(exported: ExportedProgram, leaves: Sequence[_Leaf], batching: bool) -> tuple[Tensor, ...]:
    """The example that the program was exported with: of one row, where rows are independent."""
    if exported.example_inputs is None:
        return ()
    flat = exported.call_spec.in_spec.flatten_up_to(exported.example_inputs)
    found = [(leaf.spec, each) for leaf, each in zip(leaves, flat, strict=True) if leaf.spec is not None]
    if batching:
        found = [(spec, each[:1]) for spec, each in found]
    if any(math.prod(each.shape) > _LARGEST for _, each in found):
        return ()
    return tuple(as_tensor(spec.name, each, spec.datatype) for spec, each in found)


def _may_write(node: Any) -> bool:
    """Whether a node of the graph may write to a tensor that it is given."""
    if node.op != "call_function":
        return False
    schema = getattr(node.target, "_schema", None)
    if schema is not None:
        return bool(schema.is_mutable)
    # What remains are operators of Python on lengths, and operators of higher order (branches, loops).
    return getattr(node.target, "__module__", "") not in ("_operator", "math")


def _notes(exported: ExportedProgram) -> tuple[str, ...]:
    for node in exported.graph.nodes:
        if str(node.target) == "aten.dropout.default" and len(node.args) > 2 and node.args[2] is True:
            return (
                "The program was exported in training mode, so that its dropout is active: call model.eval() first",
            )
    return ()
