"""Averages of a metric over the last seconds, as Knative's autoscaler takes them.

Measurements fall into buckets of one second, which are cut at whole seconds of Unix time. Those of one second add up: a
bucket holds what several sources reported for it. The arithmetic is that of ``pkg/autoscaler/aggregation`` of
knative/serving, in its order of operations, so that its averages come out to the last bit.

::

    buckets = Buckets(window=60.0)
    buckets = buckets.recorded(samples)
    buckets.average(now)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import Sample

__all__ = ["Buckets"]

_DIGITS: Final = 1e6
_COVERED: Final = 0.9999
_LEAST_SMOOTHING: Final = 0.2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """The measurements of a window, by second; an immutable value, so that a strategy may have it in its memory.

    Attributes:
        window: how far it reaches back, in seconds; more than 0.
        values: the sums of the seconds: that of second ``s`` is at ``s`` modulo their number.
        total: the sum of `values`, kept while measurements come and go. It differs from a fresh sum by what rounding
            has lost on the way.
        first: the first second that counts for the average; None for one that lies further back than the window.
        last: the last second that was written to; None when there was none.
    """

    window: float
    values: tuple[float, ...] = ()
    total: float = 0.0
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.window < math.inf:
            raise ValueError(f"window is {self.window!r}, and not a number of seconds above 0")
        if not self.values:
            object.__setattr__(self, "values", (0.0,) * math.ceil(self.window))
        elif len(self.values) != math.ceil(self.window):
            raise ValueError(f"there are {len(self.values)} values for a window of {self.window!r} s")

    def recorded(self, samples: Iterable[Sample]) -> Buckets:
        """The buckets with these samples in them, in the order in which they came.

        A sample that is late falls into the second that it describes, as long as the window reaches there.

        Raises:
            ValueError: a value is not a finite number; it would stay in the total for good.
        """
        values = list(self.values)
        total, first, last = self.total, self.first, self.last
        for sample in samples:
            if not math.isfinite(sample.value):
                raise ValueError(f"the value at {sample.at!r} is {sample.value!r}, and not a finite number")
            second = math.floor(sample.at)
            if last is not None and second != last:
                if second + self.window <= last:
                    continue
                if second - last >= self.window:
                    last = None
            if last is None:
                values = [0.0] * len(values)
                total, first, last = 0.0, second, second
            elif second != last:
                first = second if first is None else min(first, second)
                for index in self._indexes(last + 1, second):
                    total -= values[index]
                    values[index] = 0.0
                last = max(last, second)
            values[second % len(values)] += sample.value
            total += sample.value
        return dataclasses.replace(self, values=tuple(values), total=total, first=first, last=last)

    def resized(self, window: float, now: float) -> Buckets:
        """The buckets for another window, with what they hold of it.

        What was written a window ago or longer is forgotten. The seconds between the old and the new length of a window
        that grows count as silent ones.
        """
        if window == self.window:
            return self
        empty = Buckets(window=window, last=self.last)
        if self.last is None or math.floor(now) - self.last > self.window:
            return empty
        values, total = list(empty.values), 0.0
        for second in range(self.last, self.last - min(len(values), len(self.values)), -1):
            values[second % len(values)] = self.values[second % len(self.values)]
            total += values[second % len(values)]
        first = self.last - (len(self.values) - 1)
        return Buckets(window=window, values=tuple(values), total=total, first=first, last=self.last)

    def silent(self, now: float) -> bool:
        """Whether nothing was measured for longer than the window."""
        return self.last is None or math.floor(now) - self.last > self.window

    def average(self, now: float) -> float:
        """The sum of the window, divided by the seconds that were measured, rounded to six digits.

        Seconds before the first measurement and after the last one do not count; those between count as they are. It
        is 0 when the window holds nothing.
        """
        if self.last is None:
            return 0.0
        size, silent = len(self.values), max(0, math.floor(now) - self.last)
        if silent >= self.window:
            return 0.0
        total = self.total
        for index in self._indexes(self.last + 1, self.last + silent):
            total -= self.values[index]
        seconds = size - silent
        if self.first is not None:
            seconds = min(self.last - self.first + 1, seconds)
        return _rounded(total / seconds)

    def weighted_average(self, now: float) -> float:
        """The seconds of the window, the later the heavier; silent ones count as 0.

        The weight of a second is ``c * (1 - c) ** age``, where ``c`` is so large that the window holds 99.99 % of all
        weights, and 0.2 at least. It is 0 when nothing was measured for longer than the window.
        """
        if self.last is None or self.silent(now):
            return 0.0
        size, silent = len(self.values), max(0, math.floor(now) - self.last)
        smoothing = max(_LEAST_SMOOTHING, 1 - (1 - _COVERED) ** (1 / size))
        weight = smoothing * (1 - smoothing) ** silent
        result = 0.0
        for second in range(self.last, self.last - (size - silent), -1):
            result += self.values[second % size] * weight
            weight *= 1 - smoothing
        return result

    def _indexes(self, start: int, end: int) -> Iterator[int]:
        return (second % len(self.values) for second in range(start, end + 1))


def _rounded(value: float) -> float:
    """To six digits, halves away from zero."""
    fraction, whole = math.modf(value * _DIGITS)
    if abs(fraction) >= 0.5:
        whole += math.copysign(1.0, fraction)
    return whole / _DIGITS
