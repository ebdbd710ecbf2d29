"""Measurements that wait for the next decision."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import Sample

__all__ = ["Intake"]

_KEPT: Final = 600
"""Measurements of one metric that are kept for a strategy that fails; older ones are dropped."""

_MOST_SECONDS: Final = 60
"""Seconds of one measurement that are handed on one by one; a longer one is handed on as it is."""


class Intake:
    """Measurements by metric, in the order of time."""

    def __init__(self) -> None:
        self._samples: dict[str, list[Sample]] = {}
        self._newest: dict[str, float] = {}

    def add(self, metric: str, sample: Sample) -> None:
        """Take in a measurement.

        One that is older than the one before, or is no finite number, is dropped. One that spans several seconds
        becomes one for each of them, because windows count by seconds.
        """
        if not math.isfinite(sample.value) or not self._newest.get(metric, -math.inf) <= sample.at < math.inf:
            return
        self._newest[metric] = sample.at
        self._samples.setdefault(metric, []).extend(_by_second(sample))

    def of(self, metrics: Iterable[str]) -> Mapping[str, Sequence[Sample]]:
        """What waits, with an entry for each of these metrics, and for each other that was ever measured."""
        return {name: tuple(self._samples.get(name, ())) for name in (*metrics, *self._samples)}

    def clear(self) -> None:
        """Drop what waits."""
        for samples in self._samples.values():
            samples.clear()

    def trim(self) -> None:
        """Keep what waits for another decision, and not more of it than may be kept for good."""
        for samples in self._samples.values():
            del samples[:-_KEPT]


def _by_second(sample: Sample) -> Iterable[Sample]:
    """One measurement for each second that it spans."""
    seconds = round(sample.span) if math.isfinite(sample.span) else 0
    if not 2 <= seconds <= _MOST_SECONDS:
        return (sample,)
    part = dataclasses.replace(sample, span=sample.span / seconds)
    return (dataclasses.replace(part, at=sample.at - back * part.span) for back in range(seconds - 1, -1, -1))
