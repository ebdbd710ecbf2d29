"""What is measured of a simulated component, as a strategy gets it."""

from __future__ import annotations

from fairlead.contracts.autoscaler import Sample

__all__ = ["Collector"]


class Collector:
    """Measures the component: requests in it, on average over each second, and requests that came in it."""

    def __init__(self) -> None:
        self._present = self._came = 0
        self._area = self._since = self._began = 0.0
        self._concurrency: list[Sample] = []
        self._rps: list[Sample] = []

    @property
    def present(self) -> int:
        """Requests that wait or are computed on."""
        return self._present

    def came(self, at: float) -> None:
        """A request came, and was not refused."""
        self._move(at)
        self._present += 1
        self._came += 1

    def went(self, at: float) -> None:
        """A request was answered."""
        self._move(at)
        self._present -= 1

    def glance(self, at: float) -> None:
        """Measure how many there are at this moment."""
        self._concurrency.append(Sample(at, float(self._present)))

    def sample(self, at: float) -> float:
        """End a span of time; returns its rate."""
        self._move(at)
        span = at - self._began
        rate = self._came / span
        self._concurrency.append(Sample(at, self._area / span, span))
        self._rps.append(Sample(at, rate, span))
        self._area, self._came, self._began = 0.0, 0, at
        return rate

    def take(self) -> dict[str, list[Sample]]:
        """What was measured since the last call."""
        samples = {"concurrency": self._concurrency, "rps": self._rps}
        self._concurrency, self._rps = [], []
        return samples

    def _move(self, at: float) -> None:
        self._area += self._present * (at - self._since)
        self._since = at
