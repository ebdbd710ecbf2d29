"""A change of what is routed loses no request, and what was refused is said."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from fairlead.errors import PlatformError
from fairlead.local.gateway.topology import Backend, Internal, Route, Split, Topology
from fairlead_tests.local.gateway.running import Running, Server, backend, load, route

Serve = Callable[[str], Server]


def test_changes_of_replicas_weights_and_revisions_lose_no_request(gateway: Running, serve: Serve) -> None:
    a, b, c = serve("a"), serve("b"), serve("c")
    rounds = (
        Topology(routes=(route({"n/1": 100}),), backends=(backend("n/1", a, b),)),
        Topology(routes=(route({"n/1": 100}),), backends=(backend("n/1", b, c, max_requests=500),)),
        Topology(routes=(route({"n/1": 80, "n/2": 20}),), backends=(backend("n/1", b), backend("n/2", a, c))),
        Topology(routes=(route({"n/2": 100}),), backends=(backend("n/1", b), backend("n/2", c))),
        Topology(routes=(route({"n/2": 100}, timeout=5.0),), backends=(backend("n/2", c),)),
    )
    gateway.apply(rounds[0])
    with load(gateway) as seen:
        for _ in range(8):
            for each in rounds:
                gateway.apply(each)
    assert set(seen) == {200}


def test_a_request_in_flight_is_answered_by_a_replica_that_is_not_routed_any_more(
    gateway: Running, serve: Serve
) -> None:
    a, b = serve("a"), serve("b")
    gateway.apply(Topology(routes=(route({"n/1": 100}),), backends=(backend("n/1", a),)))
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(gateway.ask("/hold").json["name"]))
    asking.start()
    assert a.held.acquire(timeout=10)
    gateway.apply(Topology(routes=(route({"n/2": 100}),), backends=(backend("n/2", b),)))
    assert gateway.ask("/v1").json["name"] == "b"
    gateway.apply(Topology())
    assert gateway.ask("/v1").status == 404
    a.go.set()
    asking.join()
    assert answers == ["a"]


def test_a_change_holds_for_the_next_request_once_it_is_applied(gateway: Running, serve: Serve) -> None:
    servers = {name: serve(name) for name in ("a", "b")}
    for name in ("a", "b") * 20:
        gateway.apply(Topology(routes=(route({"n/1": 100}),), backends=(backend("n/1", servers[name]),)))
        assert gateway.ask("/v1").json["name"] == name


def test_what_envoy_refuses_is_said_with_its_reason_and_the_next_topology_is_taken(
    gateway: Running, serve: Serve
) -> None:
    a = serve("a")
    good = Topology(routes=(route({"n/1": 100}),), backends=(backend("n/1", a),))
    port = gateway.gateway.port
    taken = Internal(name="n/1", port=port, split=Split(weights=()))
    for _ in range(2):
        with pytest.raises(PlatformError, match=rf"refuses listeners\.json: .*duplicate address '127\.0\.0\.1:{port}'"):
            gateway.apply(Topology(routes=good.routes, backends=good.backends, internals=(taken,)))
        assert gateway.ask("/v1").status == 200
    assert gateway.apply(good) == ()
    assert gateway.ask("/v1").status == 200


def test_of_two_services_with_one_host_the_first_has_it_and_the_conflict_is_said(
    gateway: Running, serve: Serve
) -> None:
    a, b = serve("a"), serve("b")
    routes = (
        route({"n/a": 100}, host="a-b-c.test", path="/serving/b-c/a"),
        route({"n/b": 100}, host="A-b-c.test", path="/serving/c/a-b"),
    )
    (conflict,) = gateway.apply(Topology(routes=routes, backends=(backend("n/a", a), backend("n/b", b))))
    assert "a-b-c.test" in conflict
    assert gateway.ask("/v1", host="a-b-c.test").json["name"] == "a"
    assert gateway.ask("/serving/c/a-b/v1", host="x").json["name"] == "b"


def test_two_hundred_services_at_zero_are_routed(gateway: Running) -> None:
    routes: list[Route] = []
    backends: list[Backend] = []
    for number in range(200):
        name = f"n/s{number}-00001"
        backends.append(Backend(name=name, grpc=(), through_activator=True))
        routes.append(route({name: 100}, host=f"s{number}.test", path=f"/serving/n/s{number}"))
    gateway.apply(Topology(routes=tuple(routes), backends=tuple(backends)))
    assert {gateway.ask("/v1", host=f"s{number}.test").status for number in (0, 199)} == {503}
    gateway.apply(Topology(routes=tuple(routes[:-1]), backends=tuple(backends)))
    assert gateway.ask("/v1", host="s199.test").status == 404
