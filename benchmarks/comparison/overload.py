"""What servers do when more is asked of them than they can compute."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from comparison import load, machine, running
from comparison.openloop import Plan

if TYPE_CHECKING:
    from comparison.catalogue import Server
    from comparison.running import Running

__all__ = ["LOADS", "Overload", "Phase", "overload"]

LOADS: Final = (0.5, 1.0, 10.0)
"""Arrivals, in multiples of what the server was measured to answer."""

_HERE: Final = Path(__file__).resolve().parents[1]
_CONNECTIONS: Final = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Phase:
    """One load.

    Attributes:
        times: the load, in multiples of the capacity.
        asked: arrivals per second.
        goodput: right answers per second that came within the patience.
        p50: half of these took at most this, in milliseconds.
        p99: 99 of 100 did.
        others: what became of the other requests: how many by status, ``timeout``, ``reset``, ``refused``, ``unsent``.
        late: the milliseconds within which the client sent 99 of 100 requests after they were due.
        before: memory before.
        after: memory after, when the server had worked off what there was.
        others_share: the share of the server's core that other processes had, from 0 to 1.
        settled: whether it had, within a minute.
    """

    times: float
    asked: float
    goodput: float
    p50: float
    p99: float
    others: Mapping[str, int]
    late: float
    before: machine.Memory
    after: machine.Memory
    others_share: float
    settled: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Overload:
    """What was found for a server.

    Attributes:
        capacity: answers per second in a closed loop.
        phases: one for each load.
    """

    capacity: float
    phases: Sequence[Phase]


def overload(
    server: Server,
    folder: Path,
    where: machine.Cores,
    products: int,
    seconds: int,
    patience: float,
    connections: int,
    say: Callable[[str], None],
) -> Overload:
    """Measure the capacity of a server, and then load it with less, with as much and with more.

    Args:
        server: what to load; a process of its own is started.
        folder: where its models are.
        where: the core of the server and that of the client.
        products: matrix products that a row costs.
        seconds: how long each load lasts.
        patience: seconds after which a client gives up.
        connections: the most connections that the client opens.
        say: is told what happens.
    """
    assert server.overload is not None
    call = running.call(server, server.overload)
    with running.running(server, folder, ("cost",), where.server, products) as started:
        say(f"{server.name}: capacity")
        with tempfile.TemporaryDirectory() as name:
            load.send(call, started.ports.http, _CONNECTIONS, 1, 0, Path(name))
            capacity = load.send(call, started.ports.http, _CONNECTIONS, 5, 0, Path(name)).rate
        machine.settled(started.session)
        phases = []
        for times in LOADS:
            say(f"{server.name}: {times:g} x {capacity:.0f}/s for {seconds} s")
            plan = Plan(
                port=started.ports.http,
                path=call.path,
                headers=dict(call.headers),
                body=call.body.decode(),
                rate=times * capacity,
                seconds=seconds,
                patience=patience,
                connections=connections,
            )
            phases.append(_phase(started, plan, times, where.server))
    return Overload(capacity, phases)


def _phase(started: Running, plan: Plan, times: float, core: int) -> Phase:
    before = machine.memory(started.session)
    watch = machine.Watch(core, started.session)
    command = [sys.executable, "-m", "comparison.openloop", json.dumps(dataclasses.asdict(plan))]
    done = subprocess.run(command, cwd=_HERE, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    others_share = watch.others()
    settled = machine.settled(started.session)
    found: dict[str, Any] = json.loads(done.stdout)
    outcomes = found["outcomes"]
    right = outcomes.pop("200", {"count": 0, "p50_ms": float("nan"), "p99_ms": float("nan")})
    return Phase(
        times=times,
        asked=plan.rate,
        goodput=right["count"] / plan.seconds,
        p50=right["p50_ms"],
        p99=right["p99_ms"],
        others={outcome: each["count"] for outcome, each in outcomes.items()},
        late=found["late_p99_ms"],
        before=before,
        after=machine.memory(started.session),
        others_share=others_share,
        settled=settled,
    )
