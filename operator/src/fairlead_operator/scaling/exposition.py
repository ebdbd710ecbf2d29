"""What a model server says of its requests: read from its metrics, in the text format of Prometheus."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Final

__all__ = ["Counts", "read"]


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """The requests of one server, over all its models.

    Attributes:
        in_flight: requests that were taken and are not answered; None where the server does not tell.
        answered: requests that it ever answered; None where it does not tell.
    """

    in_flight: float | None = None
    answered: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class _Server:
    """The names that one kind of server has for them."""

    in_flight: tuple[str, ...]
    answered: tuple[str, ...]


_SERVERS: Final = (
    _Server(("fairlead_requests_in_flight",), ("fairlead_requests_total",)),
    _Server(("vllm:num_requests_running", "vllm:num_requests_waiting"), ("vllm:request_success_total",)),
    _Server((), ("request_predict_seconds_count",)),  # KServe's Python servers
)
_DECLARES: Final = "# TYPE "
_NAMES: Final = frozenset(name for each in _SERVERS for name in (*each.in_flight, *each.answered))


def read(text: str) -> Counts:
    """Read a page of metrics; of names that nobody knows nothing is known.

    A server that has names of several kinds is taken for the first of them: Fairlead's servers have KServe's too. A
    name of such a server that has no series yet counts none.
    """
    sums = _sums(text.splitlines())
    for each in _SERVERS:
        if any(name in sums for name in (*each.in_flight, *each.answered)):
            return Counts(_total(sums, each.in_flight), _total(sums, each.answered))
    return Counts()


def _sums(lines: Iterable[str]) -> dict[str, float]:
    """The sum over all series of each name that is of use; 0 for one that is only declared."""
    sums: dict[str, float] = {}
    for line in lines:
        if line.startswith(_DECLARES):
            name = line.removeprefix(_DECLARES).split(" ", 1)[0]
            if name in _NAMES:
                sums.setdefault(name, 0.0)
            continue
        name = line.split("{", 1)[0].split(" ", 1)[0]
        if name in _NAMES and (value := _value(line[len(name) :])) is not None:
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _value(rest: str) -> float | None:
    """The value of a series, which stands behind its labels and before its time."""
    fields = rest.rpartition("}")[2].split()
    try:
        value = float(fields[0])
    except (IndexError, ValueError):
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _total(sums: dict[str, float], names: tuple[str, ...]) -> float | None:
    return sum(sums.get(name, 0.0) for name in names) if names else None
