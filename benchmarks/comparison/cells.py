"""The cells of the table: a call at a concurrency, measured on every server in turn."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from comparison import load, machine, running
from comparison.calls import WrongAnswer

if TYPE_CHECKING:
    from comparison.load import Sample
    from comparison.running import Running

__all__ = ["CELLS", "Cell", "Measured", "measure"]


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One line of the table.

    Attributes:
        workload: the name of its call, by which it is chosen.
        title: what it is, in words.
        concurrency: requests in flight.
        longer: how many times longer it is measured, because few answers come in a second.
    """

    workload: str
    title: str
    concurrency: int
    longer: int = 1


CELLS: Final[Sequence[Cell]] = (
    *(Cell("v1", "V1 JSON, one row", concurrency) for concurrency in (1, 8, 64)),
    *(Cell("v2", "V2 JSON, one row", concurrency) for concurrency in (1, 8, 64)),
    *(Cell("boosted-v1", "LightGBM, V1 JSON, one row", concurrency) for concurrency in (1, 8, 64)),
    *(Cell("boosted-v2", "LightGBM, V2 JSON, one row", concurrency) for concurrency in (1, 8, 64)),
    Cell("json-in", "V2 JSON, image tensor in", 8, longer=2),
    Cell("json-echo", "V2 JSON, image tensor in and out", 8, longer=4),
    Cell("binary-in", "V2 binary, image tensor in", 8, longer=2),
    Cell("binary-echo", "V2 binary, image tensor in and out", 8, longer=2),
    *(Cell("grpc", "gRPC, one row", concurrency) for concurrency in (1, 8, 64)),
    Cell("grpc-raw", "gRPC raw, image tensor in", 8, longer=2),
    Cell("grpc-typed", "gRPC typed, image tensor in", 8, longer=2),
)
"""The cells in the order of the table. The image tensor is 1x3x224x224 FP32: 602 kB as binary data."""


@dataclasses.dataclass(slots=True)
class Measured:
    """What was found for one server in one cell.

    Attributes:
        samples: one for each round.
        reason: why there are none.
        unsettled: whether the server computed on when it should have been idle, and so disturbed what came next.
    """

    samples: list[Sample] = dataclasses.field(default_factory=list)
    reason: str | None = None
    unsettled: bool = False

    def median(self, figure: Callable[[Sample], float]) -> float:
        """The median of a figure over the rounds."""
        return statistics.median(figure(sample) for sample in self.samples)

    def ratio(self, base: Measured) -> float | None:
        """The median of the ratios of the rates, round by round; None where a round has nothing to compare with."""
        pairs = list(zip(self.samples, base.samples, strict=False))
        if not pairs or any(other.rate == 0 for _, other in pairs):
            return None
        return statistics.median(mine.rate / other.rate for mine, other in pairs)


def measure(
    cell: Cell, servers: Sequence[Running], core: int, rounds: int, seconds: int, say: Callable[[str], None]
) -> Mapping[str, Measured]:
    """Measure a cell on every server in turn, in the opposite order in odd rounds.

    Args:
        cell: what to send, and how.
        servers: which answer.
        core: the core that they run on.
        rounds: how often.
        seconds: how long each time.
        say: is told what happens.
    """
    found = {each.server.name: Measured() for each in servers}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def once(each: Running, duration: int) -> Sample:
            call = running.call(each.server, cell.workload)
            port = each.ports.grpc if call.is_grpc else each.ports.http
            watch = machine.Watch(core, each.session)
            sample = load.send(call, port, cell.concurrency, duration, sizes[each.server.name], folder)
            sample = dataclasses.replace(sample, others=watch.others())
            found[each.server.name].unsettled |= not machine.settled(each.session)
            return sample

        for each in servers:
            found[each.server.name].reason = each.server.lacks.get(cell.workload)
            if found[each.server.name].reason is None:
                say(f"{each.server.name}: check and warm-up")
                try:
                    sizes[each.server.name] = _checked(each, cell.workload)
                except (OSError, WrongAnswer) as error:
                    found[each.server.name].reason = str(error)
                else:
                    once(each, 1)
        answering = [each for each in servers if each.server.name in sizes]
        for turn in range(rounds):
            for each in answering if turn % 2 == 0 else reversed(answering):
                say(f"{each.server.name}: round {turn + 1} of {rounds}")
                found[each.server.name].samples.append(once(each, seconds * cell.longer))
    return found


def _checked(each: Running, workload: str) -> int:
    """The size of the right answer to a call."""
    call = running.call(each.server, workload)
    return len(running.ask(each.ports.grpc if call.is_grpc else each.ports.http, call))
