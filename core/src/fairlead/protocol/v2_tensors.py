"""Tensors as the V2 protocol's JSON describes them, with their data in the JSON or in a buffer after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype, Tensor
from fairlead.protocol import buffers, bulk, elements, schema, v2_binary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fairlead.contracts.tensors import Parameter

__all__ = ["data", "describe", "own_parameters", "read", "require_consistent"]


def read(listed: list[Any], role: str, binary: v2_binary.Buffers | None) -> list[Tensor]:
    """The tensors of a message.

    Args:
        listed: the message's ``inputs`` or ``outputs``.
        role: ``input`` or ``output``.
        binary: the message's binary part, where it has one; all of it must be some tensor's.

    Raises:
        InvalidInput: they are not tensors, or two have one name.
    """
    tensors: dict[str, Tensor] = {}
    for index, value in enumerate(listed):
        tensor = _tensor(value, role, index, binary)
        if tensor.name in tensors:
            raise errors.InvalidInput(f"two {role}s have the name {tensor.name!r}")
        tensors[tensor.name] = tensor
    if binary is not None:
        binary.finish()
    return list(tensors.values())


def _tensor(value: object, role: str, index: int, binary: v2_binary.Buffers | None) -> Tensor:
    location: schema.Location = (f"{role}s", index)
    document = schema.members(value, location)
    name = schema.text(schema.required(document, "name", location), (*location, "name"))
    shape = schema.shape(schema.required(document, "shape", location), (*location, "shape"))
    datatype = schema.datatype(schema.required(document, "datatype", location), (*location, "datatype"))
    parameters = schema.parameters(document, location)
    listed = document.get("data")
    where = f"{role} {name!r}"
    if v2_binary.SIZE in parameters:
        size = parameters.pop(v2_binary.SIZE)
        array = buffers.from_buffer(_buffer(size, listed, location, where, binary), datatype, shape, where)
    elif listed is None:
        raise errors.InvalidSchema(
            f"Field required: {where} has neither data nor {v2_binary.SIZE}",
            location=(*location, "data"),
            kind="missing",
        )
    elif isinstance(listed, bulk.Numbers):
        array = elements.from_numbers(listed, datatype, shape, where)
    elif isinstance(listed, list):
        array = elements.from_list(listed, datatype, shape, where)
    else:
        raise errors.InvalidSchema("Input should be a list", location=(*location, "data"), kind="list_type")
    return Tensor(name, array, datatype, parameters)


def _buffer(
    size: Parameter, listed: object, location: schema.Location, where: str, binary: v2_binary.Buffers | None
) -> memoryview:
    place = (*location, "parameters", v2_binary.SIZE)
    if listed is not None:
        raise errors.InvalidSchema(
            f"{where} has data and {v2_binary.SIZE}; only one of them can be meant", location=place, kind="ambiguous"
        )
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise errors.InvalidSchema("Input should be a number of bytes", location=place, kind="int_type")
    if binary is None:
        raise errors.InvalidSchema(
            f"{where} has {v2_binary.SIZE}, and the header {v2_binary.HEADER} is missing",
            location=place,
            kind="missing_header",
        )
    return binary.take(size, where)


def own_parameters(tensor: Tensor) -> dict[str, Parameter]:
    """The parameters of a tensor without the size of a buffer, which only the codec knows."""
    if v2_binary.SIZE not in tensor.parameters:
        return tensor.parameters
    return {name: value for name, value in tensor.parameters.items() if name != v2_binary.SIZE}


def data(tensor: Tensor) -> Any:
    """The flat ``data`` of a tensor: its array, which the JSON writer reads in place, or a list of strings.

    Raises:
        InvalidInput: JSON cannot carry it (FP16, BF16, bytes that are not UTF-8).
        InferenceFailed: the tensor is not consistent.
    """
    require_consistent(tensor)
    if tensor.datatype is Datatype.BYTES:
        return elements.to_texts(tensor)
    if tensor.datatype in (Datatype.FP16, Datatype.BF16):
        raise errors.InvalidInput(
            f"tensor {tensor.name!r} is {tensor.datatype}, which has no JSON form.",
            remedy='Ask for it as binary data: parameters {"binary_data": true}.',
        )
    return np.ascontiguousarray(tensor.data).reshape(-1)


def describe(
    chosen: Iterable[tuple[Tensor, bool]],
) -> tuple[list[dict[str, Any]], list[bytes | memoryview]]:
    """Tensors as documents without null fields, and the buffers of those that are sent as binary data.

    Args:
        chosen: the tensors, each with whether it is sent as binary data.

    Raises:
        InvalidInput: a tensor is not sent as binary data, and JSON cannot carry it.
        InferenceFailed: a tensor is not consistent.
    """
    described: list[dict[str, Any]] = []
    chunks: list[bytes | memoryview] = []
    for tensor, as_binary in chosen:
        document: dict[str, Any] = {"name": tensor.name, "shape": tensor.shape, "datatype": tensor.datatype}
        parameters = own_parameters(tensor)
        if as_binary:
            require_consistent(tensor)
            chunk = buffers.to_buffer(tensor)
            document["parameters"] = {**parameters, v2_binary.SIZE: len(chunk)}
            if len(chunk):
                chunks.append(chunk)
        else:
            if parameters:
                document["parameters"] = parameters
            document["data"] = data(tensor)
        described.append(document)
    return described, chunks


def require_consistent(tensor: Tensor) -> None:
    """Make sure that a model's tensor holds what its datatype says.

    Raises:
        InferenceFailed: it holds something else.
    """
    if tensor.data.dtype != tensor.datatype.numpy:
        raise errors.InferenceFailed(
            f"tensor {tensor.name!r} says that it is {tensor.datatype} and holds {tensor.data.dtype}; "
            "make it with Tensor.from_numpy"
        )
