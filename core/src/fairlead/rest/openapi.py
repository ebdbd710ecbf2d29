"""The OpenAPI description of the inference routes, which FastAPI does not see."""

from __future__ import annotations

from typing import Any, Final

from fairlead.contracts.tensors import Datatype

__all__ = ["complete"]

_PARAMETERS: Final = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"type": kind} for kind in ("boolean", "integer", "number", "string")]},
}
_TENSOR: Final = {
    "name": {"type": "string"},
    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    "datatype": {"type": "string", "enum": [datatype.value for datatype in Datatype]},
}
_SCHEMAS: Final[dict[str, Any]] = {
    "PredictRequest": {
        "type": "object",
        "description": "A V1 request; `inputs` wins where both are given.",
        "properties": {
            "instances": {"type": "array", "items": {}},
            "inputs": {
                "description": "As `instances`; of a model of named tensors the whole of each input, by its name.",
                "anyOf": [{"type": "array", "items": {}}, {"type": "object"}],
            },
            "signature_name": {"type": "string", "description": "Of a model of named tensors that has several."},
        },
        "anyOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    },
    "PredictResponse": {
        "type": "object",
        "description": "A model of named tensors that was asked by `inputs` answers `outputs`.",
        "properties": {"predictions": {}, "outputs": {}},
    },
    "ExplainResponse": {
        "type": "object",
        "description": "The JSON of the explainer, or its tensors as one object for each row in `explanations`.",
        "properties": {"explanations": {}},
    },
    "InferInput": {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {**_TENSOR, "parameters": _PARAMETERS, "data": {"type": "array", "items": {}}},
    },
    "InferOutput": {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            **_TENSOR,
            "parameters": {"anyOf": [_PARAMETERS, {"type": "null"}]},
            "data": {"type": "array", "items": {}},
        },
    },
    "RequestedOutput": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
    },
    "InferenceRequest": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": _PARAMETERS,
            "inputs": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/InferInput"}},
            "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/RequestedOutput"}},
        },
    },
    "InferenceResponse": {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": ["string", "null"]},
            "id": {"type": ["string", "null"]},
            "parameters": {"anyOf": [_PARAMETERS, {"type": "null"}]},
            "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/InferOutput"}},
        },
    },
    "InferenceError": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "detail": {}},
    },
}
_FAILURES: Final = {
    "400": "The request is wrong.",
    "404": "No model of that name is known.",
    "413": "The body has too many bytes.",
    "415": "The content encoding is not supported.",
    "422": "The body does not have the shape that the protocol asks for, or an explanation asks the model too often.",
    "429": "Too many requests wait for the model.",
    "500": "The model failed.",
    "501": "The model does not offer this.",
    "503": "The model or the server is not ready.",
    "504": "There was no answer within the deadline.",
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add the inference routes to FastAPI's document."""
    document.setdefault("components", {}).setdefault("schemas", {}).update(_SCHEMAS)
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    document["paths"] |= {
        "/v1/models/{model_name}:predict": _operation("predict", "v1", "Predict", "PredictRequest", "PredictResponse"),
        "/v1/models/{model_name}:explain": _operation("explain", "v1", "Explain", "PredictRequest", "ExplainResponse"),
        "/v2/models/{model_name}/infer": _operation(
            "infer", "v2", "Infer", "InferenceRequest", "InferenceResponse", binary
        ),
        "/v2/models/{model_name}/explain": _operation(
            "explain_v2", "v2", "Explain; an extension of the protocol", "InferenceRequest", "InferenceResponse", binary
        ),
    }
    return document


def _operation(
    name: str, tag: str, summary: str, request: str, response: str, also: dict[str, Any] | None = None
) -> dict[str, Any]:
    def content(schema: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}

    return {
        "post": {
            "operationId": name,
            "tags": [tag],
            "summary": summary,
            "parameters": [{"name": "model_name", "in": "path", "required": True, "schema": {"type": "string"}}],
            "requestBody": {"required": True, "content": content(request)},
            "responses": {
                "200": {"description": "The answer.", "content": content(response) | (also or {})},
                **{
                    status: {"description": text, "content": content("InferenceError")}
                    for status, text in _FAILURES.items()
                },
            },
        }
    }
