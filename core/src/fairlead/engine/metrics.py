"""Prometheus metrics: KServe's names for the steps of a request, and ours for the queue and the batches.

The only label that a client could choose is the model's name, and only names of known models become values.

Several server processes that share a port share their metrics too, as files in one folder: each shows the sums over
all, so that it does not matter which of them a scrape reaches.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final

import prometheus_client as prometheus
from prometheus_client import exposition, multiprocess, values
from prometheus_client.openmetrics import exposition as openmetrics

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client.registry import Collector

__all__ = ["Metrics", "ModelMetrics", "Share"]

_BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_FINE_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


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
        collectors: tuple[type[Collector], ...] = (prometheus.PlatformCollector,)
        registry: prometheus.CollectorRegistry | None
        if share is None:
            collectors = (prometheus.ProcessCollector, *collectors, prometheus.GCCollector)
            registry = self.registry
        else:
            share.keep()
            multiprocess.MultiProcessCollector(self.registry, str(share.folder))  # type: ignore[no-untyped-call]  # as above
            registry = None  # the collector finds them in the folder
        for collector in collectors:
            collector(registry=self.registry)  # type: ignore[call-arg]  # each takes it, their base does not say so
        label = ("model_name",)
        make = prometheus.Histogram
        # KServe's names and default buckets, so that existing dashboards go on working.
        self.preprocess = make("request_preprocess_seconds", "Decoding a request", label, registry=registry)
        self.predict = make("request_predict_seconds", "One call of the model", label, registry=registry)
        self.explain = make("request_explain_seconds", "One explanation", label, registry=registry)
        self.postprocess = make("request_postprocess_seconds", "Encoding an answer", label, registry=registry)
        self.queue = make(
            "fairlead_queue_seconds", "Waiting for the model", label, buckets=_FINE_BUCKETS, registry=registry
        )
        self.batch = make(
            "fairlead_batch_rows", "Rows in one call of the model", label, buckets=_BATCH_BUCKETS, registry=registry
        )
        self.requests = prometheus.Counter(
            "fairlead_requests", "Answered requests", ("model_name", "protocol", "code"), registry=registry
        )
        self.ready = prometheus.Gauge(
            "fairlead_model_ready", "1 while the model answers", label, registry=registry, multiprocess_mode="livemax"
        )

    def of(self, name: str) -> ModelMetrics:
        """The metrics of one known model, with their labels looked up once."""
        return ModelMetrics(self, name)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """The exposition, and its content type: OpenMetrics where the client accepts it.

        Args:
            accept: the Accept header; may be empty.
        """
        if "application/openmetrics-text" in accept:
            text = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]  # its types are missing
            return text, openmetrics.CONTENT_TYPE_LATEST
        return exposition.generate_latest(self.registry), exposition.CONTENT_TYPE_LATEST


class ModelMetrics:
    """The metrics of one model."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._counters: dict[tuple[str, int], prometheus.Counter] = {}
        self.preprocess = metrics.preprocess.labels(name)
        self.predict = metrics.predict.labels(name)
        self.explain = metrics.explain.labels(name)
        self.postprocess = metrics.postprocess.labels(name)
        self.queue = metrics.queue.labels(name)
        self.batch = metrics.batch.labels(name)
        self.ready = metrics.ready.labels(name)

    def count(self, protocol: str, code: int) -> None:
        """Count one answered request.

        Args:
            protocol: ``v1`` or ``v2``.
            code: the status code.
        """
        counter = self._counters.get((protocol, code))
        if counter is None:
            counter = self._counters[protocol, code] = self._metrics.requests.labels(self._name, protocol, str(code))
        counter.inc()
