"""How long a simulated pod computes on a request."""

from __future__ import annotations

import dataclasses
import enum
import math
import random
from collections.abc import Iterator

from fairlead import errors

__all__ = ["ServiceTimes", "Spread"]


class Spread(enum.StrEnum):
    """How service times differ from their mean."""

    CONSTANT = "constant"
    """All are the mean."""
    EXPONENTIAL = "exponential"
    """Many are short; their standard deviation is the mean."""
    LOGNORMAL = "lognormal"
    """A heavy tail: sigma is 1, so that one in a hundred takes six times the mean."""


_SIGMA = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceTimes:
    """A distribution of service times.

    Attributes:
        mean: seconds.
        spread: how they differ from it.

    Raises:
        ConfigurationError: the mean is no positive number of seconds.
    """

    mean: float
    spread: Spread = Spread.CONSTANT

    def __post_init__(self) -> None:
        if not 0 < self.mean < math.inf:
            raise errors.ConfigurationError(f"A service time of {self.mean:g} s is not possible: it is above 0.")

    def drawn(self, seed: int) -> Iterator[float]:
        """Service times without end; the same for the same seed."""
        # A stream of its own: arrivals that are drawn with the same seed do not move when the spread changes.
        source = random.Random(f"service {seed}")  # noqa: S311  # a simulation, no secret
        if self.spread is Spread.CONSTANT:
            while True:
                yield self.mean
        if self.spread is Spread.EXPONENTIAL:
            while True:
                yield source.expovariate(1 / self.mean)
        centre = math.log(self.mean) - _SIGMA**2 / 2
        while True:
            yield source.lognormvariate(centre, _SIGMA)
