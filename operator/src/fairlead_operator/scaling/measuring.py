"""What is measured of one component: its pods are asked for their metrics, and the cluster for what they use."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead_operator.scaling import exposition, pods
from fairlead_operator.scaling.exposition import Counts
from fairlead_operator.scaling.tally import Tally

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import Sample
    from fairlead_operator.desired.model import Manifest
    from fairlead_operator.scaling.reach import Reach, Subject

__all__ = ["Measuring"]

_PATIENCE: Final = 30.0
"""Seconds without a measurement of pods that are ready, after which something is wrong."""

_METRICS: Final = ("concurrency", "rps")

_USAGE_PAUSE: Final = 10.0
"""Seconds between two questions for what pods use: the cluster measures it no more often than that."""

_NOTHING: Final[Mapping[str, Sample]] = MappingProxyType({})


class Measuring:
    """Measures one component.

    Args:
        reach: the cluster.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._tally = Tally()
        self._usage: dict[str, tuple[str, Mapping[str, Sample]]] = {}
        self._usage_asked = -math.inf
        self._usage_fault = ""
        self._fault = ""
        self._ready_since: float | None = None
        self._told_at: dict[str, float] = {}
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Requests that the pods had when they were last asked."""
        return self._in_flight

    async def requests(self, now: float, found: Sequence[Manifest]) -> Mapping[str, Sample]:
        """Ask the pods that are ready for their requests; returns measurements where a second has ended.

        Args:
            now: the time.
            found: the pods of the component.
        """
        ready = [each for each in found if pods.is_ready(each)]
        counts = await asyncio.gather(*(self._ask(each) for each in ready))
        self._remember(now, counts)
        known = (None if each == Counts() else each for each in counts)
        uids = (str(each["metadata"].get("uid") or each["metadata"]["name"]) for each in ready)
        return self._tally.update(now, dict(zip(uids, known, strict=True)))

    async def usage(self, now: float, subject: Subject) -> None:
        """Ask the cluster what the pods use, not more often than it measures."""
        if 0 <= now - self._usage_asked < _USAGE_PAUSE:
            return
        self._usage_asked = now
        try:
            measured = await self._reach.podmetrics(subject)
        except errors.ClusterError as error:
            self._usage_fault = f"The API server does not tell what the pods use: {error}"
            return
        if measured is None:
            self._usage_fault = "The cluster does not measure cpu and memory (metrics.k8s.io). Install metrics-server."
            return
        self._usage_fault = ""
        before, self._usage = self._usage, {}
        for each in measured:
            name, moment = each["metadata"]["name"], str(each.get("timestamp"))
            same = name in before and before[name][0] == moment
            self._usage[name] = before[name] if same else (moment, pods.usage(each, now))

    def of(self, pod: Manifest) -> Mapping[str, Sample]:
        """What a pod uses, as it was measured last."""
        return self._usage.get(pod["metadata"]["name"], ("", _NOTHING))[1]

    def fault(self, now: float, wanted: frozenset[str]) -> str:
        """Why nothing is measured that is wanted, in sentences; empty where it is.

        Args:
            now: the time.
            wanted: the metrics by which the component is scaled.
        """
        if self._usage_fault and wanted & {*pods.RESOURCES}:
            return self._usage_fault
        since = self._ready_since
        if since is None:
            return ""
        late = [each for each in wanted & {*_METRICS} if now - max(since, self._told_at.get(each, since)) >= _PATIENCE]
        return self._fault if late else ""

    def _remember(self, now: float, counts: Sequence[Counts | None]) -> None:
        """Note what was told of at all, of pods that are ready."""
        if not counts:
            self._ready_since = None
        elif self._ready_since is None:
            self._ready_since = now
        said = [each for each in counts if each is not None]
        self._in_flight = math.ceil(sum(each.in_flight or 0.0 for each in said))
        if any(each.in_flight is not None for each in said):
            self._told_at["concurrency"] = now
        if any(each.answered is not None for each in said):
            self._told_at["rps"] = now

    async def _ask(self, pod: Manifest) -> Counts | None:
        """What a pod says of its requests; None where it cannot be asked."""
        url = ""
        try:
            url = pods.address(pod) or ""
            if not url:
                return None
            found = exposition.read(await self._reach.scrape(url))
        except errors.ConfigurationError as error:
            self._fault = str(error)
            return None
        except (OSError, ValueError) as error:
            self._fault = (
                f"No pod tells of its requests, and {url} answers: {error}. Check that the operator may reach it (a"
                " NetworkPolicy), and the annotations prometheus.kserve.io/port and path."
            )
            return None
        missing = [name for name, each in zip(_METRICS, (found.in_flight, found.answered), strict=True) if each is None]
        if missing:
            self._fault = (
                f"{url} has no metric for {' and '.join(missing)} that is known here. Serve the model with Fairlead or"
                " vLLM, or scale by hpa or keda."
            )
        return found
