"""A predictor, as a transformer or an explainer asks it."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import math
import urllib.parse
import weakref
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fairlead import errors
from fairlead.contracts import deadline
from fairlead.contracts.runtime import ModelMetadata
from fairlead.contracts.tensors import InferRequest, InferResponse, RequestedOutput, Tensor
from fairlead.predictor import connections, failures
from fairlead.protocol import named, v1_client, v2
from fairlead.tracing import outgoing

if TYPE_CHECKING:
    from fairlead.predictor.calls import Channel
    from fairlead.predictor.target import Target
    from fairlead.protocol.encoded import Encoded

__all__ = ["ASKED_FOR", "Predictor", "predicted"]

T = TypeVar("T")

ASKED_FOR: Final[contextvars.ContextVar[InferRequest | None]] = contextvars.ContextVar(
    "fairlead_asked_for", default=None
)
"""The request for whose sake a predictor is asked; its headers are passed on."""

_PASSED_ON: Final = (
    *("authorization", "x-request-id", "traceparent", "tracestate", "baggage", "b3"),
    *("x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"),
)
"""Headers of the client that the predictor gets: who it is, and to which trace the request belongs."""
_TIMEOUT: Final = "x-request-timeout"
"""How many seconds the client waits; Fairlead's servers read it."""
_BINARY: Final = {"binary_data": True}


class Predictor:
    """Asks one predictor, over the protocol that it was configured with; connections are kept.

    Models find theirs in `CustomModel.predictor`. It may be used on any event loop, and has connections of its own on
    each.

    Args:
        target: where it is, and how it is asked.
        model_name: the model that is asked where a request names none.
    """

    def __init__(self, target: Target, model_name: str) -> None:
        self.target: Final = target
        self._name = model_name
        self._rest: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, connections.Connections] = (
            weakref.WeakKeyDictionary()
        )
        self._channels: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Channel] = weakref.WeakKeyDictionary()

    async def predict(self, request: InferRequest) -> InferResponse:
        """Ask for predictions.

        Over ``v1`` tensors become instances, and predictions that are a rectangle or records become tensors; an answer
        that is neither, or says more than its predictions, is a payload. A payload of a request is sent as it is. Over
        ``v2`` and ``grpc-v2`` tensors are sent, and asked for, as binary data.

        Args:
            request: what to ask. Of its headers, those that tell who the client is and to which trace it belongs are
                sent, else those of the request that is being answered.

        Raises:
            InvalidInput: the request cannot be sent over the protocol.
            DeadlineExceeded: there was no answer in time.
            PredictorFailed: the predictor answers with an error, with its text.
            PredictorUnavailable: it cannot be reached. Nothing is sent twice.
        """
        return _as_tensors(await self.ask(request))

    async def explain(self, request: InferRequest) -> InferResponse:
        """Ask for an explanation; as `predict`, and not over gRPC, which has no such call.

        Raises:
            NotSupported: the protocol is ``grpc-v2``.
        """
        if self.target.protocol == "grpc-v2":
            raise errors.NotSupported(
                "There are no explanations over gRPC.", remedy="Ask the predictor with --predictor_protocol v1."
            )
        return _as_tensors(await self.ask(request, verb="explain"))

    async def ask(self, request: InferRequest, verb: str = "predict") -> InferResponse:
        """As `predict` and `explain`, with the answer as it came: that of ``v1`` is a payload."""
        name = request.model_name or self._name
        request = dataclasses.replace(request, model_name=name)
        timeout, late = self._patience()
        if timeout <= 0:
            raise errors.DeadlineExceeded(late)
        if self.target.protocol == "grpc-v2":
            call = self._channel().infer(_for_tensors(request), self._headers(request).items(), _finite(timeout))
        else:
            call = self._post(request, verb, timeout)
        return await _within(timeout, call, late)

    def close(self) -> None:
        """Close the connections, from whatever thread; requests that are under way get no answer."""
        for loop, kept in list(self._rest.items()):
            if loop.is_running():
                loop.call_soon_threadsafe(kept.close)
        for loop, channel in list(self._channels.items()):
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(channel.close(), loop)

    async def _post(self, request: InferRequest, verb: str, patience: float) -> InferResponse:
        authority, name = self.target.authority, urllib.parse.quote(request.model_name, safe="")
        encoded: Encoded
        if self.target.protocol == "v1":
            path, encoded = f"/v1/models/{name}:{verb}", v1_client.encode_request(request)
        else:
            asked = "infer" if verb == "predict" else verb
            path, encoded = f"/v2/models/{name}/{asked}", _encoded_v2(_for_tensors(request))
        headers = self._headers(request)
        if patience < math.inf:
            headers[_TIMEOUT] = f"{patience:.3f}"
        if encoded.content_type is not None:
            headers["content-type"] = encoded.content_type
        headers.update(encoded.headers)
        reply = await self._connections().post(path, headers.items(), encoded.chunks)
        if not 200 <= reply.status < 300:  # what is an answer
            raise failures.of_reply(reply, authority)
        try:
            if self.target.protocol == "v1":
                return v1_client.decode_response(reply.body, reply.headers, model_name=request.model_name)
            response = v2.decode_response(reply.body, reply.headers)
        except errors.InvalidInput as error:
            raise failures.unreadable(error, authority) from error
        response.headers = {}  # those of the predictor describe its own message
        return response

    def _headers(self, request: InferRequest) -> dict[str, str]:
        asked_for = ASKED_FOR.get()
        known: Mapping[str, str] = request.headers
        if asked_for is not None:
            known = {**asked_for.headers, **request.headers}
        passed = {name: known[name] for name in _PASSED_ON if name in known} | outgoing.headers()
        for name, value in passed.items():
            if not (value.isascii() and value.isprintable()):
                raise errors.InvalidInput(f"The header {name} is no printable ASCII, and cannot be passed on.")
        return passed

    def _patience(self) -> tuple[float, str]:
        """Seconds for an answer, and what to say after them."""
        own, client = self.target.timeout or math.inf, deadline.remaining()
        late = f"The predictor at {self.target.authority} did not answer within {min(own, max(client, 0)):.6g} seconds."
        return min(own, client), late

    def _connections(self) -> connections.Connections:
        loop = asyncio.get_running_loop()
        kept = self._rest.get(loop)
        if kept is None:
            kept = self._rest[loop] = connections.Connections(self.target)
        return kept

    def _channel(self) -> Channel:
        loop = asyncio.get_running_loop()
        kept = self._channels.get(loop)
        if kept is None:
            from fairlead.predictor.calls import Channel

            kept = self._channels[loop] = Channel(self.target)
        return kept


async def _within(seconds: float, call: Awaitable[T], late: str) -> T:
    limit = asyncio.timeout(_finite(seconds))
    try:
        async with limit:
            return await call
    except TimeoutError:
        if not limit.expired():
            raise
        raise errors.DeadlineExceeded(late) from None


def _finite(seconds: float) -> float | None:
    return seconds if seconds < math.inf else None


def _for_tensors(request: InferRequest) -> InferRequest:
    """A request of tensors, also where it came as JSON of V1.

    Raises:
        InvalidInput: the JSON does not become tensors.
    """
    if request.inputs:
        return dataclasses.replace(request, payload=None)
    payload: Any = request.payload
    values = payload.get("inputs", payload.get("instances")) if isinstance(payload, dict) else payload
    in_columns = isinstance(values, dict)
    try:
        inputs = named.columns(values, ModelMetadata()) if in_columns else v1_client.tensors_of(values, "input-0")
        signature = named.signature(payload) if isinstance(payload, dict) else None
    except errors.InvalidInput as error:
        raise errors.InvalidInput(f"The predictor takes tensors: {error}.") from error
    if not inputs:
        raise errors.InvalidInput("The predictor takes tensors, and the request has none.")
    parameters = request.parameters
    if len(inputs) > 1 and not in_columns:
        parameters = {**parameters, "content_type": "pd"}
    if signature is not None:
        parameters = {**parameters, named.SIGNATURE: signature}
    return dataclasses.replace(request, inputs=inputs, payload=None, parameters=parameters)


def _encoded_v2(request: InferRequest) -> Encoded:
    parameters = {**request.parameters, "binary_data_output": True}
    outputs = [RequestedOutput(each.name, {**each.parameters, **_BINARY}) for each in request.outputs]
    return v2.encode_request(dataclasses.replace(request, parameters=parameters, outputs=outputs), binary=True)


def _as_tensors(response: InferResponse) -> InferResponse:
    """An answer of V1 as tensors, where it is what tensors can hold and nothing else."""
    if isinstance(response.payload, dict) and len(response.payload) == 1:
        outputs = predicted(response.payload)
        if outputs:
            return dataclasses.replace(response, outputs=outputs, payload=None)
    return response


def predicted(payload: Any) -> list[Tensor]:
    """The predictions or outputs of V1 as tensors; none where they are neither rectangles nor records."""
    return v1_client.outputs_of(payload, "output-0")
