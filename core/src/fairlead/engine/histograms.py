"""Histograms by model that cost the data path little: one observation, shown under one name or several.

A client library's histogram takes a lock for the sum and another for the bucket, and looks at each bound in turn.
Here it is one search and one lock, a third of the time. KServe's buckets begin at 5 ms, where a fast model has
answered long ago; so the same observation is shown with KServe's name and buckets, for dashboards that exist, and with
finer ones beside it.
"""

from __future__ import annotations

import bisect
import dataclasses
import threading
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Histograms", "Observer", "View", "derived"]

_LABEL: Final = "model_name"


class Observer(Protocol):
    """What takes observations: seconds, rows, requests."""

    def observe(self, value: float) -> None:
        """Take one observation."""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """One name that observations are shown under.

    Attributes:
        name: the metric's name.
        help: what it means.
        bounds: the upper bounds of its buckets, ascending, without infinity.
    """

    name: str
    help: str
    bounds: tuple[float, ...]


class Histograms(Collector):
    """The histograms of one thing, by model.

    Args:
        views: the names to show it under.
        shared: whether several processes show their sums; the observations are then kept in the files of
            `prometheus_client.multiprocess`, under the first view's name, and `derived` makes the views of them.
    """

    def __init__(self, *views: View, shared: bool = False) -> None:
        self.views: Final = views
        self._shared = shared
        self._bounds = tuple(sorted({bound for view in views for bound in view.bounds}))
        self._series: dict[str, _Local | _Shared] = {}
        self._lock = threading.Lock()

    def of(self, model: str) -> Observer:
        """The histogram of one model; the same one as long as it is not removed."""
        with self._lock:
            found = self._series.get(model)
            if found is None:
                found = _Shared(self.views[0], self._bounds, model) if self._shared else _Local(self._bounds)
                self._series[model] = found
            return found

    def remove(self, model: str) -> None:
        """Show a model no more; what processes share stays, because the others may still serve it."""
        if not self._shared:
            with self._lock:
                self._series.pop(model, None)

    def collect(self) -> Iterator[Metric]:
        """What this process has observed."""
        with self._lock:
            series = [(model, found) for model, found in self._series.items() if isinstance(found, _Local)]
        metric = Metric(self.views[0].name, self.views[0].help, "histogram")
        for model, found in series:
            counts, total = found.read()
            reached = 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                reached += count
                metric.add_sample(f"{metric.name}_bucket", {_LABEL: model, "le": _shown(bound)}, reached)
            metric.add_sample(f"{metric.name}_count", {_LABEL: model}, reached)
            metric.add_sample(f"{metric.name}_sum", {_LABEL: model}, total)
        yield from _viewed(metric, self.views)


def derived(metrics: Iterable[Metric], histograms: Sequence[Histograms]) -> Iterator[Metric]:
    """Metrics as several processes keep them, with the histograms among them in all their views."""
    views: Mapping[str, Sequence[View]] = {each.views[0].name: each.views for each in histograms}
    for metric in metrics:
        if metric.name in views:
            yield from _viewed(metric, views[metric.name])
        else:
            yield metric


def _viewed(metric: Metric, views: Iterable[View]) -> Iterator[Metric]:
    for view in views:
        shown = Metric(view.name, view.help, "histogram")
        bounds = {_shown(bound) for bound in (*view.bounds, float("inf"))}
        for sample in metric.samples:
            if sample.labels.get("le") in (None, *bounds):
                suffix = sample.name.removeprefix(metric.name)
                shown.add_sample(view.name + suffix, sample.labels, sample.value)
        yield shown


def _shown(bound: float) -> str:
    text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]  # its types are missing
    return text


class _Local:
    """The histogram of a model in this process alone."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Take one observation."""
        index = bisect.bisect_left(self._bounds, value)
        with self._lock:
            self._counts[index] += 1
            self._sum += value

    def read(self) -> tuple[list[int], float]:
        """The observations in each bucket, the last one unbounded, and the sum of all."""
        with self._lock:
            return self._counts[:], self._sum


class _Shared:
    """The histogram of a model in the files that several processes share."""

    def __init__(self, view: View, bounds: tuple[float, ...], model: str) -> None:
        make = values.ValueClass
        self._bounds = bounds
        self._buckets = [
            make(
                "histogram",
                view.name,
                f"{view.name}_bucket",
                (_LABEL, "le"),
                (model, _shown(bound)),
                view.help,
            )
            for bound in (*bounds, float("inf"))
        ]
        self._sum = make("histogram", view.name, f"{view.name}_sum", (_LABEL,), (model,), view.help)

    def observe(self, value: float) -> None:
        """Take one observation."""
        self._buckets[bisect.bisect_left(self._bounds, value)].inc(1)
        self._sum.inc(value)
