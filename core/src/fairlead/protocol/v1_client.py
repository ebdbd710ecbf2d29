"""The V1 protocol from the side of a client: requests are written, and answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.contracts.runtime import ModelMetadata
from fairlead.contracts.tensors import InferResponse, Tensor
from fairlead.protocol import documents, named, tables, v1
from fairlead.protocol.encoded import Encoded

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest
    from fairlead.protocol.documents import Body

__all__ = ["decode_response", "encode_request", "outputs_of", "tensors_of"]

_RAW: Final = "application/x-raw"
"""A media type for bytes of which nothing is known; octet streams are JSON in this protocol."""
_NOT_V1: Final = ("binary_data_output", "content_type")
"""Parameters that say how tensors are written, and mean nothing where there are none."""


def encode_request(request: InferRequest) -> Encoded:
    """Write a request: its payload as it is, else its tensors as instances.

    Several tensors become one record for each row. Parameters of the request become the member ``parameters``; the one
    that names a signature has a member of its own.

    Raises:
        InvalidInput: an element is not UTF-8, and JSON cannot carry it.
        InferenceFailed: the tensors have no common rows, or a payload cannot be written as JSON.
    """
    payload = request.payload
    if isinstance(payload, bytes):
        return Encoded((payload,), request.headers.get("content-type", _RAW))
    if payload is None:
        document = v1.predictions(request.inputs, "The request", "came with inputs")
        parameters = {name: value for name, value in request.parameters.items() if name not in _NOT_V1}
        signature = {named.SIGNATURE: parameters.pop(named.SIGNATURE)} if named.SIGNATURE in parameters else {}
        payload = {"instances": document} | ({"parameters": parameters} if parameters else {}) | signature
    return Encoded((documents.dump(payload),), v1.JSON)


def decode_response(body: Body, headers: Mapping[str, str], *, model_name: str) -> InferResponse:
    """Read an answer; what is not JSON is a payload of bytes.

    Args:
        body: the received body.
        headers: the answer's headers, names in lower case.
        model_name: the model that was asked, which no answer of this protocol names.

    Raises:
        InvalidInput: it says that it is JSON, and is not.
    """
    media_type = headers.get("content-type", v1.JSON).partition(";")[0].strip().lower()
    if media_type != v1.JSON:
        return InferResponse(model_name=model_name, payload=bytes(body), headers={"content-type": media_type})
    return InferResponse(model_name=model_name, payload=documents.load(body))


def outputs_of(payload: Any, name: str) -> list[Tensor]:
    """The tensors that the body of an answer holds: ``predictions`` or ``explanations``, in rows, or ``outputs``.

    Args:
        payload: the body.
        name: the name of a tensor that has none of its own.

    Returns:
        One for each output; none where the body is no such answer, or holds what no tensor can.
    """
    if not isinstance(payload, dict):
        return []
    rows, columns = payload.get("predictions", payload.get("explanations")), payload.get("outputs")
    try:
        if rows is not None:
            return _records(rows) or tensors_of(rows, name)
        found = [] if columns is None else named.columns(columns, ModelMetadata())
    except errors.InvalidInput:
        return []
    return _named(found, name)


def _records(rows: Any) -> list[Tensor]:
    """Records of which each is one row, whose values may be lists; none where they are something else."""
    if not (isinstance(rows, list) and rows and isinstance(rows[0], dict) and tables.is_records(rows)):
        return []
    try:
        return [] if tables.is_binary(rows[0]) else named.stacked(rows)
    except errors.InvalidInput:
        return []


def _named(tensors: list[Tensor], name: str) -> list[Tensor]:
    if len(tensors) == 1 and tensors[0].name == tables.DEFAULT_NAME:
        tensors[0].name = name
    return tensors


def tensors_of(values: Any, name: str) -> list[Tensor]:
    """The tensors that a list of instances or predictions stands for, as in a request.

    Args:
        values: the list; anything else stands for none.
        name: the name of a tensor that has none of its own.

    Returns:
        One for a rectangle, one for each column of records; none where it is neither.

    Raises:
        InvalidInput: the records make no table, or a value is not one that a tensor can hold.
    """
    if not isinstance(values, list) or not values:
        return []
    if tables.is_records(values):
        found, _ = tables.columns(values, ModelMetadata())
    else:
        found = tables.rows(values, ModelMetadata())
    if not found:
        raise errors.InvalidInput("the values are no rectangle of numbers or of text")
    return _named(found, name)
