"""The one table from errors to gRPC status codes, and what a client is told beside the code."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from grpc import StatusCode

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.grpc.metadata import Metadata

__all__ = ["Failure", "failure_of"]

_CODE: Final[dict[type[errors.FairleadError], StatusCode]] = {
    errors.InvalidInput: StatusCode.INVALID_ARGUMENT,
    errors.PayloadTooLarge: StatusCode.RESOURCE_EXHAUSTED,
    errors.ModelNotFound: StatusCode.NOT_FOUND,
    errors.ModelNotReady: StatusCode.UNAVAILABLE,
    errors.ServerNotReady: StatusCode.UNAVAILABLE,
    errors.Overloaded: StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: StatusCode.DEADLINE_EXCEEDED,
    errors.NotSupported: StatusCode.UNIMPLEMENTED,
    errors.InferenceFailed: StatusCode.INTERNAL,
    errors.PredictorUnavailable: StatusCode.UNAVAILABLE,
    errors.FairleadError: StatusCode.INTERNAL,
}

_OF_STATUS: Final[dict[int, StatusCode]] = {
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    408: StatusCode.DEADLINE_EXCEEDED,
    409: StatusCode.ABORTED,
    413: StatusCode.RESOURCE_EXHAUSTED,
    429: StatusCode.RESOURCE_EXHAUSTED,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
"""The codes of what a predictor answered; of other statuses, the client's mistakes are INVALID_ARGUMENT."""

_LONGEST: Final = 1024
"""Bytes of a text: a client refuses metadata of more than 8 KiB, and one that is not ASCII has three on the wire."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """An error as it goes to a client.

    Attributes:
        code: the status code.
        details: its text.
        metadata: trailing metadata: when to try again, where trying again helps.
    """

    code: StatusCode
    details: str
    metadata: Metadata = ()


def failure_of(error: BaseException) -> Failure:
    """The answer to a call that failed with this error.

    The text of an exception that is not ours stays in the log: it may hold what is none of the client's business.
    """
    if not isinstance(error, errors.FairleadError):
        return Failure(StatusCode.INTERNAL, "Internal server error")
    if isinstance(error, errors.PredictorFailed):
        code = _OF_STATUS.get(error.status) or _of_predictor(error.status)
    else:
        code = next(_CODE[kind] for kind in type(error).__mro__ if kind in _CODE)
    return Failure(code, _fitting(str(error)), _retry(error, code))


def _of_predictor(status: int) -> StatusCode:
    return StatusCode.INVALID_ARGUMENT if 400 <= status < 500 else StatusCode.INTERNAL


def _retry(error: errors.FairleadError, code: StatusCode) -> Metadata:
    after: int | None = getattr(error, "retry_after", None)
    if after is not None and code is StatusCode.RESOURCE_EXHAUSTED:
        # A client with a retry policy obeys the second one (gRFC A6); the first is for people and other clients.
        return (
            ("retry-after", str(after)),
            ("grpc-retry-pushback-ms", str(after * 1000)),
        )
    if code is StatusCode.UNAVAILABLE:
        return (("retry-after", str(after or 1)),)
    return ()


def _fitting(text: str) -> str:
    # A model's exception may quote what a client sent, lone surrogates included; the status must be UTF-8 all the same.
    octets = text.encode("utf-8", "replace")
    if len(octets) <= _LONGEST:
        return octets.decode("utf-8")
    return f"{octets[: _LONGEST - 4].decode('utf-8', 'ignore')} ..."
