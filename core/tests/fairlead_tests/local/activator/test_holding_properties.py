"""Whatever happens in whichever order: each request gets one answer, in its turn, and no bound is exceeded."""

from __future__ import annotations

import itertools

from hypothesis import stateful
from hypothesis import strategies as st

from fairlead.local.activator import holding
from fairlead.local.activator.seats import Answer, Refusal, Release, Seats, Status, Wait, Wire
from fairlead.local.gateway.topology import Address

BACKENDS = ("a", "b")
NAMES = st.sampled_from(BACKENDS)
ADDRESSES = st.none() | st.lists(st.integers(1, 4), max_size=3, unique=True).map(
    lambda ports: tuple(Address("127.0.0.1", port) for port in ports)
)
SEATS = st.builds(
    Seats,
    rest=ADDRESSES,
    grpc=ADDRESSES,
    capacity=st.integers(0, 3),
    max_waiting=st.integers(0, 5),
    deadline=st.sampled_from([0.0, 0.5, 2.0, 30.0]),
    refusal=st.sampled_from(["", "", "", "It is broken."]),
)


class HoldingMachine(stateful.RuleBasedStateMachine):
    """Requests for two backends, against a plain list of those that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.held: holding.Holding[int] = holding.Holding()
        self.now = 0.0
        self.numbers = itertools.count()
        self.seats: dict[str, Seats] = {}
        self.waiting: dict[int, tuple[str, Wire, float]] = {}
        self.active = dict.fromkeys(BACKENDS, 0)
        self.counted = dict.fromkeys(BACKENDS, 0.0)
        self.sent: dict[str, list[float]] = {name: [] for name in BACKENDS}
        self.arrived = dict.fromkeys(BACKENDS, 0)
        self.wakes: dict[str, list[float]] = {name: [] for name in BACKENDS}

    def check(self, number: int, name: str, wire: Wire, answer: Answer) -> None:
        """An answer fits what is known of the backend."""
        seats = self.seats.get(name)
        if isinstance(answer, Release):
            assert seats is not None
            assert not seats.refusal
            assert answer.address in map(str, seats.of(wire) or ())
            if seats.capacity:
                self.sent[name].append(self.now)
                assert self.active[name] + len(self.sent[name]) <= seats.capacity * seats.replicas
        elif answer.status is Status.QUEUE_FULL:
            assert seats is not None
            assert len(self.of(name)) >= seats.max_waiting

    def of(self, name: str) -> list[int]:
        return [number for number, place in self.waiting.items() if place[0] == name]

    def leave(self, answers: list[tuple[int, Answer]], *, expect: str | None = None) -> None:
        """Take answers in: nobody gets two, and nobody overtakes on the same wire."""
        for number, answer in answers:
            name, wire, arrived = self.waiting[number]
            before = [other for other in self.of(name) if other < number and self.waiting[other][1] is wire]
            assert not before, "somebody who came earlier waits on"
            assert expect is None or name == expect
            if isinstance(answer, Refusal) and answer.status is Status.DEADLINE:
                assert self.now - arrived >= self.seats[name].deadline
            del self.waiting[number]
            self.check(number, name, wire, answer)

    @stateful.rule(name=NAMES, wire=st.sampled_from(Wire))
    def arrive(self, name: str, wire: Wire) -> None:
        number = next(self.numbers)
        answer = self.held.arrive(number, name, wire, self.now)
        self.arrived[name] += name in self.seats
        if isinstance(answer, Wait):
            seats = self.seats[name]
            assert len(self.of(name)) < seats.max_waiting
            assert not (seats.of(wire) and seats.capacity == 0), "there is no reason to wait"
            self.waiting[number] = (name, wire, self.now)
            if answer.wake:
                self.wakes[name].append(self.now)
        else:
            self.check(number, name, wire, answer)

    @stateful.precondition(lambda self: self.waiting)
    @stateful.rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        self.held.withdraw(number)
        del self.waiting[number]

    @stateful.rule(name=NAMES, seats=SEATS)
    def assign(self, name: str, seats: Seats) -> None:
        if seats.replicas:
            self.wakes[name].clear()
        else:
            self.active[name] = 0
            self.sent[name].clear()
        self.seats[name] = seats
        self.leave(self.held.assign(name, seats, self.now), expect=name)
        if seats.refusal:
            assert not self.of(name)

    @stateful.rule(name=NAMES)
    def forget(self, name: str) -> None:
        self.seats.pop(name, None)
        self.leave(self.held.forget(name), expect=name)
        assert not self.of(name)
        self.arrived[name] = self.active[name] = 0
        self.counted[name] = 0.0
        self.sent[name].clear()
        self.wakes[name].clear()

    @stateful.rule(name=NAMES, active=st.integers(0, 6))
    def report(self, name: str, active: int) -> None:
        if name in self.seats:
            self.active[name], self.counted[name] = active, self.now
            self.settle(name, holding.SETTLING)
        self.leave(self.held.report({name: active}, self.now), expect=name)

    def settle(self, name: str, seconds: float) -> None:
        self.sent[name] = [time for time in self.sent[name] if time > self.now - seconds]

    @stateful.rule(seconds=st.sampled_from([0.0, 0.1, 0.3, 1.0, 6.0]))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        for name in BACKENDS:
            if self.now - self.counted[name] >= holding.STALE:
                self.active[name] = 0
                self.settle(name, holding.STALE)
        answers, wakes = self.held.tick(self.now)
        self.leave(answers)
        for name in wakes:
            assert self.of(name)
            self.wakes[name].append(self.now)
        for name, _, arrived in self.waiting.values():
            assert self.now - arrived < self.seats[name].deadline

    @stateful.invariant()
    def no_request_is_lost(self) -> None:
        assert self.held.waiting == len(self.waiting)
        measured = self.held.measure()
        assert {name: (one.waiting, one.arrived) for name, one in measured.items()} == {
            name: (len(self.of(name)), self.arrived[name]) for name in self.seats
        }

    @stateful.invariant()
    def nobody_waits_where_there_is_room_for_any_number(self) -> None:
        for name, wire, _ in self.waiting.values():
            assert not (self.seats[name].of(wire) and self.seats[name].capacity == 0)

    @stateful.invariant()
    def wakes_are_a_second_apart(self) -> None:
        for times in self.wakes.values():
            assert all(later - earlier >= holding.WAKE_INTERVAL for earlier, later in itertools.pairwise(times))

    def teardown(self) -> None:
        self.leave(self.held.close("It ends."))
        assert not self.waiting


TestHolding = HoldingMachine.TestCase
