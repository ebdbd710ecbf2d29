"""The one table from errors to HTTP statuses, and the JSON bodies that clients of KServe know."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import orjson

from fairlead import errors

__all__ = ["ErrorResponse", "respond"]

_STATUS: Final[dict[type[errors.FairleadError], int]] = {
    errors.InvalidInput: 400,
    errors.InvalidSchema: 422,
    errors.PayloadTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.ModelNotFound: 404,
    errors.ModelNotReady: 503,
    errors.ServerNotReady: 503,
    errors.Overloaded: 429,
    errors.DeadlineExceeded: 504,
    errors.TooManyCalls: 422,
    errors.NotSupported: 501,
    errors.InferenceFailed: 500,
    errors.PredictorFailed: 502,
    errors.PredictorUnavailable: 503,
    errors.FairleadError: 500,
}


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An error as it goes to a client.

    Attributes:
        status: the HTTP status.
        body: JSON: ``{"error": text}``, and for schema mistakes ``detail`` as FastAPI has it beside it.
        headers: extra headers.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def respond(error: BaseException) -> ErrorResponse:
    """The answer to a request that failed with this error."""
    if not isinstance(error, errors.FairleadError):
        return ErrorResponse(500, orjson.dumps({"error": _utf8(f"{type(error).__name__} : {error}")}))
    if isinstance(error, errors.PredictorFailed):
        status = error.status
    else:
        status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    body: dict[str, Any] = {"error": _utf8(str(error))}
    if isinstance(error, errors.InvalidSchema):
        location = ["body", "InferenceRequest", *error.location]
        body["detail"] = [{"type": error.kind, "loc": location, "msg": error.reason}]
    if isinstance(error, errors.Overloaded | errors.ModelNotReady | errors.PredictorFailed):
        retry: int | None = error.retry_after
    else:
        retry = None
    if retry is None and status == 503:
        retry = 1
    headers = ((b"retry-after", str(retry).encode()),) if retry is not None else ()
    return ErrorResponse(status, orjson.dumps(body), headers)


def _utf8(text: str) -> str:
    # A model's exception may quote what a client sent, lone surrogates included; JSON must be UTF-8 all the same.
    return text.encode("utf-8", "replace").decode("utf-8")
