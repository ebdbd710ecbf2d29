"""Traces: when requests arrive, and how long each takes, for the simulator to replay."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.autoscaling.servicetimes import ServiceTimes

__all__ = ["COLUMNS", "MAX_REQUESTS", "Trace", "read"]

COLUMNS = ("at", "service_time")
"""The columns of a trace as CSV, both in seconds; the second may be missing or empty."""

MAX_REQUESTS = 20_000_000
"""Requests of one trace: more do not fit in the memory of a small machine."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Requests in the order in which they arrive.

    Attributes:
        name: what a report calls it.
        arrivals: when each arrives, in seconds from the start; ascending.
        service_times: how many seconds a pod computes on each.
        duration: how long the trace lasts, in seconds; no request arrives later.

    Raises:
        ConfigurationError: the times are not in order, negative, or past the duration.
    """

    name: str
    arrivals: Sequence[float]
    service_times: Sequence[float]
    duration: float

    def __post_init__(self) -> None:
        if not 0 < self.duration < math.inf:
            raise errors.ConfigurationError(f"{self.name}: a duration of {self.duration:g} s is not possible.")
        if len(self.arrivals) != len(self.service_times):
            raise errors.ConfigurationError(
                f"{self.name}: {len(self.arrivals)} arrivals, and {len(self.service_times)} service times."
            )
        if any(later < earlier for earlier, later in itertools.pairwise(self.arrivals)):
            raise errors.ConfigurationError(f"{self.name}: the arrivals are not in order.")
        if self.arrivals and not 0 <= self.arrivals[0] <= self.arrivals[-1] <= self.duration:
            raise errors.ConfigurationError(f"{self.name}: arrivals lie between 0 and {self.duration:g} s.")
        if not all(0 < each < math.inf for each in self.service_times):
            raise errors.ConfigurationError(f"{self.name}: service times are above 0.")


def read(
    lines: Iterable[str], *, name: str, service: ServiceTimes, seed: int = 0, duration: float | None = None
) -> Trace:
    """Read a trace from CSV: a line of column names, then one line for each request.

    Args:
        lines: the text.
        name: what errors and reports call it, for example the file's name.
        service: where service times come from that the text does not hold.
        seed: for those.
        duration: how long the trace lasts; by default to its last request, rounded up to a second.

    Raises:
        ConfigurationError: the text is no such trace, with the number of the line.
    """
    rows = csv.reader(lines, strict=True)
    arrivals: list[float] = []
    service_times: list[float] = []
    drawn = service.drawn(seed)
    try:
        at_column, service_column = _columns(next(rows, []), name)
        for row in _filled(rows):
            place = f"{name}, line {rows.line_num}"
            at = _seconds(row, at_column, place)
            _check_order(at, arrivals, duration, place)
            arrivals.append(at)
            text = row[service_column].strip() if service_column is not None and service_column < len(row) else ""
            drawn_time = next(drawn)
            service_times.append(_positive(text, place) if text else drawn_time)
    except csv.Error as error:
        raise errors.ConfigurationError(f"{name}, line {rows.line_num}: this is no CSV: {error}.") from error
    if not arrivals:
        raise errors.ConfigurationError(
            f"{name} holds no request.", remedy="Below the names of the columns, write one line for each."
        )
    lasts = duration if duration is not None else max(1.0, math.ceil(arrivals[-1]))
    return Trace(name=name, arrivals=arrivals, service_times=service_times, duration=lasts)


def _columns(header: Sequence[str], name: str) -> tuple[int, int | None]:
    """Where the columns are."""
    names = [each.strip().lower().removeprefix("\ufeff") for each in header]
    at, service = COLUMNS
    remedy = f"The columns are {at} and, where requests differ, {service}; both in seconds."
    if at not in names:
        raise errors.ConfigurationError(f"{name}, line 1: there is no column {at!r}.", remedy=remedy)
    unknown = [each for each in names if each not in COLUMNS]
    if unknown or len(set(names)) < len(names):
        strange = ", ".join(map(repr, unknown)) or "one name twice"
        raise errors.ConfigurationError(f"{name}, line 1: {strange} among the columns.", remedy=remedy)
    return names.index(at), names.index(service) if service in names else None


def _filled(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    for row in rows:
        if any(cell.strip() for cell in row):
            yield row


def _seconds(row: Sequence[str], column: int, place: str) -> float:
    text = row[column].strip() if column < len(row) else ""
    at = _number(text)
    if not 0 <= at < math.inf:
        raise errors.ConfigurationError(f"{place}: {text!r} is not a number of seconds from the start.")
    if len(row) > len(COLUMNS):
        raise errors.ConfigurationError(f"{place}: {len(row)} cells, and at most {len(COLUMNS)} columns.")
    return at


def _check_order(at: float, arrivals: Sequence[float], duration: float | None, place: str) -> None:
    if arrivals and at < arrivals[-1]:
        raise errors.ConfigurationError(
            f"{place}: {at:g} s comes after {arrivals[-1]:g} s.", remedy="Sort the trace by the column at."
        )
    if duration is not None and at > duration:
        raise errors.ConfigurationError(
            f"{place}: {at:g} s is past the duration of {duration:g} s.",
            remedy="Leave --duration out, or shorten the trace.",
        )
    if len(arrivals) >= MAX_REQUESTS:
        raise errors.ConfigurationError(f"{place}: a trace has at most {MAX_REQUESTS} requests.")


def _positive(text: str, place: str) -> float:
    seconds = _number(text)
    if not 0 < seconds < math.inf:
        raise errors.ConfigurationError(f"{place}: {text!r} is not a service time in seconds.")
    return seconds


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
