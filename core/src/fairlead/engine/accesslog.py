"""The access log: one line for each request, with the same fields whatever protocol it came by."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["log"]

_log: Final = logging.getLogger("fairlead.access")


def log(
    *,
    protocol: str,
    method: str,
    path: str,
    model: str,
    status: int | str,
    seconds: float,
    request_id: str,
    ids: Mapping[str, str] | None = None,
) -> None:
    """Log one request that has been answered.

    Args:
        protocol: ``v1``, ``v2`` or ``grpc``.
        method: the HTTP method; ``gRPC`` for a call of gRPC.
        path: the path as it was sent, still percent-encoded, because a log line is not the client's to write;
            ``/service/method`` for a call of gRPC.
        model: the name that was asked for.
        status: HTTP's number, or gRPC's name.
        seconds: from the request's arrival to its answer.
        request_id: the request's id.
        ids: ids of the trace and the span, where there are any.
    """
    _log.info(
        "%s %s %s %.1f ms",
        method,
        path,
        status,
        seconds * 1000,
        extra={
            "request_id": request_id,
            "model": model,
            "protocol": protocol,
            "method": method,
            "path": path,
            "status": status,
            "seconds": round(seconds, 6),
            **(ids or {}),
        },
    )
