"""Which requests wait, which may go and where to, under a virtual clock."""

from __future__ import annotations

import pytest

from fairlead.local.activator import holding
from fairlead.local.activator.seats import Answer, Held, Refusal, Release, Seats, Status, Wait, Wire
from fairlead.local.gateway.topology import Address

BACKEND = "default/iris-predictor-00001"


def at(*ports: int) -> tuple[Address, ...]:
    return tuple(Address("127.0.0.1", port) for port in ports)


def holding_with(seats: Seats) -> holding.Holding[str]:
    held: holding.Holding[str] = holding.Holding()
    assert held.assign(BACKEND, seats, 0.0) == []
    return held


def arrive(held: holding.Holding[str], tickets: str, now: float = 0.0, wire: Wire = Wire.REST) -> list[Answer | Wait]:
    return [held.arrive(ticket, BACKEND, wire, now) for ticket in tickets]


def ports(answers: list[Answer | Wait]) -> list[str]:
    return [answer.address.rpartition(":")[2] if isinstance(answer, Release) else str(answer) for answer in answers]


def released(answers: list[tuple[str, Answer]]) -> str:
    assert all(isinstance(answer, Release) for _, answer in answers)
    return "".join(ticket for ticket, _ in answers)


def test_a_request_waits_for_a_replica_and_then_goes_there() -> None:
    held = holding_with(Seats())
    assert arrive(held, "a") == [Wait(wake=True)]
    assert held.waiting == 1
    assert held.assign(BACKEND, Seats(rest=at(8080)), 3.0) == [("a", Release("127.0.0.1:8080"))]
    assert held.waiting == 0


def test_a_request_for_a_backend_with_replicas_goes_at_once() -> None:
    held = holding_with(Seats(rest=at(8080)))
    assert arrive(held, "a") == [Release("127.0.0.1:8080")]


def test_an_address_of_ipv6_is_put_in_brackets() -> None:
    held = holding_with(Seats(rest=(Address("::1", 8080),)))
    assert arrive(held, "a") == [Release("[::1]:8080")]


def test_addresses_are_handed_in_turn_and_a_new_one_is_next() -> None:
    held = holding_with(Seats(rest=at(1, 2)))
    assert ports(arrive(held, "abc")) == ["1", "2", "1"]
    held.assign(BACKEND, Seats(rest=at(1, 2, 3)), 0.0)
    assert ports(arrive(held, "defg")) == ["3", "2", "1", "3"]
    held.assign(BACKEND, Seats(rest=at(1, 3)), 0.0)
    assert ports(arrive(held, "hij")) == ["1", "3", "1"]


def test_those_that_wait_go_in_the_order_in_which_they_came() -> None:
    held = holding_with(Seats(grpc=()))
    for ticket, wire in zip("abcdef", [Wire.REST, Wire.GRPC] * 3, strict=True):
        held.arrive(ticket, BACKEND, wire, 0.0)
    assert released(held.assign(BACKEND, Seats(rest=at(1), grpc=at(2)), 1.0)) == "abcdef"


def test_each_wire_has_its_own_addresses_and_does_not_wait_for_the_other() -> None:
    held = holding_with(Seats(grpc=()))
    arrive(held, "r")
    arrive(held, "g", wire=Wire.GRPC)
    assert held.assign(BACKEND, Seats(rest=(), grpc=at(9000)), 1.0) == [("g", Release("127.0.0.1:9000"))]
    assert held.assign(BACKEND, Seats(rest=at(8080), grpc=at(9000)), 1.0) == [("r", Release("127.0.0.1:8080"))]


@pytest.mark.parametrize(("wire", "name"), [(Wire.REST, "REST"), (Wire.GRPC, "gRPC")])
def test_a_backend_that_does_not_speak_a_wire_says_so(wire: Wire, name: str) -> None:
    held = holding_with(Seats(rest=(), grpc=()))
    arrive(held, "a", wire=wire)
    refusal = Refusal(Status.CANNOT_START, f"{BACKEND} does not speak {name}.")
    mute = Seats(rest=None) if wire is Wire.REST else Seats(grpc=None)
    assert held.assign(BACKEND, mute, 0.0) == [("a", refusal)]
    assert arrive(held, "b", wire=wire) == [refusal]


def test_more_than_may_wait_are_refused() -> None:
    held = holding_with(Seats(max_waiting=2, grpc=()))
    arrive(held, "ab")
    (answer,) = arrive(held, "c", wire=Wire.GRPC)
    assert answer == Refusal(Status.QUEUE_FULL, f"2 requests wait for {BACKEND} already, and no more may.")
    held.withdraw("a")
    assert arrive(held, "d") == [Wait(wake=False)]


def test_a_request_that_has_waited_as_long_as_it_may_is_refused() -> None:
    held = holding_with(Seats(deadline=10.0))
    arrive(held, "a", now=0.0)
    arrive(held, "b", now=1.0)
    assert held.tick(9.9)[0] == []
    late = Refusal(Status.DEADLINE, f"No replica of {BACKEND} could take the request within 10 s.")
    assert held.tick(10.0)[0] == [("a", late)]
    assert held.tick(11.0)[0] == [("b", late)]
    assert held.waiting == 0


def test_a_deadline_that_becomes_shorter_counts_for_those_that_wait() -> None:
    held = holding_with(Seats(deadline=100.0))
    arrive(held, "a")
    held.assign(BACKEND, Seats(deadline=2.0), 1.0)
    assert [ticket for ticket, _ in held.tick(2.0)[0]] == ["a"]


def test_what_cannot_start_refuses_those_that_wait_and_those_that_come_and_wakes_nobody() -> None:
    held = holding_with(Seats())
    arrive(held, "ab")
    reason = Refusal(Status.CANNOT_START, "The model cannot be loaded.")
    refusing = Seats(rest=at(8080), refusal=reason.text)
    assert held.assign(BACKEND, refusing, 1.0) == [("a", reason), ("b", reason)]
    assert arrive(held, "c", now=9.0) == [reason]
    assert held.tick(9.0) == ([], [])


def test_a_backend_that_is_forgotten_refuses_those_that_wait_and_is_not_known_then() -> None:
    held = holding_with(Seats())
    arrive(held, "a")
    assert held.forget(BACKEND) == [("a", Refusal(Status.CANNOT_START, f"{BACKEND} is gone."))]
    assert arrive(held, "b") == [Refusal(Status.CANNOT_START, f"{BACKEND} is not known here.")]
    assert held.forget(BACKEND) == []


def test_at_the_end_everybody_is_refused() -> None:
    held = holding_with(Seats())
    held.assign("other", Seats(), 0.0)
    arrive(held, "a")
    held.arrive("b", "other", Wire.REST, 0.0)
    answers = held.close("It ends.")
    assert answers == [(ticket, Refusal(Status.CANNOT_START, "It ends.")) for ticket in "ab"]
    assert held.waiting == 0


def test_the_first_to_wait_wakes_the_backend_and_later_ones_do_once_a_second() -> None:
    held = holding_with(Seats())
    assert [arrive(held, ticket, now=now) for ticket, now in [("a", 0.0), ("b", 0.5), ("c", 0.9)]] == [
        [Wait(wake=True)],
        [Wait(wake=False)],
        [Wait(wake=False)],
    ]
    assert held.tick(0.95)[1] == []
    assert held.tick(1.0)[1] == [BACKEND]
    assert held.tick(9.0)[1] == []
    assert arrive(held, "d", now=9.0) == [Wait(wake=True)]


def test_nobody_is_woken_for_a_client_that_has_gone() -> None:
    held = holding_with(Seats())
    arrive(held, "ab")
    held.withdraw("a")
    held.withdraw("b")
    held.withdraw("b")
    assert held.tick(2.0) == ([], [])
    assert held.assign(BACKEND, Seats(rest=at(1)), 3.0) == []
    assert held.measure() == {BACKEND: Held(waiting=0, arrived=2, released=0)}


def test_a_backend_that_went_to_zero_is_woken_at_once() -> None:
    held = holding_with(Seats())
    arrive(held, "a", now=0.0)
    held.assign(BACKEND, Seats(rest=at(1)), 0.1)
    held.assign(BACKEND, Seats(), 0.2)
    assert arrive(held, "b", now=0.3) == [Wait(wake=True)]


def test_a_backend_that_loses_its_replicas_while_requests_wait_for_room_is_woken() -> None:
    held = holding_with(Seats(rest=at(1), capacity=1))
    assert arrive(held, "ab") == [Release("127.0.0.1:1"), Wait(wake=False)]
    held.assign(BACKEND, Seats(capacity=1), 1.0)
    assert held.tick(1.0) == ([], [BACKEND])
    assert held.assign(BACKEND, Seats(rest=at(2), capacity=1), 2.0) == [("b", Release("127.0.0.1:2"))]


def test_no_more_go_than_the_replicas_take_together() -> None:
    held = holding_with(Seats(capacity=2))
    arrive(held, "abcdefg")
    assert released(held.assign(BACKEND, Seats(rest=at(1, 2), capacity=2), 0.0)) == "abcd"
    assert arrive(held, "h", now=0.0) == [Wait(wake=False)]
    assert released(held.report({BACKEND: 3}, 1.0)) == "e"
    assert released(held.report({BACKEND: 4}, 2.0)) == ""
    assert released(held.report({BACKEND: 0, "unknown": 3}, 3.0)) == "fgh"


def test_a_request_that_went_just_before_a_report_is_counted_beside_it() -> None:
    held = holding_with(Seats(rest=at(1), capacity=1))
    arrive(held, "abc", now=1.0)
    assert held.report({BACKEND: 0}, 1.0 + holding.SETTLING / 2) == []
    assert released(held.report({BACKEND: 0}, 1.0 + holding.SETTLING)) == "b"


def test_a_new_replica_takes_its_share_of_those_that_wait() -> None:
    held = holding_with(Seats(rest=at(1), capacity=1))
    arrive(held, "abc")
    answers = held.assign(BACKEND, Seats(rest=at(1, 2), capacity=1), 0.1)
    assert answers == [("b", Release("127.0.0.1:2"))]


def test_requests_do_not_wait_for_reports_that_never_come() -> None:
    held = holding_with(Seats(rest=at(1), capacity=1))
    held.report({BACKEND: 1}, 0.0)
    arrive(held, "ab", now=0.0)
    assert held.tick(holding.STALE - 0.1)[0] == []
    assert released(held.tick(holding.STALE)[0]) == "a"
    assert held.tick(2 * holding.STALE - 0.1)[0] == []
    assert released(held.tick(2 * holding.STALE)[0]) == "b"


def test_what_was_seen_is_counted_by_backend() -> None:
    held = holding_with(Seats(max_waiting=1))
    arrive(held, "ab")
    held.assign("other", Seats(rest=at(1)), 0.0)
    held.arrive("c", "other", Wire.REST, 0.0)
    assert held.measure() == {BACKEND: Held(1, 2, 0), "other": Held(0, 1, 1)}


@pytest.mark.parametrize(
    "wrong", [{"capacity": -1}, {"max_waiting": -1}, {"deadline": -1.0}, {"deadline": float("nan")}]
)
def test_seats_out_of_range_are_an_error(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Seats(**wrong)  # type: ignore[arg-type]  # which of them is a float doesn't matter here
