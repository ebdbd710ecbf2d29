"""What the protocol shells and the engine know of traces; OpenTelemetry is imported when traces are asked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.tracing import environment

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import TextMapPropagator

    from fairlead.tracing.environment import Configuration
    from fairlead.tracing.spans import Computation, RequestSpan

__all__ = ["Tracing"]

_log = logging.getLogger("fairlead.tracing")


class Tracing:
    """Traces of the requests of one server; there is none where nothing asks for traces.

    Args:
        configuration: how they are made and where they go.
    """

    PATIENCE: Final = 5.0
    """Seconds that the last spans are given to be exported when the server stops."""

    def __init__(self, configuration: Configuration) -> None:
        from fairlead.tracing import export, spans

        self._spans = spans
        self._counters: list[Callable[[str, int], None]] = []
        self._dropped: dict[str, int] = {}
        self._processors = [
            export.Processor(export.exporter_of(name), configuration, self._drop) for name in configuration.exporters
        ]
        self._provider = export.provider_of(self._processors)
        self._tracer = self._provider.get_tracer("fairlead")
        self._propagator: Final[TextMapPropagator] = export.propagator_of(configuration.propagators)
        self._fields = frozenset({field.lower() for field in self._propagator.fields} | {"b3"})

    @classmethod
    def from_environment(cls) -> Tracing | None:
        """Traces as the process's environment asks for them (``OTEL_*``); None when it does not.

        The environment is the process's own, because OpenTelemetry reads the rest of its variables by itself.

        Raises:
            ConfigurationError: a variable is wrong, or OpenTelemetry is not installed.
        """
        configuration = environment.read(os.environ)
        if configuration is None:
            return None
        try:
            return cls(configuration)
        except ImportError as error:
            raise errors.ConfigurationError(
                f"{configuration.cause} asks for traces, and OpenTelemetry cannot be imported: {error}.",
                remedy="Try: pip install 'fairlead[tracing]', or turn traces off: OTEL_SDK_DISABLED=true",
            ) from error

    @property
    def dropped(self) -> Mapping[str, int]:
        """Spans that were lost so far, by reason: ``queue_full``, ``export_failed`` or ``shutdown``."""
        return self._dropped

    def report_drops(self, count: Callable[[str, int], None]) -> None:
        """Call this with the reason and the number of spans that are lost, from now on, in whatever thread."""
        self._counters.append(count)

    def install(self) -> None:
        """Let a model's own code find these traces, by OpenTelemetry's global names; once in a process."""
        from opentelemetry import propagate, trace

        trace.set_tracer_provider(self._provider)
        propagate.set_global_textmap(self._propagator)

    def start(
        self,
        headers: Mapping[str, str],
        protocol: str,
        *,
        route: str,
        model: str,
        method: str = "POST",
        path: str = "",
        started: float | None = None,
    ) -> RequestSpan:
        """The span of a request that has arrived, below the client's own where its headers tell of one.

        Args:
            headers: the request's headers, or the metadata of a call; names in lower case.
            protocol: ``v1``, ``v2`` or ``grpc``.
            route: the route with its placeholders; ``/service/method`` for gRPC.
            model: the name that is asked for.
            method: the HTTP method.
            path: the path as it was sent, without the query.
            started: when the request arrived, as `time.perf_counter` tells; now by default.
        """
        return self._spans.start(
            self._tracer,
            self._propagator,
            self._parent(headers),
            protocol=protocol,
            method=method,
            route=route,
            path=path or route,
            model=model,
            started=started,
        )

    def computation(self, spans: Sequence[RequestSpan | None], *, rows: int, name: str = "compute") -> Computation:
        """A context manager around one call of the model, in the thread or the task that makes it.

        Args:
            spans: those of the requests that it answers; None for one that has none.
            rows: how many rows they have together.
            name: ``compute`` or ``explain``.
        """
        return self._spans.Computation(self._tracer, spans, rows, name)

    def log_filter(self) -> logging.Filter:
        """A filter that adds ``trace_id`` and ``span_id`` to what a model logs while it computes."""
        return _TraceIds()

    def close(self, patience: float = PATIENCE) -> None:
        """Export what waits, for a time that is bounded."""
        before = sum(self._dropped.values())
        for processor in self._processors:
            processor.close(patience)
        lost = sum(self._dropped.values()) - before
        if lost:
            _log.warning("%d spans were not exported within %g seconds, and are lost", lost, patience)

    def _parent(self, headers: Mapping[str, str]) -> Context:
        # Most requests carry nothing of the kind, and need not pay for propagators that look.
        if self._fields.isdisjoint(headers):
            return self._spans.ROOT
        return self._propagator.extract(headers, self._spans.ROOT)

    def _drop(self, reason: str, count: int) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + count
        for each in self._counters:
            each(reason, count)


class _TraceIds(logging.Filter):
    def __init__(self) -> None:
        from opentelemetry import trace

        super().__init__()
        self._trace = trace

    def filter(self, record: logging.LogRecord) -> bool:
        context = self._trace.get_current_span().get_span_context()
        if context.is_valid and not hasattr(record, "trace_id"):
            record.trace_id = f"{context.trace_id:032x}"
            record.span_id = f"{context.span_id:016x}"
        return True
