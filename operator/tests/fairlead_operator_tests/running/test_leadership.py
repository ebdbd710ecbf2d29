"""Several operators and one Lease: one of them writes, and another takes over from it."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, Final

import pytest
from kubernetes.aio.leaderelection.electionconfig import Config

from fairlead_operator import leading
from fairlead_operator_tests.running.operating import operating
from fairlead_operator_tests.running.services import HOME, isvc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead_apiserver.requests import Record
    from fairlead_operator_tests.running.operating import Alone

NAMES: Final = ("one", "two")
LEASE: Final = ("coordination.k8s.io/v1", "Lease", leading.LEASE, HOME)
RULES: Final = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


def hurried(lock: Any, **settings: Any) -> Config:
    """What the client is told, in times that are shorter than it would take."""
    found = Config(lock, **{**settings, "retry_period": 1})
    found.lease_duration, found.renew_deadline, found.retry_period = 1, 0.5, 0.1
    return found


@dataclasses.dataclass
class Pair:
    """Two operators of one Lease, each with a user of its own."""

    alone: Alone
    running: dict[str, contextlib.ExitStack]

    def holder(self) -> str:
        """Who leads; empty for nobody."""
        lease = self.alone.cluster.get(*LEASE)
        return ((lease or {}).get("spec") or {}).get("holderIdentity") or ""

    def leader(self, *, other_than: str = "") -> str:
        """Who leads, once somebody does."""

        def found() -> str:
            holder = self.holder()
            return holder if holder != other_than else ""

        return self.alone.cluster.eventually(found)

    def serves(self, name: str) -> set[str]:
        """Declare a service, and wait until it is served; who has written since."""
        self.alone.server.requests.clear()
        self.alone.services.declare(isvc(name))
        self.alone.services.appears("Ingress", name)
        self.alone.services.settled(name)
        return {each.user for each in self.alone.writes() if each.resource != "leases"}


@pytest.fixture
def pair(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr(leading, "Config", hurried)
    monkeypatch.setattr(leading, "_RETRY", 0.1)
    monkeypatch.setattr(leading, "_LONGEST", 0.3)
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "everything"}}
    alone.cluster.apply({**role, "rules": RULES}, force=True)
    binding: dict[str, Any] = {**role, "kind": "ClusterRoleBinding"}
    binding["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "everything"}
    binding["subjects"] = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": each} for each in NAMES]
    alone.cluster.apply(binding, force=True)
    with contextlib.ExitStack() as everything:
        running = {each: everything.enter_context(contextlib.ExitStack()) for each in NAMES}
        for each in NAMES:
            kubeconfig = alone.server.kubeconfig(alone.folder / each, user=each)
            running[each].enter_context(operating(kubeconfig, elects=True, identity=each))
        yield Pair(alone, running)
        alone.server.heal()
    with contextlib.suppress(Exception):
        alone.cluster.delete(*LEASE)


def test_the_one_that_holds_the_lease_writes_and_the_other_takes_over_once_it_has_ended(pair: Pair) -> None:
    first = pair.leader()
    assert pair.serves("iris") == {first}
    pair.running[first].close()
    second = pair.leader(other_than=first)
    assert {first, second} == set(NAMES)
    assert pair.serves("flowers") == {second}


def test_one_that_cannot_reach_the_server_stops_and_leaves_its_place(pair: Pair) -> None:
    first = pair.leader()
    assert pair.serves("iris") == {first}
    pair.alone.server.fail({"user": first}, 503, times=100_000)
    second = pair.leader(other_than=first)
    pair.alone.server.heal()
    assert pair.serves("flowers") == {second}


def test_one_that_is_not_answered_stops_before_another_begins(pair: Pair) -> None:
    first = pair.leader()
    assert pair.serves("iris") == {first}

    def is_first(record: Record) -> bool:
        return record.user == first and record.resource == "leases"

    with pair.alone.server.hold(is_first):
        second = pair.leader(other_than=first)
        assert pair.serves("flowers") == {second}
    assert pair.serves("more") == {second}
