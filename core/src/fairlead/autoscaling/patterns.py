"""Patterns: traces that are made in place of recorded, each after one kind of load."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from fairlead import errors
from fairlead.autoscaling.traces import MAX_REQUESTS, Trace

if TYPE_CHECKING:
    from fairlead.autoscaling.servicetimes import ServiceTimes

__all__ = ["PATTERNS", "Pattern", "generate"]

Corner: TypeAlias = "tuple[float, float]"
"""A share of the duration, and the share of the rate there; between corners the rate is a straight line."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of load.

    Attributes:
        help: one sentence of what it looks like.
        corners: its rate over time.
        random: whether requests arrive at random; otherwise they are spaced as evenly as the rate allows.
    """

    help: str
    corners: Sequence[Corner]
    random: bool = False


def _day(quarters: int = 96) -> list[Corner]:
    """A night at each end and noon in the middle, with a corner for each quarter of an hour."""
    shares = [number / quarters for number in range(quarters + 1)]
    return [(share, (1 - math.cos(2 * math.pi * share)) / 2) for share in shares]


PATTERNS: Mapping[str, Pattern] = MappingProxyType(
    {
        "step": Pattern(
            "a tenth of the rate, then the rate for the middle half, then a tenth again",
            [(0.0, 0.1), (0.25, 0.1), (0.25, 1.0), (0.75, 1.0), (0.75, 0.1), (1.0, 0.1)],
        ),
        "ramp": Pattern("a straight line from nothing up to the rate, and back", [(0.0, 0.0), (0.5, 1.0), (1.0, 0.0)]),
        "spike": Pattern(
            "a tenth of the rate, the rate for a twentieth of the time, nothing for a third, a tenth again",
            [(0.0, 0.1), (0.3, 0.1), (0.3, 1.0), (0.35, 1.0), (0.35, 0.0), (0.7, 0.0), (0.7, 0.1), (1.0, 0.1)],
        ),
        "diurnal": Pattern("one day: nothing at both ends, the rate in the middle", _day()),
        "poisson": Pattern("the rate throughout, at random", [(0.0, 1.0), (1.0, 1.0)], random=True),
    }
)
"""Every pattern by its name."""


def generate(name: str, *, rate: float, duration: float, service: ServiceTimes, seed: int = 0) -> Trace:
    """Make a trace after a pattern.

    Args:
        name: one of `PATTERNS`.
        rate: requests a second where the pattern is highest.
        duration: seconds.
        service: where service times come from.
        seed: the same seed makes the same trace.

    Raises:
        ConfigurationError: there is no such pattern, or a number is out of its range.
    """
    try:
        pattern = PATTERNS[name]
    except KeyError:
        near = difflib.get_close_matches(name, PATTERNS, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"The patterns are {', '.join(PATTERNS)}."
        raise errors.ConfigurationError(f"There is no pattern {name!r}.", remedy=hint) from None
    _check(rate, duration)
    corners = [(share * duration, height * rate) for share, height in pattern.corners]
    steps = _gaps(random.Random(f"arrivals {seed}")) if pattern.random else _even()  # noqa: S311  # no secret
    arrivals = [min(at, duration) for at in _arrivals(corners, steps)]
    service_times = list(itertools.islice(service.drawn(seed), len(arrivals)))
    return Trace(name=f"{name}, {rate:g}/s", arrivals=arrivals, service_times=service_times, duration=duration)


def _check(rate: float, duration: float) -> None:
    if not 0 < rate < math.inf:
        raise errors.ConfigurationError(f"A rate of {rate:g} requests a second is not possible: it is above 0.")
    if not 0 < duration < math.inf:
        raise errors.ConfigurationError(f"A duration of {duration:g} s is not possible: it is above 0.")
    if rate * duration > MAX_REQUESTS:
        raise errors.ConfigurationError(
            f"{rate:g} requests a second for {duration:g} s are more than {MAX_REQUESTS}.",
            remedy="Lower the rate or the duration.",
        )


def _even() -> Iterator[float]:
    """Distances of one request; half of one before the first, so that a second at a rate of 10 holds 10."""
    yield 0.5
    yield from itertools.repeat(1.0)


def _gaps(source: random.Random) -> Iterator[float]:
    while True:
        yield source.expovariate(1.0)


def _arrivals(corners: Sequence[Corner], steps: Iterator[float]) -> Iterator[float]:
    """The times at which the requests so far, which are the area below the corners, reach the sums of the steps."""
    wanted = next(steps)
    before = 0.0
    for (start, low), (end, high) in itertools.pairwise(corners):
        area = (low + high) / 2 * (end - start)
        into = _crossing(low, (high - low) / (end - start) if end > start else 0.0)
        while wanted <= before + area and area > 0:
            yield min(start + into(wanted - before), end)
            wanted += next(steps)
        before += area


def _crossing(low: float, slope: float) -> Callable[[float], float]:
    """How far into a straight piece the area below it is what is asked: the root of low*x + slope/2*x**2 = area."""

    def into(area: float) -> float:
        if area <= 0:
            return 0.0
        root = math.sqrt(max(0.0, low * low + 2 * slope * area))
        return 2 * area / (low + root)

    return into
