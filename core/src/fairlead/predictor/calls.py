"""Asking a predictor over gRPC, on the event loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from fairlead import errors
from fairlead.predictor import failures, target
from fairlead.protocol import v2_grpc_client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.predictor.target import Target

__all__ = ["Channel"]

_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),  # a request is sent once
    ("grpc.max_reconnect_backoff_ms", 1000),  # a predictor that starts is soon there
)

_STATUS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""The statuses of HTTP that say the same. Of other codes a client has to know no more than that there is no answer."""


class Channel:
    """The connection to one predictor, of one event loop.

    Args:
        to: the predictor.
    """

    def __init__(self, to: Target) -> None:
        self._target = to
        if to.tls:
            bundle = target.authorities()
            trusted = grpc.ssl_channel_credentials(Path(bundle).read_bytes() if bundle else None)
            self._channel = grpc.aio.secure_channel(to.address, trusted, options=_OPTIONS)
        else:
            self._channel = grpc.aio.insecure_channel(to.address, options=_OPTIONS)
        self._infer: Any = self._channel.unary_unary(v2_grpc_client.METHOD)

    async def infer(
        self, request: InferRequest, headers: Iterable[tuple[str, str]], patience: float | None
    ) -> InferResponse:
        """Ask, and wait for the answer as many seconds; when this is cancelled, the call is.

        Raises:
            InvalidInput: the request holds what a message cannot.
            PredictorFailed: it answers with an error.
            PredictorUnavailable: it cannot be reached.
        """
        body = v2_grpc_client.encode_request(request)
        authority = self._target.authority
        try:
            answer: bytes = await self._infer(body, metadata=tuple(headers), timeout=patience)
        except grpc.aio.AioRpcError as error:
            details = error.details() or error.code().name
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise errors.PredictorUnavailable(
                    f"The predictor at {authority} cannot be reached: {details}"
                ) from error
            status = _STATUS.get(error.code(), 502)
            reason = details if 400 <= status < 500 else f"The predictor at {authority} failed: {details}"
            raise errors.PredictorFailed(reason, status=status) from error
        try:
            return v2_grpc_client.decode_response(answer)
        except errors.InvalidInput as error:
            raise failures.unreadable(error, authority) from error

    async def close(self) -> None:
        """Close it; calls that are under way are cancelled."""
        await self._channel.close()
