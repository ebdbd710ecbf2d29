"""What this machine has, and how many replicas that is enough for."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from fairlead.contracts.quantities import in_bytes, quantity

__all__ = ["Allowed", "Claim", "Machine", "quantity"]

_EXACT = 1e-9
"""Amounts such as 0.1 are not exact in binary: 10 times 0.1 cores fit in one."""
_MOST: Final = 110
"""Replicas of one claim, also where it requests nothing; as many Pods as a node of Kubernetes takes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one component, or one revision of it, asks for.

    Attributes:
        name: its name.
        desired: how many replicas there are to be.
        requests: what one of them requests: ``cpu`` in cores, ``memory`` in bytes; others are not looked at.
        minimum: so many of them come before what other claims ask for beyond theirs.
    """

    name: str
    desired: int
    requests: Mapping[str, float] = dataclasses.field(default_factory=dict)
    minimum: int = 1

    def request(self, resource: str) -> float:
        """What one replica requests of a resource; 0 for nothing."""
        return max(0.0, self.requests.get(resource, 0.0))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """How much of a claim there is room for.

    Attributes:
        name: the name of the claim.
        replicas: how many.
        reason: why not as many as were asked for: a sentence; empty where there is room for all.
    """

    name: str
    replicas: int
    reason: str = ""


class Machine:
    """What there is for replicas.

    Args:
        cores: cores that may be used; by default, as many as the scheduler and the control groups allow this process.
        memory: bytes of memory that may be used; by default, as many as there are and the control groups allow.
        root: the folder with ``proc`` and ``sys`` in it, where both are read.

    Attributes:
        cores: as above; a part of one is possible.
        memory: as above.
    """

    def __init__(self, cores: float | None = None, memory: int | None = None, *, root: Path = Path("/")) -> None:
        self._root = root
        self.cores = _cores(root) if cores is None else cores
        self.memory = _memory(root) if memory is None else memory

    @property
    def available(self) -> int:
        """Bytes of memory that are free now, or could be freed."""
        free = min(self.memory, _meminfo(self._root).get("MemAvailable", self.memory))
        for folder in _groups(self._root, "memory"):
            if (limit := _limit(folder)) < math.inf:
                free = min(free, max(0, int(limit - _used(folder))))
        return free

    def allowance(self, wanted: Sequence[Claim]) -> list[Allowed]:
        """Divide the machine; the same claims are always answered the same.

        Every claim for replicas gets one of them. Further ones are given in rounds, in each round one to each claim in
        the order of their names, as long as the cpu requests of the claim are within the machine's cores, and the
        memory requests of all claims within its memory; first until all have their minimum, then all that they ask
        for. Cores are shared, so that those of different claims are not added up; memory is not.

        Returns:
            One for each claim, in their order.
        """
        most = [self._within_cores(claim) for claim in wanted]
        granted = [min(1, each) for each in most]
        granted = self._rounds(wanted, granted, [min(*each) for each in zip(most, map(_minimum, wanted), strict=True)])
        granted = self._rounds(wanted, granted, most)
        asked = sum(claim.request("memory") * count for claim, count in zip(wanted, granted, strict=True))
        return [
            Allowed(name=claim.name, replicas=count, reason=self._reason(claim, count, asked))
            for claim, count in zip(wanted, granted, strict=True)
        ]

    def _rounds(self, wanted: Sequence[Claim], granted: Sequence[int], most: Sequence[int]) -> list[int]:
        """Give what there is room for, until each claim has its most."""
        result, sizes = [*granted], [claim.request("memory") for claim in wanted]
        room = self.memory - sum(size * count for size, count in zip(sizes, result, strict=True))
        order = sorted(range(len(wanted)), key=lambda index: (wanted[index].name, index))
        active = [index for index in order if result[index] < most[index]]
        while active:
            # As many rounds as are complete at once, and then one in which somebody gets nothing any more.
            complete = min(most[index] - result[index] for index in active)
            if (size := sum(sizes[index] for index in active)) > 0:
                complete = min(complete, math.floor(max(0.0, room / size) + _EXACT))
            for index in active:
                result[index] += complete
            room -= complete * size
            active, before = [], active
            for index in before:
                if result[index] < most[index] and sizes[index] <= max(0.0, room):
                    result[index] += 1
                    room -= sizes[index]
                    active.append(index)
        return result

    def _within_cores(self, claim: Claim) -> int:
        """The most replicas of a claim that its cores allow, not fewer than one, and as many as any machine takes."""
        request, wanted = claim.request("cpu"), min(max(0, claim.desired), _MOST)
        if request <= 0:
            return wanted
        return min(wanted, max(1, math.floor(self.cores / request + _EXACT)))

    def _reason(self, claim: Claim, granted: int, asked: float) -> str:
        if granted >= claim.desired:
            return ""
        if granted == _MOST:
            return f"{granted} of {claim.desired} replicas: no more of one revision run on one machine."
        head = f"{granted} of {claim.desired} replicas: {claim.desired} would request"
        if granted >= self._within_cores(claim):
            cores = claim.desired * claim.request("cpu")
            return f"{head} {cores:g} {'core' if cores == 1 else 'cores'}, and this machine has {self.cores:g}."
        memory = claim.request("memory")
        others = asked - granted * memory
        beside = f", others request {in_bytes(others)}," if others > 0 else ","
        return (
            f"{head} {in_bytes(claim.desired * memory)} of memory{beside} and this machine has {in_bytes(self.memory)}."
        )


def _minimum(claim: Claim) -> int:
    return max(0, min(claim.desired, claim.minimum))


# -- what the system says ---------------------------------------------------------------------------------


def _cores(root: Path) -> float:
    """Cores that the scheduler and the control groups allow."""
    return min([float(len(os.sched_getaffinity(0))), *map(_quota, _groups(root, "cpu"))])


def _memory(root: Path) -> int:
    """Bytes of memory that there are, and that the control groups allow."""
    limits = [limit for folder in _groups(root, "memory") if (limit := _limit(folder)) < math.inf]
    total = _meminfo(root).get("MemTotal")
    return int(min([*limits, *([] if total is None else [total])], default=0))


def _limit(folder: Path) -> float:
    """Bytes that a control group allows; infinite for no limit."""
    return min(_number(folder / "memory.max"), _number(folder / "memory.limit_in_bytes"))


def _meminfo(root: Path) -> dict[str, int]:
    """``/proc/meminfo``, in bytes."""
    found = {}
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, amount = line.partition(":")
        number, *_ = [*amount.split(), ""]
        if number.isdigit():
            found[name] = int(number) * 1024
    return found


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the control groups that this process is in, from its own up; version 2 and version 1."""
    base = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            tops = [base, base / "unified"]
        elif controller in controllers.split(","):
            tops = [base / controllers, base / controller]
        else:
            continue
        for top in tops:
            folder = top / path.lstrip("/")
            # Within a container, the path may be one that only the host has.
            yield from (each for each in (folder, *folder.parents) if each.is_relative_to(top) and each.is_dir())


def _quota(folder: Path) -> float:
    """Cores that a control group allows; infinite for no limit."""
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = (_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    with contextlib.suppress(ValueError):
        if float(quota) > 0 and float(period) > 0:
            return float(quota) / float(period)
    return math.inf


def _used(folder: Path) -> float:
    """Bytes that a control group uses, without the files that it could give back at once."""
    used = min(_number(folder / "memory.current"), _number(folder / "memory.usage_in_bytes"))
    for line in _text(folder / "memory.stat").splitlines():
        name, _, amount = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and amount.isdigit():
            return (0.0 if used == math.inf else used) - int(amount)
    return 0.0 if used == math.inf else used


def _number(path: Path) -> float:
    """The number in a file; infinite where there is no file, or no number in it."""
    text = _text(path).strip()
    return float(text) if text.isdigit() else math.inf


def _text(path: Path) -> str:
    """A file of the system; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
