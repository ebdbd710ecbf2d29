"""V1 for models of named tensors, as the REST API of TensorFlow Serving has it, which is where V1 comes from.

In rows, ``{"instances": [{"a": [1, 2], "b": 0.5}, ...]}``, each named input is stacked along a new first axis; in
columns, ``{"inputs": {"a": [[1, 2], ...], "b": [0.5, ...]}}``, each is there as a whole. A single input needs no name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.contracts.runtime import Capability
from fairlead.contracts.tensors import Datatype, Tensor
from fairlead.protocol import elements, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fairlead.contracts.runtime import ModelMetadata

__all__ = ["SIGNATURE", "columns", "is_named", "rows", "signature", "stacked"]

SIGNATURE: Final = "signature_name"
"""The member of a body, and the parameter of a request, that names what a model of several signatures is asked for."""

_SHOWN: Final = 5
"""Names that a message shows of many."""


def is_named(metadata: ModelMetadata) -> bool:
    """Whether a model takes tensors by names of its own.

    So it is unless it takes a table or any JSON, declares no inputs, or has no better name for its only one than
    ``input-0``: what models of rows of features declare.
    """
    inputs = metadata.inputs
    if not inputs or (len(inputs) == 1 and inputs[0].name == tables.DEFAULT_NAME):
        return False
    return not (metadata.supports(Capability.COLUMNS) or metadata.supports(Capability.JSON))


def signature(payload: dict[str, Any]) -> str | None:
    """The signature that a body asks for; None where it names none.

    Raises:
        InvalidInput: it is no text, or ``parameters`` name another.
    """
    name = payload.get(SIGNATURE)
    if name is None:
        return None
    if not isinstance(name, str):
        raise errors.InvalidInput(f'Expected "{SIGNATURE}" to be a string')
    other = (payload.get("parameters") or {}).get(SIGNATURE, name)
    if other != name:
        raise errors.InvalidInput(f'"{SIGNATURE}" is {name!r}, and {other!r} among the parameters.')
    return name


def rows(instances: list[Any], metadata: ModelMetadata) -> list[Tensor]:
    """The tensors of a request in rows.

    Args:
        instances: values or nested lists for the only input, or an object for each row; not empty.
        metadata: what the model says of itself.

    Raises:
        InvalidInput: the rows are not of one shape and kind, or do not have the same inputs.
    """
    if _is_record(instances[0]):
        return stacked(instances)
    return [_tensor(_only_name(metadata), instances, "instances")]


def columns(inputs: Any, metadata: ModelMetadata) -> list[Tensor]:
    """The tensors of a request in columns.

    Args:
        inputs: an object with the whole of each input, or the whole of the only one. A list of objects is rows, as
            KServe's servers read it.
        metadata: what the model says of itself.

    Raises:
        InvalidInput: a tensor is not of one shape and kind, or there is none.
    """
    if _is_record(inputs):
        if not inputs:
            raise errors.InvalidInput('"inputs" is an empty object; there is nothing to predict')
        return [_tensor(name, value, f"input {name!r}") for name, value in inputs.items()]
    if type(inputs) is list:
        return rows(inputs, metadata)
    if len(metadata.inputs) != 1 or metadata.inputs[0].shape:
        raise errors.InvalidInput('Expected "inputs" to be a list')
    return [_tensor(_only_name(metadata), inputs, "inputs")]


def stacked(records: Sequence[dict[str, Any]]) -> list[Tensor]:
    """Each member of these objects, stacked along a new first axis.

    Raises:
        InvalidInput: one is no object, they do not have the same members, or those of one name are not of one shape.
    """
    if set(map(type, records)) != {dict}:
        place = next(place for place, record in enumerate(records) if type(record) is not dict)
        raise errors.InvalidInput(f"instance {place} is no object, and instance 0 is one.")
    names = records[0]
    if not names:
        raise errors.InvalidInput("instance 0 is an empty object; there is nothing to predict")
    if sum(map(len, records)) != len(records) * len(names) or any(name not in r for r in records for name in names):
        raise _unlike(records)
    return [_tensor(name, [record[name] for record in records], f"input {name!r}") for name in names]


def _is_record(value: Any) -> bool:
    return type(value) is dict and not tables.is_binary(value)


def _only_name(metadata: ModelMetadata) -> str:
    """The name of a tensor that was sent without one: of the only input, where the model has a single one."""
    return metadata.inputs[0].name if len(metadata.inputs) == 1 else tables.DEFAULT_NAME


def _tensor(name: str, value: Any, where: str) -> Tensor:
    found = elements.rectangle(value) if type(value) is list else ([value], ())
    if found is None:
        tables.refuse_ragged(value, where)
        raise errors.InvalidInput(
            f"{where}: the nested lists are not of one shape.", remedy="Send lists of one length on each level."
        )
    flat, shape = found
    array, datatype = elements.infer(flat, where) or _mixed(flat, where)
    return Tensor(name, array.reshape(shape), datatype)


def _mixed(flat: Sequence[Any], where: str) -> tuple[NDArray[Any], Datatype]:
    """Values of which some are ``{"b64": "..."}``, binary data beside text."""
    decoded = [tables.binary(value) if tables.is_binary(value) else value for value in flat]
    inferred = elements.infer(decoded, where)
    if inferred is None:
        raise errors.InvalidInput(
            f"{where} mixes {tables.kinds_of(decoded)}.",
            remedy='Send numbers alone, or text and {"b64": "..."} alone.',
        )
    return inferred


def _unlike(records: Sequence[dict[str, Any]]) -> errors.InvalidInput:
    first = records[0].keys()
    for place, record in enumerate(records):
        for others, lacking, having in ((record.keys() - first, 0, place), (first - record.keys(), place, 0)):
            if others:
                names = ", ".join(map(repr, sorted(others)[:_SHOWN]))
                return errors.InvalidInput(
                    f"instance {having} has {names}, and instance {lacking} does not.",
                    remedy="Send the same inputs in each instance.",
                )
    raise AssertionError("the records have the same members")
