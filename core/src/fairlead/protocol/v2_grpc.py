"""The V2 protocol (Open Inference Protocol) over gRPC: messages to and from requests and answers.

A request has the elements of all its inputs as raw contents, or of each as typed contents. An answer has them as the
request had, except that FP16 and BF16, for which there are no typed contents, make all of it raw. That and the
parameter ``binary_data_size`` of raw outputs are KServe's rules.
"""

from __future__ import annotations

import dataclasses
import math
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from google.protobuf.message import DecodeError

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, RequestedOutput, Tensor
from fairlead.protocol import buffers, schema, v2, v2_binary, v2_grpc_contents, v2_grpc_wire, v2_tensors
from fairlead.protocol._pb import messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.contracts.tensors import InferResponse, Parameter

__all__ = ["Message", "decode", "encode", "parameters_of", "parse", "set_parameter"]

_RAW_INPUTS: Final = 7
_OUTPUTS: Final = 5
_CONTENTS: Final = 5
_RAW_OUTPUTS: Final = 6
_FEW: Final = 4
_SHORT: Final = 2**15
"""Of so few dimensions, each so short, every machine can address the elements."""
_DATATYPES: Final = {each.value: each for each in Datatype}
_LARGE: Final = 16 * 1024
"""From here on, a copy of the raw contents costs more than to find them without the library."""


@dataclasses.dataclass(slots=True)
class Message:
    """A received request, whose tensors have not been looked at yet.

    Attributes:
        body: the message's bytes.
        envelope: the message; of a large one, without its raw contents.
        raw: its raw contents; of a large one, views of the body.
    """

    body: bytes
    envelope: messages.PackedRequest
    raw: Sequence[bytes | memoryview]

    @property
    def model_name(self) -> str:
        """The model that is asked."""
        return self.envelope.model_name

    @property
    def model_version(self) -> str:
        """The version that is asked for; empty for whichever is served."""
        return self.envelope.model_version

    @property
    def is_raw(self) -> bool:
        """Whether the elements of its inputs are raw contents."""
        return len(self.raw) > 0


def parse(body: bytes) -> Message:
    """Read the envelope of a request.

    Raises:
        InvalidInput: the body is no ``ModelInferRequest``.
    """
    found = v2_grpc_wire.split(body, _RAW_INPUTS) if len(body) >= _LARGE else None
    try:
        if found is not None:
            return Message(body, messages.PackedRequest.FromString(found[0]), found[1])
        envelope = messages.PackedRequest.FromString(body)
    except DecodeError as error:
        raise errors.InvalidInput("the message is no inference.ModelInferRequest") from error
    return Message(body, envelope, envelope.raw_input_contents)


def decode(message: Message, *, headers: Mapping[str, str]) -> InferRequest:
    """Read a request; raw contents and typed FP32, FP64 and BOOL contents become views.

    Args:
        message: what `parse` returned.
        headers: the call's metadata, names in lower case.

    Raises:
        InvalidInput: it is not a request that makes sense; `InvalidSchema` where a field has a value of another kind.
        NotSupported: it asks for an extension of the protocol that this server does not have.
    """
    envelope = message.envelope
    count = len(envelope.inputs)
    if not count:
        raise errors.InvalidInput("the request has no inputs")
    if message.is_raw and len(message.raw) != count:
        raise errors.InvalidInput(
            f"the request has {count} inputs and {len(message.raw)} raw_input_contents; "
            "there must be one for each input, or none at all"
        )
    inputs: dict[str, Tensor] = {}
    for index in range(count):
        tensor = _input(message, index)
        if tensor.name in inputs:
            raise errors.InvalidInput(f"two inputs have the name {tensor.name!r}")
        inputs[tensor.name] = tensor
    return InferRequest(
        model_name=envelope.model_name,
        inputs=list(inputs.values()),
        id=envelope.id or None,
        model_version=envelope.model_version or None,
        parameters=parameters_of(envelope.parameters, ()),
        outputs=_requested(envelope) if len(envelope.outputs) else [],
        headers=headers,
    )


def encode(response: InferResponse, request: InferRequest, *, raw: bool) -> bytes:
    """Write an answer.

    Args:
        response: the model's answer. A payload in place of tensors must be a V2 answer itself.
        request: what it answers; says which outputs are sent, and in which order.
        raw: whether the request had raw contents, so that the answer has them.

    Raises:
        InvalidInput: the request asks for an output that there is not.
        InferenceFailed: the model's answer is not consistent, or holds what the messages cannot.
    """
    if response.payload is not None:
        response = v2.from_payload(response)
    tensors: Sequence[Tensor] = response.outputs
    if request.outputs:
        tensors = [response.output(wanted.name) for wanted in request.outputs]
    raw = raw or any(tensor.datatype in v2_grpc_contents.RAW_ONLY for tensor in tensors)
    try:
        envelope = messages.PackedResponse(
            model_name=response.model_name,
            model_version=response.model_version or "",
            id=response.id or request.id or str(uuid.uuid4()),
        )
        for name, value in response.parameters.items():
            set_parameter(envelope.parameters, name, value)
        outputs: list[bytes | memoryview] = []
        elements: list[bytes | memoryview] = []
        for tensor in tensors:
            _write(tensor, outputs, elements, raw=raw)
        return b"".join((envelope.SerializeToString(), *outputs, *elements))
    except (TypeError, ValueError) as error:
        raise errors.InferenceFailed(
            f"Model with name {response.model_name} answered what a message cannot hold: {error}"
        ) from error


# -- reading --------------------------------------------------------------------------------------------


def _input(message: Message, index: int) -> Tensor:
    given = message.envelope.inputs[index]
    location: schema.Location = ("inputs", index)
    name = given.name
    where = f"input {name!r}"
    shape = _shape(given.shape, index)
    datatype = _DATATYPES.get(given.datatype) or schema.datatype(given.datatype, (*location, "datatype"))
    parameters = parameters_of(given.parameters, location)
    size = None
    if parameters:
        _refuse_extensions(parameters, where)
        size = parameters.pop(v2_binary.SIZE, None)
    if not message.is_raw:
        if size is not None:
            raise errors.InvalidInput(f"{where} has {v2_binary.SIZE}, and the request has no raw_input_contents")
        array = v2_grpc_contents.read(
            given.contents,
            datatype,
            shape,
            where,
            lambda: messages.ModelInferRequest.FromString(message.body).inputs[index].contents,
        )
        return Tensor(name, array, datatype, parameters)
    if given.HasField("contents") and given.contents.ByteSize():
        raise errors.InvalidInput(
            f"{where} has contents, and the request has raw_input_contents; send only one of them"
        )
    buffer = memoryview(message.raw[index])
    if size is not None and size != len(buffer):
        raise errors.InvalidInput(f"{where} has {v2_binary.SIZE} {size}, and {len(buffer)} bytes of raw contents")
    return Tensor(name, buffers.from_buffer(buffer, datatype, shape, where), datatype, parameters)


def _shape(given: Sequence[int], index: int) -> tuple[int, ...]:
    if len(given) > schema.MAX_DIMENSIONS:  # millions fit in a message, and would become objects
        raise errors.InvalidInput(
            f"inputs.{index}.shape: {len(given)} dimensions are more than {schema.MAX_DIMENSIONS}"
        )
    shape = tuple(given)
    if len(shape) <= _FEW and all(0 <= length < _SHORT for length in shape):
        return shape  # as most are
    return schema.shape(list(shape), ("inputs", index, "shape"))


def _requested(envelope: messages.PackedRequest) -> list[RequestedOutput]:
    outputs: dict[str, RequestedOutput] = {}
    for index, wanted in enumerate(envelope.outputs):
        parameters = parameters_of(wanted.parameters, ("outputs", index))
        _refuse_extensions(parameters, f"output {wanted.name!r}")
        if wanted.name in outputs:
            raise errors.InvalidInput(f"the output {wanted.name!r} is asked for twice")
        outputs[wanted.name] = RequestedOutput(wanted.name, parameters)
    return list(outputs.values())


def _refuse_extensions(parameters: Mapping[str, Parameter], where: str) -> None:
    for word in v2.TRITON_ONLY:
        if word in parameters:
            raise errors.NotSupported(f"{where} asks for {word}, an extension of Triton's")


def parameters_of(given: messages.Parameters, location: schema.Location) -> dict[str, Parameter]:
    """The parameters of a message.

    Args:
        given: the map as it was received.
        location: where it is, for messages.

    Raises:
        InvalidSchema: one has no value, or a number that is not finite.
    """
    if not len(given):
        return {}
    found: dict[str, Parameter] = {}
    for name, parameter in given.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            raise errors.InvalidSchema(
                "Input should be a boolean, a number or a string",
                location=(*location, "parameters", name),
                kind="parameter_type",
            )
        value: Parameter = getattr(parameter, kind)
        if isinstance(value, float) and not math.isfinite(value):
            raise errors.InvalidSchema(
                "Input should be a finite number", location=(*location, "parameters", name), kind="finite_number"
            )
        found[name] = value
    return found


# -- writing --------------------------------------------------------------------------------------------


def _write(tensor: Tensor, outputs: list[bytes | memoryview], elements: list[bytes | memoryview], *, raw: bool) -> None:
    """Write an output, and its raw elements, as they stand in the message: the library would copy them twice."""
    v2_tensors.require_consistent(tensor)
    output = messages.PackedOutput(name=tensor.name, datatype=tensor.datatype.value, shape=tensor.shape)
    for name, value in v2_tensors.own_parameters(tensor).items():
        set_parameter(output.parameters, name, value)
    if raw:
        chunk = buffers.to_buffer(tensor)
        output.parameters[v2_binary.SIZE].int64_param = len(chunk)
        elements += (v2_grpc_wire.delimited(_RAW_OUTPUTS, len(chunk)), chunk)
        contents: tuple[bytes | memoryview, ...] = ()
    else:
        contents = v2_grpc_contents.written(tensor)
        contents = (v2_grpc_wire.delimited(_CONTENTS, sum(map(len, contents))), *contents)
    pieces = (output.SerializeToString(), *contents)
    outputs += (v2_grpc_wire.delimited(_OUTPUTS, sum(map(len, pieces))), *pieces)


def set_parameter(parameters: messages.Parameters, name: str, value: object) -> None:
    """Set a parameter.

    Raises:
        TypeError: the value is not a boolean, a number or a string.
        ValueError: it is an integer of more than 64 bits, or a text that cannot be UTF-8.
    """
    if isinstance(value, np.generic):
        value = value.item()
    parameter = parameters[name]
    match value:
        case bool():
            parameter.bool_param = value
        case int() if value < 2**63:
            parameter.int64_param = value
        case int():
            parameter.uint64_param = value
        case float():
            parameter.double_param = value
        case str():
            parameter.string_param = value
        case _:
            raise TypeError(f"parameter {name!r} is of type {type(value).__name__}")
