"""The V1 protocol: ``{"instances": [...]}`` in, ``{"predictions": [...]}`` out.

What counts as JSON, and that ``inputs`` wins over ``instances``, is as in KServe; docs/compatibility.md lists where
this differs. For models of named tensors it is as in TensorFlow Serving; see `fairlead.protocol.named`.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import errors
from fairlead.contracts.runtime import Capability, ModelMetadata
from fairlead.contracts.tensors import Datatype, InferRequest
from fairlead.protocol import documents, elements, named, schema, tables
from fairlead.protocol.encoded import Encoded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fairlead.contracts.tensors import InferResponse, Tensor
    from fairlead.protocol.documents import Body

__all__ = ["JSON", "decode", "encode", "encode_explanation", "predictions"]

JSON: Final = "application/json"

_JSON_TYPES: Final = (JSON, "application/ld+json", "application/octet-stream", "application/x-www-form-urlencoded")
"""KServe's three, and what curl announces when nobody tells it otherwise: no form is a request here."""
_UNKNOWN: Final = ModelMetadata()
_BLOBS: Final = "_bytes"
"""How the name of an output ends whose strings TensorFlow Serving writes as base64."""
_CLOUDEVENTS: Final = "application/cloudevents"
_CLOUDEVENT_HEADERS: Final = ("ce-specversion", "ce-source", "ce-type", "ce-id")
_CLOUDEVENT_KEYS: Final = frozenset(("time", "type", "source", "id", "specversion", "data"))


def decode(
    body: Body, *, model_name: str, metadata: ModelMetadata, content_type: str | None, headers: Mapping[str, str]
) -> InferRequest:
    """Read a request, and make tensors of its instances where the model takes tensors.

    Rectangles of values become one tensor, named as the model's only input or ``input-0``; records become one tensor
    for each column, with the request parameter ``content_type`` set to ``pd``. What is neither stays as it is: the
    request then has a payload and no inputs. So does every request to a model with `Capability.JSON`. The member
    ``parameters`` of an object holds the request's parameters, as in V2, and stays in the payload too.

    For a model of named tensors (`named.is_named`) every request becomes tensors, and ``signature_name`` a parameter.

    Args:
        body: the received body.
        model_name: the model that the URL names.
        metadata: what the model says of itself.
        content_type: the body's media type; a body without one is JSON, one of a type that is not JSON is handed on
            as bytes.
        headers: the transport's headers, names in lower case.

    Raises:
        InvalidInput: the body is not a request.
        InvalidSchema: its ``parameters`` are no object of booleans, numbers and strings.
        UnsupportedMediaType: it is not JSON, and the model takes tensors.
        NotSupported: it is a CloudEvent.
    """
    media_type = None if content_type is None else content_type.partition(";")[0].strip().lower()
    if all(header in headers for header in _CLOUDEVENT_HEADERS) or (media_type or "").startswith(_CLOUDEVENTS):
        raise _no_cloudevents()
    if media_type is not None and media_type not in _JSON_TYPES:
        if metadata.inputs and not metadata.supports(Capability.JSON):
            raise errors.UnsupportedMediaType(
                f"Content-Type {content_type} is handed on as bytes, and model {model_name} takes tensors.",
                remedy=f"Send JSON with Content-Type: {JSON}.",
            )
        return InferRequest(model_name=model_name, payload=bytes(body), headers=headers)
    payload = documents.load(body)
    request = InferRequest(model_name=model_name, payload=payload, headers=headers)
    is_named = named.is_named(metadata)
    instances = _instances(payload, metadata, is_named)
    if isinstance(payload, dict):
        request.parameters = dict(schema.parameters(payload, ()))  # a copy: the payload stays as it was sent
    if is_named:
        request.inputs = (named.columns if "inputs" in payload else named.rows)(instances, metadata)
        if (signature := named.signature(payload)) is not None:
            request.parameters[named.SIGNATURE] = signature
        return request
    if metadata.supports(Capability.JSON):
        return request
    if tables.is_records(instances):
        request.inputs, table = tables.columns(instances, metadata)
    else:
        request.inputs, table = tables.rows(instances, metadata), False
    if table or len(request.inputs) > 1:
        request.parameters["content_type"] = "pd"
    return request


def encode(response: InferResponse, request: InferRequest, metadata: ModelMetadata = _UNKNOWN) -> Encoded:
    """Write an answer.

    One output is a nested list of predictions; several are one object for each row, by output name. A payload is sent
    as it is when it is an object, bytes or text, and as the predictions otherwise.

    A model of named tensors (`named.is_named`) that was asked in columns answers so: the member ``outputs`` is the only
    tensor, or an object of all. What it answers as BYTES under a name that ends in ``_bytes`` is ``{"b64": "..."}``.

    Args:
        response: the model's answer.
        request: what it answers.
        metadata: what the model says of itself.

    Raises:
        InvalidInput: an element is not UTF-8, and JSON cannot carry it.
        InferenceFailed: the answer is empty, or cannot be written as JSON, or its outputs have no common rows.
    """
    payload = response.payload
    match payload:
        case bytes() | bytearray() | memoryview():
            return Encoded((bytes(payload),), None)
        case str():
            return Encoded((_utf8(payload),), None)
        case dict():
            return Encoded((documents.dump(payload),), JSON)
        case None:
            subject = f"Model with name {response.model_name}"
            if named.is_named(metadata):
                document = _named(response.outputs, request, subject)
            else:
                document = {"predictions": predictions(response.outputs, subject)}
            return Encoded((documents.dump(document),), JSON)
        case _:
            return Encoded((documents.dump({"predictions": payload}),), JSON)


def encode_explanation(response: InferResponse) -> Encoded:
    """Write an explanation: as `encode`, with ``explanations`` in the place of ``predictions``.

    Raises:
        InvalidInput: an element is not UTF-8, and JSON cannot carry it.
        InferenceFailed: it is empty, or cannot be written as JSON, or its outputs have no common rows.
    """
    payload = response.payload
    if isinstance(payload, dict | str | bytes | bytearray | memoryview):
        return encode(response, InferRequest(model_name=response.model_name))
    if payload is None:
        payload = predictions(response.outputs, f"The explainer of model {response.model_name}")
    return Encoded((documents.dump({"explanations": payload}),), JSON)


def _named(outputs: Sequence[Tensor], request: InferRequest, subject: str) -> dict[str, Any]:
    """The answer of a model of named tensors, in the form of the request."""
    if not (isinstance(request.payload, dict) and "inputs" in request.payload):
        return {"predictions": predictions(outputs, subject, is_named=True)}
    found = [_nested(tensor, blobs=True) for tensor in outputs]
    if not found:
        raise errors.InferenceFailed(f"{subject} answered without outputs.")
    names = [tensor.name for tensor in outputs]
    return {"outputs": found[0] if len(found) == 1 else dict(zip(names, found, strict=True))}


def _instances(payload: object, metadata: ModelMetadata, is_named: bool) -> Any:
    """The instances of a body, which a model that takes any JSON may do without."""
    anything = metadata.supports(Capability.JSON)
    if not isinstance(payload, dict):
        if anything:
            return []
        raise errors.InvalidInput('the body is not a JSON object with "instances"')
    if payload.keys() >= _CLOUDEVENT_KEYS:
        raise _no_cloudevents()
    key = "inputs" if "inputs" in payload else "instances"
    if key not in payload:
        if anything:
            return []
        raise errors.InvalidInput('the body has neither "instances" nor "inputs"')
    instances = payload[key]
    if anything and key == "inputs":
        return []
    if not isinstance(instances, list):
        if is_named and key == "inputs":  # an object of whole tensors, or a single value
            return instances
        raise errors.InvalidInput(f'Expected "{key}" to be a list')
    if not instances and not anything:
        raise errors.InvalidInput(f'"{key}" is an empty list; there is nothing to predict')
    return instances


def _no_cloudevents() -> errors.NotSupported:
    return errors.NotSupported(
        "CloudEvents are not supported yet.", remedy="Send the event's data alone, as application/json."
    )


def predictions(
    tensors: Sequence[Tensor], subject: str, role: str = "answered with outputs", *, is_named: bool = False
) -> Any:
    """Tensors as the nested lists, or the records, of this protocol.

    Args:
        tensors: the tensors.
        subject: whose they are, for messages.
        role: what it did with them, for messages.
        is_named: whether they are of a model of named tensors: BYTES under a name that ends in ``_bytes`` are then
            written as base64.

    Raises:
        InvalidInput: an element is not UTF-8, and JSON cannot carry it.
        InferenceFailed: there are none, or they have no common rows.
    """
    if not tensors:
        raise errors.InferenceFailed(f"{subject} {role.replace(' with ', ' without ')}.")
    if len(tensors) == 1:
        return _nested(tensors[0], blobs=is_named)
    counts = {tensor.shape[:1] for tensor in tensors}
    if len(counts) > 1 or () in counts:
        shapes = ", ".join(f"{tensor.name!r} {list(tensor.shape)}" for tensor in tensors)
        raise errors.InferenceFailed(
            f"{subject} {role} that have no common rows: {shapes}.",
            remedy=f"Ask it {'in columns, by the member inputs, or ' if is_named else ''}by the V2 protocol.",
        )
    names = [tensor.name for tensor in tensors]
    rows = zip(*(list(_nested(tensor, blobs=is_named)) for tensor in tensors), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _nested(tensor: Tensor, *, blobs: bool = False) -> Any:
    """The elements of a tensor as what the JSON writer reads in place: an array, a numpy scalar, or lists of text."""
    data = tensor.data
    if tensor.datatype is Datatype.BYTES:
        if blobs and tensor.name.endswith(_BLOBS):
            encoded = [{"b64": base64.b64encode(element).decode("ascii")} for element in data.ravel().tolist()]
            return elements.objects(encoded).reshape(data.shape).tolist()
        return elements.objects(elements.to_texts(tensor)).reshape(data.shape).tolist()
    if tensor.datatype is Datatype.FP16:
        data = data.astype(np.float32)
    return np.ascontiguousarray(data) if data.ndim else data[()]


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise errors.InferenceFailed("the answer's text has a lone surrogate and cannot be UTF-8") from error
