"""The V2 protocol over gRPC from the side of a client: requests are written, and answers are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from fairlead import errors
from fairlead.contracts.tensors import InferResponse, Tensor
from fairlead.protocol import buffers, schema, v2_binary, v2_grpc, v2_grpc_contents, v2_grpc_wire, v2_tensors
from fairlead.protocol._pb import messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.contracts.tensors import InferRequest

__all__ = ["METHOD", "decode_response", "encode_request"]

METHOD: Final = f"/{messages.SERVICE}/ModelInfer"
"""The method that answers these requests."""
_INPUTS: Final = 5
_RAW_INPUTS: Final = 7
_RAW_OUTPUTS: Final = 6


def encode_request(request: InferRequest) -> bytes:
    """Write a request with the elements of its inputs as raw contents.

    Raises:
        InvalidInput: it holds what a message cannot.
    """
    try:
        envelope = messages.PackedRequest(model_name=request.model_name, id=request.id or "")
        for name, value in request.parameters.items():
            v2_grpc.set_parameter(envelope.parameters, name, value)
        for wanted in request.outputs:
            envelope.outputs.add(name=wanted.name)
        inputs: list[bytes | memoryview] = []
        elements: list[bytes | memoryview] = []
        for tensor in request.inputs:
            v2_tensors.require_consistent(tensor)
            written = messages.PackedOutput(name=tensor.name, datatype=tensor.datatype.value, shape=tensor.shape)
            for name, value in v2_tensors.own_parameters(tensor).items():
                v2_grpc.set_parameter(written.parameters, name, value)
            chunk = buffers.to_buffer(tensor)
            head = written.SerializeToString()
            inputs += (v2_grpc_wire.delimited(_INPUTS, len(head)), head)
            elements += (v2_grpc_wire.delimited(_RAW_INPUTS, len(chunk)), chunk)
        return b"".join((envelope.SerializeToString(), *inputs, *elements))
    except errors.InferenceFailed as error:
        raise errors.InvalidInput(error.reason) from error
    except (TypeError, ValueError) as error:
        raise errors.InvalidInput(f"The request holds what a message cannot: {error}") from error


def decode_response(body: bytes) -> InferResponse:
    """Read an answer; raw contents and typed FP32, FP64 and BOOL contents become views.

    Raises:
        InvalidInput: it is no ``ModelInferResponse`` that makes sense.
    """
    try:
        found = v2_grpc_wire.split(body, _RAW_OUTPUTS)
        head, raw = found if found is not None else (body, None)
        envelope = messages.PackedResponse.FromString(head)
    except DecodeError as error:
        raise errors.InvalidInput("the message is no inference.ModelInferResponse") from error
    chunks: Sequence[bytes | memoryview] = envelope.raw_output_contents if raw is None else raw
    if len(chunks) and len(chunks) != len(envelope.outputs):
        raise errors.InvalidInput(
            f"the answer has {len(envelope.outputs)} outputs and {len(chunks)} raw_output_contents"
        )
    outputs = [
        _output(body, envelope, index, memoryview(chunks[index]) if len(chunks) else None)
        for index in range(len(envelope.outputs))
    ]
    return InferResponse(
        model_name=envelope.model_name,
        outputs=outputs,
        id=envelope.id or None,
        model_version=envelope.model_version or None,
        parameters=v2_grpc.parameters_of(envelope.parameters, ()),
    )


def _output(body: bytes, envelope: messages.PackedResponse, index: int, raw: memoryview | None) -> Tensor:
    given = envelope.outputs[index]
    location: schema.Location = ("outputs", index)
    where = f"output {given.name!r}"
    shape = schema.shape(list(given.shape), (*location, "shape"))
    datatype = schema.datatype(given.datatype, (*location, "datatype"))
    parameters = v2_grpc.parameters_of(given.parameters, location)
    parameters.pop(v2_binary.SIZE, None)
    if raw is not None:
        return Tensor(given.name, buffers.from_buffer(raw, datatype, shape, where), datatype, parameters)
    array = v2_grpc_contents.read(
        given.contents,
        datatype,
        shape,
        where,
        lambda: messages.ModelInferResponse.FromString(body).outputs[index].contents,
    )
    return Tensor(given.name, array, datatype, parameters)
