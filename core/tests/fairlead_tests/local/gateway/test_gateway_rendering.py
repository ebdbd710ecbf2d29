"""What is rendered is a function of what is to be routed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from fairlead.local.gateway import clusters
from fairlead.local.gateway.clusters import Protocol
from fairlead.local.gateway.rendering import announced, render
from fairlead.local.gateway.topology import Address, Backend, Internal, Route, Split, Topology

_FOLDER = Path("/run/fairlead")


def _topology(**changes: Any) -> Topology:
    backends = tuple(
        Backend(name=name, rest=(Address("127.0.0.1", port),), grpc=(Address("::1", port),), **changes)
        for name, port in (("n/a-00001", 1001), ("n/a-00002", 1002))
    )
    split = Split(weights=(("n/a-00001", 90), ("n/a-00002", 10)))
    route = Route(hosts=("a.test",), path="/serving/n/a", entry=split)
    return Topology(routes=(route,), internals=(Internal(name="n/a", port=9, split=split),), backends=backends)


def test_the_same_topology_is_the_same_text_and_another_one_another_version() -> None:
    first, again, other = (
        render(each, folder=_FOLDER) for each in (_topology(), _topology(), _topology(max_requests=3))
    )
    assert (first, announced(first.clusters)) == (again, announced(again.clusters))
    assert first.routes == other.routes
    assert announced(first.clusters).version != announced(other.clusters).version


def test_the_order_of_backends_and_of_addresses_changes_nothing() -> None:
    topology = _topology()
    turned = dataclasses.replace(topology, backends=topology.backends[::-1])
    one, two = render(topology, folder=_FOLDER), render(turned, folder=_FOLDER)
    assert announced(one.clusters) == announced(two.clusters)
    addresses = (Address("127.0.0.1", 2), Address("127.0.0.1", 1))
    shuffled = [list(clusters.clusters(Backend(name="b", rest=each))) for each in (addresses, addresses[::-1])]
    assert shuffled[0] == shuffled[1]


def test_the_version_is_in_the_file_that_envoy_reads() -> None:
    discovery = render(_topology(), folder=_FOLDER)
    for resource in (announced(discovery.clusters), discovery.routes, discovery.listeners):
        assert json.loads(resource.text)["version_info"] == resource.version


def test_only_a_backend_behind_the_activator_is_asked_about() -> None:
    assert "/hold/" not in render(_topology(), folder=_FOLDER).routes.text
    text = render(_topology(through_activator=True), folder=_FOLDER).routes.text
    assert '"/hold/rest/n%2Fa-00001"' in text
    assert '"/hold/grpc/n%2Fa-00002"' in text


def test_what_leads_to_a_replica_does_not_change_when_its_backend_comes_behind_the_activator() -> None:
    assert (
        render(_topology(), folder=_FOLDER).clusters
        == render(_topology(through_activator=True), folder=_FOLDER).clusters
    )


@pytest.mark.parametrize("name", ["n/a", "n.m/a.b/c", "rest"])
@pytest.mark.parametrize("protocol", Protocol)
def test_the_backend_is_found_by_the_names_of_its_clusters(name: str, protocol: Protocol) -> None:
    assert clusters.backend_of(clusters.name_of(name, protocol)) == name
    assert clusters.backend_of(clusters.held(name, protocol)) == name
    assert clusters.backend_of("activator") is None


def test_a_share_of_nothing_gets_nothing() -> None:
    split = Split(weights=(("n/a-00001", 100), ("n/a-00002", 0)), mirrors=(("n/a-00002", 0),))
    topology = dataclasses.replace(
        _topology(), routes=(Route(hosts=("a.test",), path=None, entry=split),), internals=()
    )
    text = render(topology, folder=_FOLDER).routes.text
    assert "n/a-00002" not in text


@pytest.mark.parametrize("split", [Split(weights=(("n/x", 100),)), Split(weights=(), mirrors=(("n/x", 100),))])
def test_a_split_that_names_an_unknown_backend_is_an_error(split: Split) -> None:
    with pytest.raises(ValueError, match=r"does not have: \['n/x'\]"):
        render(Topology(routes=(Route(hosts=(), path=None, entry=split),)), folder=_FOLDER)


def test_one_name_for_two_backends_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"more than one backend: \['n/a'\]"):
        render(Topology(backends=(Backend(name="n/a"), Backend(name="n/a"))), folder=_FOLDER)


def test_a_large_topology_is_rendered() -> None:
    backends = tuple(Backend(name=f"n/{number}", grpc=()) for number in range(200))
    routes = tuple(
        Route(hosts=(f"{each.name[2:]}.test",), path=f"/serving/{each.name}", entry=Split(weights=((each.name, 100),)))
        for each in backends
    )
    discovery = render(Topology(routes=routes, backends=backends), folder=_FOLDER)
    hosts = json.loads(discovery.routes.text)["resources"][0]["virtual_hosts"]
    assert len(discovery.clusters) == 800
    assert len(hosts) == 201
    assert len(hosts[-1]["routes"]) == 200 * 4
