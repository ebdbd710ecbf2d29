"""Prometheus metrics: KServe's names for the steps of a request, and ours for the queue and the batches.

The only label that a client could choose is the model's name, and only names of known models become values. The
metrics of a model that is known no more can be removed.

Several server processes that share a port share their metrics too, as files in one folder: each shows the sums over
all, so that it does not matter which of them a scrape reaches.
"""

from __future__ import annotations

import dataclasses
import enum
import os
from typing import TYPE_CHECKING, Final

import prometheus_client as prometheus
from prometheus_client import exposition, multiprocess, values
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from fairlead.engine.gauges import Gauges
from fairlead.engine.histograms import Histograms, Observer, View, derived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

__all__ = ["Drop", "Metrics", "ModelMetrics", "Observer", "Share"]

_COUNTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_KSERVE: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The default buckets of the client library, which KServe's histograms have."""
_FINE: Final = (
    *(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class Drop(enum.StrEnum):
    """Why a request was not given to the model, or its answer to nobody."""

    REFUSED = "refused"
    """Too many waited already."""
    EXPIRED = "expired"
    """Its deadline passed."""
    CANCELLED = "cancelled"
    """Its client went away."""


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """What one of several server processes knows of the metrics that it shares with the others.

    Attributes:
        folder: where every process keeps its metrics.
        slot: a number that no other process has at the same time. A process that takes the slot of one that has died
            goes on counting where that one stopped, so that neither counts get lost nor files pile up.
    """

    folder: Path
    slot: int

    def keep(self) -> None:
        """Keep all metrics of this process in the folder from now on; for good, and before any is made."""
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.folder)
        slot = self.slot
        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # its documented switch

    def forget(self) -> None:
        """Drop what was true of the slot's process only while it lived; called when it has died."""
        multiprocess.mark_process_dead(self.slot, str(self.folder))  # type: ignore[no-untyped-call]  # its types are missing


class Metrics:
    """All metrics of one server, in a registry of its own.

    Args:
        share: given when several processes are this server. Metrics of a process (memory, garbage collection) are
            left out then: there would be one of each, and no telling whose.
    """

    def __init__(self, share: Share | None = None) -> None:
        self.registry = prometheus.CollectorRegistry()
        shared = self.shared = share is not None
        collectors: tuple[type[Collector], ...] = (prometheus.PlatformCollector,)
        if share is not None:
            share.keep()
        else:
            collectors = (prometheus.ProcessCollector, *collectors, prometheus.GCCollector)
        for collector in collectors:
            collector(registry=self.registry)  # type: ignore[call-arg]  # each takes it, their base does not say so
        self.preprocess, self.predict, self.explain, self.postprocess, self.queue, self.batch, self.calls = (
            Histograms(*views, shared=shared) for views in _VIEWS
        )
        self._histograms = (
            *(self.preprocess, self.predict, self.explain, self.postprocess),
            *(self.queue, self.batch, self.calls),
        )
        self.in_flight = Gauges("fairlead_requests_in_flight", "Requests taken and not answered", shared=shared)
        self.waiting = Gauges("fairlead_requests_waiting", "Requests that wait for the model", shared=shared)
        self.device_memory = Gauges(
            "fairlead_device_memory_bytes",
            "Memory of accelerators that the model's framework holds in the process",
            shared=shared,
        )
        self._gauges = (self.in_flight, self.waiting, self.device_memory)
        registry = None if shared else self.registry  # where processes share, a collector finds all in the folder
        label = ("model_name",)
        self.requests = prometheus.Counter(
            "fairlead_requests", "Answered requests", ("model_name", "protocol", "code"), registry=registry
        )
        self.drops = prometheus.Counter(
            "fairlead_dropped_requests",
            "Requests given up: refused by a full queue, expired, or cancelled by their clients",
            ("model_name", "reason"),
            registry=registry,
        )
        self.ready = prometheus.Gauge(
            "fairlead_model_ready", "1 while the model answers", label, registry=registry, multiprocess_mode="livemax"
        )
        self.dropped_spans = prometheus.Counter(
            "fairlead_dropped_spans", "Spans of traces that were not exported", ("reason",), registry=registry
        )
        self.dropped_lines = prometheus.Counter(
            "fairlead_dropped_log_lines", "Log lines that nobody read in time", registry=registry
        )
        self.loaded = prometheus.Gauge(
            "fairlead_models_loaded", "Models that answer", registry=registry, multiprocess_mode="livesum"
        )
        self.memory = prometheus.Gauge(
            "fairlead_models_memory_bytes",
            "Memory that is counted for models, loading ones included",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.loads = prometheus.Counter(
            "fairlead_model_loads",
            "Loads that ended, by cause (start, request, demand) and outcome (ok, failed)",
            ("cause", "outcome"),
            registry=registry,
        )
        self.fetched = prometheus.Counter(
            "fairlead_storage_fetched_bytes", "Bytes of models that came from their sources", registry=registry
        )
        self.expected = prometheus.Gauge(
            "fairlead_storage_expected_bytes",
            "Bytes that are still to come of models that are being fetched, where their sources tell",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.evictions = prometheus.Counter(
            "fairlead_model_evictions", "Models that were unloaded to make room for another", registry=registry
        )
        self._models: dict[str, ModelMetrics] = {}
        if share is not None:
            files = multiprocess.MultiProcessCollector(None, str(share.folder))  # type: ignore[no-untyped-call]  # as above
            self.registry.register(_Files(files, self._histograms))
        else:
            for own in (*self._histograms, *self._gauges):
                self.registry.register(own)

    def of(self, name: str) -> ModelMetrics:
        """The metrics of one known model, with their labels looked up once; the same until they are removed."""
        found = self._models.get(name)
        if found is None:
            found = self._models[name] = ModelMetrics(self, name)
        return found

    def remove(self, name: str) -> None:
        """Show a model no more, which is known no more.

        Where several processes share their metrics its counts stay, because others may still serve it.
        """
        found = self._models.pop(name, None)
        if found is not None:
            found.remove()

    def count_dropped_spans(self, reason: str, count: int) -> None:
        """Count spans that were not exported; `fairlead.tracing` knows the reasons."""
        self.dropped_spans.labels(reason).inc(count)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """The exposition, and its content type: OpenMetrics where the client accepts it.

        Args:
            accept: the Accept header; may be empty.
        """
        for gauges in self._gauges:
            gauges.publish()
        if "application/openmetrics-text" in accept:
            text = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]  # its types are missing
            return text, openmetrics.CONTENT_TYPE_LATEST
        return exposition.generate_latest(self.registry), exposition.CONTENT_TYPE_LATEST


_VIEWS: Final = (
    # KServe's names and buckets, so that existing dashboards go on working, and finer ones of the same observations.
    (
        View("request_preprocess_seconds", "Decoding a request", _KSERVE),
        View("fairlead_decode_seconds", "Decoding a request, in finer buckets", _FINE),
    ),
    (
        View("request_predict_seconds", "One call of the model", _KSERVE),
        View("fairlead_compute_seconds", "One call of the model, in finer buckets", _FINE),
    ),
    (View("request_explain_seconds", "One explanation", _KSERVE),),
    (
        View("request_postprocess_seconds", "Encoding an answer", _KSERVE),
        View("fairlead_encode_seconds", "Encoding an answer, in finer buckets", _FINE),
    ),
    (View("fairlead_queue_seconds", "Waiting for the model", _FINE),),
    (View("fairlead_batch_rows", "Rows in one call of the model", _COUNTS),),
    (View("fairlead_batch_requests", "Requests in one call of the model", _COUNTS),),
)


class _Files(Collector):
    """The metrics of all processes, from the files that they share."""

    def __init__(self, files: multiprocess.MultiProcessCollector, histograms: Sequence[Histograms]) -> None:
        self._files = files
        self._histograms = histograms

    def collect(self) -> Iterator[Metric]:
        return derived(self._files.collect(), self._histograms)  # type: ignore[no-untyped-call]  # its types are missing


class ModelMetrics:
    """The metrics of one model.

    Attributes:
        preprocess: takes the seconds of decoding a request.
        queue: takes the seconds that a request waited.
        predict: takes the seconds of one call of the model.
        batch: takes the rows of one call.
        calls: takes the requests of one call.
        explain: takes the seconds of one explanation.
        postprocess: takes the seconds of encoding an answer.
        ready: 1 while the model answers.
    """

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._counters: dict[tuple[str, int | str], prometheus.Counter] = {}
        self._drops: dict[Drop, prometheus.Counter] = {}
        self.preprocess: Final[Observer] = metrics.preprocess.of(name)
        self.predict: Final[Observer] = metrics.predict.of(name)
        self.explain: Final[Observer] = metrics.explain.of(name)
        self.postprocess: Final[Observer] = metrics.postprocess.of(name)
        self.queue: Final[Observer] = metrics.queue.of(name)
        self.batch: Final[Observer] = metrics.batch.of(name)
        self.calls: Final[Observer] = metrics.calls.of(name)
        self.ready: Final = metrics.ready.labels(name)

    def count(self, protocol: str, code: int | str) -> None:
        """Count one answered request.

        Args:
            protocol: ``v1``, ``v2`` or ``grpc``.
            code: the status code: HTTP's number, or gRPC's name.
        """
        counter = self._counters.get((protocol, code))
        if counter is None:
            counter = self._counters[protocol, code] = self._metrics.requests.labels(self._name, protocol, str(code))
        counter.inc()

    def drop(self, reason: Drop) -> None:
        """Count one request that was given up."""
        counter = self._drops.get(reason)
        if counter is None:
            counter = self._drops[reason] = self._metrics.drops.labels(self._name, reason.value)
        counter.inc()

    def watch(
        self,
        *,
        in_flight: Callable[[], int],
        waiting: Callable[[], int],
        device_memory: Callable[[], int] | None = None,
    ) -> Callable[[], None]:
        """Ask these when the metrics are read, until what is returned is called; a reload may watch beside it.

        Args:
            in_flight: how many requests have been taken and not been answered.
            waiting: how many of them wait for the model.
            device_memory: bytes that are held on accelerators; None for a model that uses none.
        """
        leaving = [
            self._metrics.in_flight.add(self._name, in_flight),
            self._metrics.waiting.add(self._name, waiting),
        ]
        if device_memory is not None:
            leaving.append(self._metrics.device_memory.add(self._name, device_memory))

        def leave() -> None:
            for each in leaving:
                each()

        return leave

    def remove(self) -> None:
        """Show them no more; called by `Metrics.remove`."""
        metrics = self._metrics
        for histograms in metrics._histograms:
            histograms.remove(self._name)
        for gauges in metrics._gauges:
            gauges.remove(self._name)
        self.ready.set(0)
        if metrics.shared:  # the client library cannot take anything out of a file
            return
        metrics.ready.remove(self._name)
        for counter in (metrics.requests, metrics.drops):
            counter.remove_by_labels({"model_name": self._name})
