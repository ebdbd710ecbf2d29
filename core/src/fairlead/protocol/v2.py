"""The V2 protocol (Open Inference Protocol) over HTTP: JSON, and JSON with binary tensor buffers.

Key order, null fields and the choice of what is sent as binary data are those of KServe; docs/compatibility.md lists
where this differs. Keys that the protocol does not know are ignored, as KServe ignores them.
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import errors
from fairlead.contracts.tensors import Datatype, InferRequest, InferResponse, RequestedOutput, Tensor
from fairlead.protocol import bulk, documents, schema, v2_binary, v2_tensors
from fairlead.protocol.encoded import Encoded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fairlead.protocol.documents import Body

__all__ = ["TRITON_ONLY", "as_explanation", "decode", "decode_response", "encode", "encode_request", "from_payload"]

JSON: Final = "application/json"

_EXPLANATION: Final = "explanation"
"""The output that holds an explanation which is no tensors."""

_LONG: Final = 64 * 1024
"""Bytes of a document from which on its lists are looked for."""

_BINARY_DATA: Final = "binary_data"
_BINARY_DATA_OUTPUT: Final = "binary_data_output"
TRITON_ONLY: Final = ("classification", "shared_memory_region")
"""Parameters by which Triton's clients ask for an answer of another kind; to ignore them would answer wrongly."""


def decode(body: Body, *, model_name: str, headers: Mapping[str, str]) -> InferRequest:
    """Read a request.

    Whether there is a binary part is told by the header ``inference-header-content-length`` alone, whatever the
    content type: clients exist that send JSON without one, and binary bodies with any.

    Args:
        body: the received body; binary tensors of the request are views of it.
        model_name: the model that the URL names.
        headers: the transport's headers, names in lower case.

    Raises:
        InvalidInput: the body is not a request; `InvalidSchema` where a field is missing or of another type.
        NotSupported: it asks for an extension of the protocol that this server does not have.
    """
    document, binary = _parts(body, headers)
    tensors = schema.items(schema.required(document, "inputs", ()), ("inputs",))
    if not tensors:
        raise errors.InvalidInput("the request has no inputs")
    inputs = v2_tensors.read(tensors, "input", binary)
    parameters = schema.parameters(document, ())
    schema.flag(parameters, _BINARY_DATA_OUTPUT, ())
    return InferRequest(
        model_name=model_name,
        inputs=inputs,
        id=schema.optional_text(document, "id", ()),
        parameters=parameters,
        outputs=_requested(document.get("outputs")),
        headers=headers,
    )


def encode(response: InferResponse, request: InferRequest, *, inherit_binary: bool = False) -> Encoded:
    """Write an answer: as JSON, or with binary buffers where the request asks for them.

    Args:
        response: the model's answer. A payload in place of tensors must be a V2 answer itself.
        request: what it answers; says which outputs are sent, in which order, and which of them as binary data.
        inherit_binary: whether the request's ``binary_data_output`` also holds for outputs that it lists without
            ``binary_data``. It does not in KServe, and does in Triton.

    Raises:
        InvalidInput: the request asks for an output that there is not, or for one as JSON that JSON cannot carry.
        InferenceFailed: the model's answer is not consistent.
    """
    if response.payload is not None:
        response = from_payload(response)
    chosen = _chosen(response, request, inherit_binary=inherit_binary)
    identity = response.id or request.id or str(uuid.uuid4())
    if not any(as_binary for _, as_binary in chosen):
        document = {
            "model_name": response.model_name,
            "model_version": response.model_version,
            "id": identity,
            "parameters": response.parameters or None,
            "outputs": [
                {
                    "name": tensor.name,
                    "shape": tensor.shape,
                    "datatype": tensor.datatype,
                    "parameters": v2_tensors.own_parameters(tensor) or None,
                    "data": v2_tensors.data(tensor),
                }
                for tensor, _ in chosen
            ],
        }
        return Encoded((documents.dump(document),), JSON)
    outputs, chunks = v2_tensors.describe(chosen)
    document = {
        "id": identity,
        "model_name": response.model_name,
        "model_version": response.model_version,
        "outputs": outputs,
    }
    if response.parameters:
        document["parameters"] = response.parameters
    return _joined(document, chunks)


def encode_request(request: InferRequest, *, binary: bool) -> Encoded:
    """Write a request, as a client does.

    Args:
        request: what to ask; its outputs and parameters say whether the answer is to be binary.
        binary: whether the inputs are sent as binary data, and not as JSON.

    Raises:
        InvalidInput: a tensor is not consistent, or JSON cannot carry it.
    """
    document: dict[str, Any] = {} if request.id is None else {"id": request.id}
    if request.parameters:
        document["parameters"] = request.parameters
    try:
        document["inputs"], chunks = v2_tensors.describe([(tensor, binary) for tensor in request.inputs])
        if request.outputs:
            document["outputs"] = [
                {"name": output.name, "parameters": output.parameters} if output.parameters else {"name": output.name}
                for output in request.outputs
            ]
        return _joined(document, chunks) if binary else Encoded((documents.dump(document),), JSON)
    except errors.InferenceFailed as error:
        raise errors.InvalidInput(error.reason) from error


def decode_response(body: Body, headers: Mapping[str, str]) -> InferResponse:
    """Read an answer, as a client does.

    Args:
        body: the received body; binary tensors of the answer are views of it.
        headers: the answer's headers, names in lower case.

    Raises:
        InvalidInput: the body is not an answer.
    """
    document, binary = _parts(body, headers)
    return _response(document, binary, headers)


# -- reading --------------------------------------------------------------------------------------------


def _parts(body: Body, headers: Mapping[str, str]) -> tuple[dict[str, Any], v2_binary.Buffers | None]:
    head, binary = v2_binary.split(body, headers)
    try:
        load = bulk.load if len(head) >= _LONG else documents.load_with_nan
        text = body if binary is None and isinstance(body, bytes) else bytes(head)  # a copy only where one is needed
        return schema.members(load(text), ()), binary
    except errors.InvalidSchema:
        raise
    except errors.InvalidInput as error:
        if binary is None and "json" not in headers.get("content-type", "json"):
            error.remedy = f"A body with binary data needs the header {v2_binary.HEADER}."
        raise


def _response(document: dict[str, Any], binary: v2_binary.Buffers | None, headers: Mapping[str, str]) -> InferResponse:
    return InferResponse(
        model_name=schema.text(schema.required(document, "model_name", ()), ("model_name",)),
        outputs=v2_tensors.read(schema.items(schema.required(document, "outputs", ()), ("outputs",)), "output", binary),
        id=schema.optional_text(document, "id", ()),
        model_version=schema.optional_text(document, "model_version", ()),
        parameters=schema.parameters(document, ()),
        headers=headers,
    )


def _requested(value: object) -> list[RequestedOutput]:
    if value is None:
        return []
    outputs: dict[str, RequestedOutput] = {}
    for index, item in enumerate(schema.items(value, ("outputs",))):
        location: schema.Location = ("outputs", index)
        document = schema.members(item, location)
        name = schema.text(schema.required(document, "name", location), (*location, "name"))
        parameters = schema.parameters(document, location)
        schema.flag(parameters, _BINARY_DATA, location)
        unsupported = next((word for word in TRITON_ONLY if word in parameters), None)
        if unsupported is not None:
            raise errors.NotSupported(f"output {name!r} asks for {unsupported}, an extension of Triton's")
        if name in outputs:
            raise errors.InvalidInput(f"the output {name!r} is asked for twice")
        outputs[name] = RequestedOutput(name, parameters)
    return list(outputs.values())


def as_explanation(response: InferResponse) -> InferResponse:
    """An explanation as tensors: one that is no tensors is one BYTES output ``explanation`` of shape [1].

    Of a JSON value it holds the text; of bytes or text, these. A payload that is a V2 answer stays as it is.

    Raises:
        InferenceFailed: it cannot be written as JSON.
    """
    payload = response.payload
    if payload is None or (isinstance(payload, dict) and "outputs" in payload):
        return response
    match payload:
        case bytes() | bytearray() | memoryview():
            content = bytes(payload)
        case str():
            content = payload.encode("utf-8", "replace")
        case _:
            content = documents.dump(payload)
    data = np.empty(1, dtype=object)
    data[0] = content
    return dataclasses.replace(response, payload=None, outputs=[Tensor(_EXPLANATION, data, Datatype.BYTES)])


# -- writing --------------------------------------------------------------------------------------------


def from_payload(response: InferResponse) -> InferResponse:
    """A payload that is a V2 answer, as tensors, so that it is checked and filtered as every other.

    Raises:
        InferenceFailed: it is none.
    """
    payload = response.payload
    if response.outputs or not isinstance(payload, dict) or "outputs" not in payload:
        raise errors.InferenceFailed(
            f"Model with name {response.model_name} answered with a payload that is no V2 answer.",
            remedy="Ask it by the V1 protocol, or let the model answer with tensors.",
        )
    document = {"model_name": response.model_name, **payload}
    if isinstance(document["outputs"], list):
        document["outputs"] = [_with_list(output) for output in document["outputs"]]
    try:
        checked = _response(document, None, response.headers)
    except errors.InvalidInput as error:
        raise errors.InferenceFailed(
            f"Model with name {response.model_name} answered with a payload that is no V2 answer: {error}"
        ) from error
    checked.id = checked.id or response.id
    checked.model_version = checked.model_version or response.model_version
    checked.parameters = checked.parameters or response.parameters
    return checked


def _with_list(output: object) -> object:
    """An output of a payload with lists where the model put arrays or tuples."""
    if not isinstance(output, dict):
        return output
    plain = dict(output)
    for key in ("data", "shape"):
        if isinstance(plain.get(key), np.ndarray):
            plain[key] = plain[key].tolist()
        elif isinstance(plain.get(key), tuple):
            plain[key] = list(plain[key])
    return plain


def _chosen(response: InferResponse, request: InferRequest, *, inherit_binary: bool) -> list[tuple[Tensor, bool]]:
    """The outputs that are sent, in order, each with whether it is sent as binary data."""
    every = request.parameters.get(_BINARY_DATA_OUTPUT) is True
    if not request.outputs:
        return [(tensor, every) for tensor in response.outputs]
    default = every and inherit_binary
    return [
        (response.output(wanted.name), wanted.parameters.get(_BINARY_DATA, default) is True)
        for wanted in request.outputs
    ]


def _joined(document: dict[str, Any], chunks: Sequence[bytes | memoryview]) -> Encoded:
    head = documents.dump(document)
    return Encoded((head, *chunks), v2_binary.CONTENT_TYPE, ((v2_binary.HEADER, str(len(head))),))
