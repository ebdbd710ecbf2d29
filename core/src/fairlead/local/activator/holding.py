"""Which requests wait, which may go, and where to. It knows no socket and no clock: the time comes in with each call.

A request waits until its backend has a ready replica, for at most the backend's deadline; it is told no when too many
wait already, or when the platform says that the backend cannot start. Every request gets one answer, and those that
wait for one backend get theirs in the order in which they came.

Addresses are handed out in turn, the one that was handed longest ago first, so a replica that has just become ready is
next. The activator doesn't see when a request ends, so it cannot ask which replica has the least to do.

A backend whose replicas take `Seats.capacity` requests at once is sent no more than all its replicas take together:
what the platform last counted there, and what was let go since. The others follow as reports say that there is room. A
request that was let go just before a report may not be in its count yet, so it is counted beside it once (`SETTLING`).
A count that nobody has renewed for `STALE` seconds is forgotten, lest requests wait for a report that never comes.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Generic, TypeVar

from fairlead.local.activator.seats import Answer, Held, Refusal, Release, Seats, Status, Wait, Wire

__all__ = ["SETTLING", "STALE", "WAKE_INTERVAL", "Holding"]

SETTLING: Final = 0.25
"""Seconds after which a request that was let go is among those that its replica counts."""
STALE: Final = 5.0
"""Seconds after which a count of active requests says nothing any more."""
WAKE_INTERVAL: Final = 1.0
"""Seconds between two calls to wake a backend that has no replica."""

_NAMES: Final = {Wire.REST: "REST", Wire.GRPC: "gRPC"}

T = TypeVar("T")
Answers = list[tuple[T, Answer]]


class Holding(Generic[T]):
    """The requests that wait, by backend. A request is known by a ticket, which is anything that can be a key."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue[T]] = {}
        self._places: dict[T, _Queue[T]] = {}

    @property
    def waiting(self) -> int:
        """How many requests wait, for whichever backend."""
        return len(self._places)

    def arrive(self, ticket: T, backend: str, wire: Wire, now: float) -> Answer | Wait:
        """A request has come; unless it is answered at once, it waits and is answered by a later call."""
        queue = self._queues.get(backend)
        if queue is None:
            return Refusal(Status.CANNOT_START, f"{backend} is not known here.")
        answer = queue.arrive(ticket, wire, now)
        if isinstance(answer, Wait):
            self._places[ticket] = queue
        return answer

    def withdraw(self, ticket: T) -> None:
        """The client has gone; nothing happens where its request doesn't wait."""
        queue = self._places.pop(ticket, None)
        if queue is not None:
            queue.withdraw(ticket)

    def assign(self, backend: str, seats: Seats, now: float) -> Answers[T]:
        """Set what a backend has, and answer those that need not wait any more."""
        queue = self._queues.setdefault(backend, _Queue(backend, seats))
        return self._leave(queue.assign(seats, now))

    def forget(self, backend: str) -> Answers[T]:
        """Refuse those that wait for a backend, and know nothing of it any more."""
        queue = self._queues.pop(backend, None)
        return [] if queue is None else self._leave(queue.refuse(f"{backend} is gone."))

    def close(self, reason: str) -> Answers[T]:
        """Refuse all that wait."""
        return [answer for queue in self._queues.values() for answer in self._leave(queue.refuse(reason))]

    def report(self, active: Mapping[str, int], now: float) -> Answers[T]:
        """Take how many requests replicas work on, by backend, and let go those for which there is room now."""
        answers = []
        for backend, count in active.items():
            queue = self._queues.get(backend)
            if queue is not None:
                answers += self._leave(queue.report(count, now))
        return answers

    def tick(self, now: float) -> tuple[Answers[T], list[str]]:
        """Answer those whose time is over; say which backends are to be woken now. To be called while any wait."""
        answers: Answers[T] = []
        wakes = []
        for queue in self._queues.values():
            if queue.waiting:
                answers += self._leave(queue.tick(now))
                if queue.is_to_be_woken(now):
                    wakes.append(queue.backend)
        return answers, wakes

    def measure(self) -> dict[str, Held]:
        """What was seen of each backend since it was first assigned."""
        return {backend: Held(queue.waiting, queue.arrived, queue.released) for backend, queue in self._queues.items()}

    def _leave(self, answers: Answers[T]) -> Answers[T]:
        for ticket, _ in answers:
            del self._places[ticket]
        return answers


class _Queue(Generic[T]):
    """What waits for one backend: a line for each wire, as one may have addresses before the other has."""

    def __init__(self, backend: str, seats: Seats) -> None:
        self.backend = backend
        self.arrived = 0
        self.released = 0
        self._seats = seats
        self._lines: dict[Wire, OrderedDict[T, tuple[int, float]]] = {wire: OrderedDict() for wire in Wire}
        """For each request that waits its number, and when it came."""
        self._turns: dict[Wire, OrderedDict[str, None]] = {wire: OrderedDict() for wire in Wire}
        """Addresses, the one that was handed longest ago first."""
        self._active = 0
        self._counted_at = 0.0
        self._sent: deque[float] = deque()
        """When requests were let go that are not in the count yet."""
        self._woken_at: float | None = None
        self._owes_wake = False

    @property
    def waiting(self) -> int:
        return sum(map(len, self._lines.values()))

    def arrive(self, ticket: T, wire: Wire, now: float) -> Answer | Wait:
        self.arrived += 1
        seats = self._seats
        if seats.refusal:
            return Refusal(Status.CANNOT_START, seats.refusal)
        if seats.of(wire) is None:
            return self._speaks_no(wire)
        if self._turns[wire] and not self._lines[wire] and self._room() > 0:
            return self._hand(wire, now)
        waiting = self.waiting
        if waiting >= seats.max_waiting:
            text = f"{waiting} requests wait for {self.backend} already, and no more may."
            return Refusal(Status.QUEUE_FULL, text)
        self._lines[wire][ticket] = (self.arrived, now)
        if self._turns[wire]:
            return Wait(wake=False)
        self._owes_wake = True
        return Wait(wake=self.is_to_be_woken(now))

    def withdraw(self, ticket: T) -> None:
        for line in self._lines.values():
            line.pop(ticket, None)

    def assign(self, seats: Seats, now: float) -> Answers[T]:
        had_replicas = self._seats.replicas > 0
        self._seats = seats
        for wire, turns in self._turns.items():
            told = dict.fromkeys(map(str, seats.of(wire) or ()))
            new = [address for address in told if address not in turns]
            kept = [address for address in turns if address in told]
            self._turns[wire] = OrderedDict.fromkeys(new + kept)
        if seats.replicas:
            self._woken_at, self._owes_wake = None, False
        else:
            self._active = 0
            self._sent.clear()
            self._owes_wake = self._owes_wake or had_replicas
        if seats.refusal:
            return self.refuse(seats.refusal)
        deaf = [wire for wire in Wire if seats.of(wire) is None]
        return [(ticket, self._speaks_no(wire)) for ticket, wire in self._pop(deaf)] + self._let_go(now)

    def refuse(self, reason: str) -> Answers[T]:
        refusal = Refusal(Status.CANNOT_START, reason)
        return [(ticket, refusal) for ticket, _ in self._pop(Wire)]

    def report(self, active: int, now: float) -> Answers[T]:
        self._active, self._counted_at = active, now
        self._settle(now - SETTLING)
        return self._let_go(now)

    def tick(self, now: float) -> Answers[T]:
        if now - self._counted_at >= STALE:
            self._active = 0
            self._settle(now - STALE)
        answers = self._let_go(now)
        deadline = self._seats.deadline
        late = Refusal(Status.DEADLINE, f"No replica of {self.backend} could take the request within {deadline:g} s.")
        for line in self._lines.values():
            while line and now - next(iter(line.values()))[1] >= deadline:
                answers.append((line.popitem(last=False)[0], late))
        return answers

    def is_to_be_woken(self, now: float) -> bool:
        """Whether the platform is to be told now; who asks tells it."""
        if self._woken_at is not None and now - self._woken_at < WAKE_INTERVAL:
            return False
        if not (self._owes_wake and self.waiting):
            return False
        self._woken_at, self._owes_wake = now, False
        return True

    def _let_go(self, now: float) -> Answers[T]:
        """Send as many on as there is room for, the first to come first."""
        served = [wire for wire, turns in self._turns.items() if turns]
        room = self._room()
        return [(ticket, self._hand(wire, now)) for ticket, wire in self._pop(served, room)]

    def _pop(self, wires: Iterable[Wire], at_most: float = math.inf) -> Iterator[tuple[T, Wire]]:
        """Take requests out of the lines of some wires, in the order in which they came."""
        wires = tuple(wires)
        while at_most > 0:
            heads = [(next(iter(self._lines[wire].values())), wire) for wire in wires if self._lines[wire]]
            if not heads:
                return
            _, wire = min(heads)
            yield self._lines[wire].popitem(last=False)[0], wire
            at_most -= 1

    def _room(self) -> float:
        """How many more requests the replicas take."""
        seats = self._seats
        return seats.capacity * seats.replicas - self._active - len(self._sent) if seats.capacity else math.inf

    def _hand(self, wire: Wire, now: float) -> Release:
        turns = self._turns[wire]
        address = next(iter(turns))
        turns.move_to_end(address)
        self.released += 1
        if self._seats.capacity:
            self._sent.append(now)
        return Release(address)

    def _settle(self, before: float) -> None:
        """Take what was let go before that time to be in the count, or to be over."""
        while self._sent and self._sent[0] <= before:
            self._sent.popleft()

    def _speaks_no(self, wire: Wire) -> Refusal:
        return Refusal(Status.CANNOT_START, f"{self.backend} does not speak {_NAMES[wire]}.")
