"""Gauges that are asked when somebody looks: what is in flight and what waits costs a request nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import prometheus_client as prometheus
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Gauges"]

_LABEL: Final = "model_name"


class Gauges(Collector):
    """A number of every model, asked of whoever knows it.

    A model that is loaded anew has two who know for a while; their numbers are added.

    Args:
        name: the metric's name.
        meaning: what it counts.
        shared: whether several processes show their sums. A process cannot ask another, so each then publishes its
            own numbers every second.
    """

    PERIOD: Final = 1.0

    def __init__(self, name: str, meaning: str, *, shared: bool = False) -> None:
        self._name = name
        self._meaning = meaning
        self._sources: dict[str, list[Callable[[], int]]] = {}
        self._lock = threading.Lock()
        self._published: prometheus.Gauge | None = None
        if shared:
            self._published = prometheus.Gauge(name, meaning, (_LABEL,), registry=None, multiprocess_mode="livesum")

    def add(self, model: str, source: Callable[[], int]) -> Callable[[], None]:
        """Ask this source from now on, until what is returned is called."""
        with self._lock:
            first = not self._sources
            self._sources.setdefault(model, []).append(source)
        if first and self._published is not None:
            threading.Thread(target=self._publish_always, name="metrics", daemon=True).start()

        def leave() -> None:
            with self._lock:
                sources = self._sources.get(model, [])
                if source in sources:
                    sources.remove(source)

        return leave

    def remove(self, model: str) -> None:
        """Show a model no more."""
        with self._lock:
            if self._published is None:
                self._sources.pop(model, None)
            elif model in self._sources:
                self._sources[model] = []  # its line in the file stays, and says none

    def publish(self) -> None:
        """Tell the other processes this one's numbers, if there are others."""
        if self._published is not None:
            for model, number in self._read():
                self._published.labels(model).set(number)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The numbers of this process."""
        family = GaugeMetricFamily(self._name, self._meaning, labels=(_LABEL,))
        for model, number in self._read():
            family.add_metric((model,), number)
        yield family

    def _read(self) -> list[tuple[str, int]]:
        with self._lock:
            sources = [(model, tuple(each)) for model, each in self._sources.items()]
        return [(model, sum(source() for source in each)) for model, each in sources]

    def _publish_always(self) -> None:
        pause = threading.Event()
        while not pause.wait(self.PERIOD):
            self.publish()
