"""From what pods say one by one to measurements of their component: ``concurrency`` and ``rps``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from fairlead.autoscaling.sampling import Rates

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import Sample
    from fairlead_operator.scaling.exposition import Counts

__all__ = ["Tally"]

_TRUSTED: Final = 60.0
"""Seconds in which a pod that cannot be asked counts as what it said last, if that is more than the others say."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Said:
    """What a pod said last."""

    at: float
    in_flight: float | None
    answered: float | None
    rate: float | None = None


class Tally:
    """Adds up the pods of one component.

    A pod that is ready and cannot be asked is no reason to scale down: it counts as the mean of the others, or for a
    minute as what it said last if that is more. Where no pod says anything, nothing is measured. Counters that begin
    anew, and pods that come and go, make no request that there was not.
    """

    def __init__(self) -> None:
        self._pods: dict[str, _Said] = {}
        self._rates = Rates()
        self._total = 0.0
        self._at = -math.inf

    def update(self, at: float, pods: Mapping[str, Counts | None]) -> Mapping[str, Sample]:
        """Take in what pods say.

        Args:
            at: when they were asked.
            pods: what each says that is ready, by its uid; None for one that could not be asked.

        Returns:
            Measurements up to the end of a second, where one has ended.
        """
        self._pods = {uid: each for uid, each in self._pods.items() if uid in pods}
        for uid, said in pods.items():
            if said is not None:
                self._pods[uid] = _next(self._pods.get(uid), at, said)
        asked = [uid for uid, said in pods.items() if said is not None]
        missing = [self._pods.get(uid) for uid, said in pods.items() if said is None]
        in_flight = _sum(at, [self._pods[uid] for uid in asked], missing, lambda said: said.in_flight)
        rate = _sum(at, [self._pods[uid] for uid in asked], missing, lambda said: said.rate)
        if in_flight is None and rate is None:
            return {}
        if rate is not None and self._at < at:
            self._total += rate * min(at - self._at, _TRUSTED)
        self._at = at
        found = self._rates.update(at, math.ceil(in_flight or 0.0), math.floor(self._total), 0, 0)
        known = {"concurrency": in_flight, "rps": rate}
        return {metric: sample for metric, sample in found.items() if known[metric] is not None}


def _next(before: _Said | None, at: float, said: Counts) -> _Said:
    rate = None
    if before is not None and before.answered is not None and said.answered is not None and at > before.at:
        begun_anew = said.answered < before.answered
        rate = (said.answered if begun_anew else said.answered - before.answered) / (at - before.at)
    return _Said(at, said.in_flight, said.answered, rate)


def _sum(
    at: float, asked: Iterable[_Said], missing: Iterable[_Said | None], value: Callable[[_Said], float | None]
) -> float | None:
    """The sum over all pods; None where none says it."""
    asked = list(asked)
    said = [found for each in asked if (found := value(each)) is not None]
    if not said:
        return None
    mean = sum(said) / len(said)
    silent = mean * (len(asked) - len(said))
    return sum(said) + silent + sum(_guess(at, each, mean, value) for each in missing)


def _guess(at: float, last: _Said | None, mean: float, value: Callable[[_Said], float | None]) -> float:
    if last is None or at - last.at > _TRUSTED:
        return mean
    return max(mean, value(last) or 0.0)
