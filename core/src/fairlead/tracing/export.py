"""Where spans go: OpenTelemetry's batches in a thread of their own, bounded, with what is lost counted.

Imported only where traces are asked for, because it imports the SDK.
"""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry.propagators.b3 import B3MultiFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator

    from fairlead.tracing.environment import Configuration

__all__ = ["Processor", "exporter_of", "propagator_of", "provider_of"]

_SERVICE: Final = "service.name"
_UNKNOWN: Final = "unknown_service"  # how the SDK names a service that nobody has named

for _name in ("opentelemetry.trace.propagation", "opentelemetry.baggage.propagation"):
    # They warn of headers that clients send, and a client must not fill the log.
    logging.getLogger(_name).setLevel(logging.ERROR)


class Processor(BatchSpanProcessor):
    """The SDK's batches, with an end to how many spans wait, and a count of those that are lost.

    The SDK logs each span that it drops, in the thread that ends the span. This one never lets its queue fill up.

    Args:
        exporter: where the batches go.
        configuration: how large queue and batches are.
        dropped: is told why spans are lost, and how many.
    """

    def __init__(
        self, exporter: SpanExporter, configuration: Configuration, dropped: Callable[[str, int], None]
    ) -> None:
        self._counted = _Counted(exporter, dropped)
        self._dropped = dropped
        self._limit = configuration.queue_size
        self._taken = 0
        self._closed = False
        self._lock = threading.Lock()
        super().__init__(
            self._counted, max_queue_size=configuration.queue_size, max_export_batch_size=configuration.batch_size
        )

    @property
    def pending(self) -> int:
        """Spans that have been taken, and neither been exported nor lost."""
        return self._taken - self._counted.settled

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended; called by the SDK, in whatever thread ends it."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._lock:
            refused = self._closed or self._taken - self._counted.begun >= self._limit
            if not refused:
                self._taken += 1
        if refused:
            self._dropped("shutdown" if self._closed else "queue_full", 1)
        else:
            super().on_end(span)

    def close(self, patience: float) -> None:
        """Export what waits, for a time that is bounded; what is not exported then is lost, and counted."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        # In a thread of its own: the SDK waits for as long as the exporter does.
        ending = threading.Thread(target=self.shutdown, name="tracing", daemon=True)
        ending.start()
        ending.join(patience)
        if ending.is_alive():
            self._counted.give_up()
        lost = self.pending
        if lost:
            self._dropped("shutdown", lost)


class _Counted(SpanExporter):
    """Counts what another exporter exports, and what it fails to."""

    def __init__(self, exporter: SpanExporter, dropped: Callable[[str, int], None]) -> None:
        self._exporter = exporter
        self._dropped = dropped
        self._given_up = False
        self.begun = 0
        self.settled = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.begun += len(spans)
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            if not self._given_up:  # counted by whoever gave up, otherwise
                self.settled += len(spans)
                if result is not SpanExportResult.SUCCESS:
                    self._dropped("export_failed", len(spans))
        return result

    def give_up(self) -> None:
        """End what is being exported, as far as it can be ended."""
        self._given_up = True
        self._exporter.shutdown()

    def shutdown(self) -> None:
        if not self._given_up:
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def exporter_of(name: str) -> SpanExporter:
    """The exporter of that name; it reads the rest of its configuration from the environment itself."""
    if name == "console":
        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def provider_of(processors: Sequence[Processor]) -> TracerProvider:
    """A provider whose spans go to these processors; sampler and resource are from the environment."""
    resource = Resource.create()
    if str(resource.attributes.get(_SERVICE, _UNKNOWN)).startswith(_UNKNOWN):
        version = importlib.metadata.version("fairlead")
        # The other way around than it reads: what is merged in wins.
        resource = Resource({"service.version": version}).merge(resource).merge(Resource({_SERVICE: "fairlead"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def propagator_of(names: Sequence[str] | None) -> CompositePropagator:
    """What reads and writes the headers that carry a trace from process to process.

    Args:
        names: the propagators; None for W3C's trace context and baggage, and B3 in one header or several. Where a
            request has both, W3C's is followed: of several propagators, the last one to find a trace decides.
    """
    if names is None:
        from opentelemetry.baggage.propagation import W3CBaggagePropagator

        return CompositePropagator([B3MultiFormat(), TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    found: list[TextMapPropagator] = []
    for name in names:
        (entry, *_) = importlib.metadata.entry_points(group="opentelemetry_propagator", name=name)
        found.append(entry.load()())
    return CompositePropagator(found)
