"""The span of a request, and that of a call of the model, with the attributes of OpenTelemetry's conventions.

The conventions are those for HTTP and RPC spans, semantic conventions 1.44. Imported only where traces are asked for.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, StatusCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextvars import Token

    from opentelemetry.propagators.textmap import TextMapPropagator

__all__ = ["ROOT", "Computation", "RequestSpan", "start"]

ROOT: Final = Context()
"""The context of a request that is below no other; never the current one, which may be another request's."""

_LONGEST_PATH: Final = 1024  # a client may send a path as long as the head of a request may be
_GRPC: Final = "grpc"
_GRPC_FAULTS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""What counts as an error of a server, as opposed to one of its client (conventions for gRPC spans)."""
_FAULTS_OF_CODE: Final = frozenset({500, "INTERNAL", "UNKNOWN"})
"""Statuses whose cause is in the code, so that a traceback is worth its while."""


class RequestSpan:
    """The span of one request, from its arrival to its answer; made by `fairlead.tracing.Tracing.start`.

    Attributes:
        sampled: whether it is exported; one that is not costs nothing from here on.
    """

    __slots__ = ("_made", "_offset", "_parent", "_propagator", "_protocol", "_span", "_stages", "_tracer", "sampled")

    def __init__(
        self,
        span: trace.Span,
        parent: Context,
        offset: int,
        protocol: str,
        tracer: trace.Tracer,
        propagator: TextMapPropagator,
    ) -> None:
        self.sampled: Final = span.is_recording()
        self._span = span
        self._parent = parent
        self._made: Context | None = None
        self._offset = offset
        self._protocol = protocol
        self._tracer = tracer
        self._propagator = propagator
        self._stages: list[tuple[str, float, float]] = []

    @property
    def _context(self) -> Context:
        if self._made is None:  # many requests need none
            self._made = trace.set_span_in_context(self._span, self._parent)
        return self._made

    @property
    def ids(self) -> Mapping[str, str]:
        """``trace_id`` and ``span_id`` in hexadecimal, as fields of log lines."""
        context = self._span.get_span_context()
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def stage(self, name: str, started: float, ended: float) -> None:
        """Add a part of the request, as a span below this one.

        Args:
            name: ``decode``, ``queue`` or ``encode``.
            started: when it began, as `time.perf_counter` tells.
            ended: when it ended.
        """
        if self.sampled:
            self._stages.append((name, started, ended))

    def note(self, *, version: str | None = None, rows: int | None = None) -> None:
        """Add what is known only later: the model's version, and the rows of the request."""
        if self.sampled:
            if version is not None:
                self._span.set_attribute("fairlead.model.version", version)
            if rows is not None:
                self._span.set_attribute("fairlead.rows", rows)

    def headers(self) -> dict[str, str]:
        """Headers for calls that are made on behalf of this request."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._context)
        return carrier

    def end(self, status: int | str, error: BaseException | None = None) -> None:
        """End it, once the answer is written.

        Args:
            status: HTTP's status code, or the name of gRPC's.
            error: what made it fail, if it did.
        """
        if not self.sampled:
            return
        ended = time.time_ns()
        for name, started, stopped in self._stages:
            child = self._tracer.start_span(name, self._context, start_time=_epoch(started, self._offset))
            child.end(_epoch(stopped, self._offset))
        span = self._span
        if self._protocol == _GRPC:
            span.set_attribute("rpc.response.status_code", str(status))
            fault = status in _GRPC_FAULTS
        else:
            span.set_attribute("http.response.status_code", status)
            fault = isinstance(status, int) and status >= 500
        if fault:
            span.set_attribute("error.type", str(status) if error is None else type(error).__qualname__)
            span.set_status(StatusCode.ERROR, None if error is None else str(error))
            if error is not None and status in _FAULTS_OF_CODE:
                span.record_exception(error.__cause__ or error)
        span.end(ended)


def start(
    tracer: trace.Tracer,
    propagator: TextMapPropagator,
    parent: Context,
    *,
    protocol: str,
    method: str,
    route: str,
    path: str,
    model: str,
    started: float | None,
) -> RequestSpan:
    """The span of a request that has arrived; see `fairlead.tracing.tracer.Tracing.start`."""
    offset = time.time_ns() - time.perf_counter_ns()  # anew for each: the two clocks drift apart
    attributes: dict[str, Any] = {"fairlead.protocol": protocol, "fairlead.model.name": model}
    if protocol == _GRPC:
        name = route.removeprefix("/")
        attributes |= {"rpc.system.name": _GRPC, "rpc.method": name}
    else:
        name = f"{method} {route}"
        attributes |= {"http.request.method": method, "http.route": route, "url.path": path[:_LONGEST_PATH]}
    span = tracer.start_span(
        name,
        parent,
        SpanKind.SERVER,
        attributes,
        start_time=None if started is None else _epoch(started, offset),
    )
    return RequestSpan(span, parent, offset, protocol, tracer, propagator)


def _epoch(seconds: float, offset: int) -> int:
    """A time of `time.perf_counter`, in nanoseconds of the epoch."""
    return int(seconds * 1e9) + offset


class Computation:
    """One call of the model for one request or several: a context manager around it, in the thread that makes it.

    A call for several requests belongs to several traces, and a span to one. It becomes a part of the first request's
    trace, with links to the others; each of the others gets a span of the same name and times with a link to it. The
    model's own code sees the span of the call as the current one, and what it starts is below it.

    Args:
        tracer: makes the spans.
        spans: those of the requests.
        rows: how many rows they have together.
        name: what the span is called.
    """

    __slots__ = ("_others", "_requests", "_rows", "_shown", "_span", "_started", "_token", "_tracer", "name")

    def __init__(self, tracer: trace.Tracer, spans: Sequence[RequestSpan | None], rows: int, name: str) -> None:
        self.name = name
        self._tracer = tracer
        self._requests = len(spans)
        self._rows = rows
        known = [span for span in spans if span is not None]
        self._others = [span for span in known if span.sampled]
        # Without one that is exported the call still has a context, so that what the model calls is not traced either.
        self._shown = self._others.pop(0) if self._others else (known[0] if known else None)
        self._span: trace.Span | None = None
        self._token: Token[Context] | None = None

    def __enter__(self) -> None:
        first = self._shown
        if first is None:
            return
        # Baggage is of one client; a call for several requests carries none of it.
        context = first._context if self._requests == 1 else trace.set_span_in_context(first._span, Context())
        if first.sampled:
            self._started = time.time_ns()
            self._span = self._start(first, [Link(other._span.get_span_context()) for other in self._others])
            context = trace.set_span_in_context(self._span, context)
        self._token = contexts.attach(context)

    def __exit__(self, kind: object, raised: BaseException | None, traceback: object) -> None:
        if self._token is not None:
            contexts.detach(self._token)
        if self._span is None:
            return
        if raised is not None:
            self._span.set_attribute("error.type", type(raised).__qualname__)
            self._span.set_status(StatusCode.ERROR, str(raised))
        ended = time.time_ns()
        self._span.end(ended)
        link = Link(self._span.get_span_context())
        for other in self._others:
            self._start(other, [link]).end(ended)

    def _start(self, request: RequestSpan, links: Sequence[Link]) -> trace.Span:
        attributes = {"fairlead.batch.requests": self._requests, "fairlead.batch.rows": self._rows}
        return self._tracer.start_span(
            self.name, request._context, attributes=attributes, links=links, start_time=self._started
        )
