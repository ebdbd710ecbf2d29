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
LASTING: Final = 3600
"""Seconds for which a Lease holds that no test waits for: a machine that stands still for a while loses none."""


class Hurried(Config):
    """What the client is told, in times that are shorter than it would take."""

    term = LASTING
    """Seconds for which the Lease holds, for all operators."""

    def __init__(self, lock: Any, **settings: Any) -> None:
        super().__init__(lock, **{**settings, "retry_period": 1})
        self.renew_deadline, self.retry_period = 0.5, 0.1

    @property
    def lease_duration(self) -> int:
        """The client looks at it anew each time that it asks for the Lease."""
        return Hurried.term

    @lease_duration.setter
    def lease_duration(self, _: float) -> None:
        return


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

    def successor(self, first: str) -> str:
        """Who leads once the Lease of the first has run out."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Hurried, "term", 2)
            return self.leader(other_than=first)

    def serves(self, name: str) -> set[str]:
        """Declare a service, and wait until it is served; who has written since."""
        self.alone.server.requests.clear()
        self.alone.services.declare(isvc(name))
        self.alone.services.appears("Ingress", name)
        self.alone.services.settled(name)
        return {each.user for each in self.alone.writes() if each.resource != "leases"}


@pytest.fixture
def pair(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr(leading, "Config", Hurried)
    monkeypatch.setattr(leading, "_RETRY", 0.1)
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
    second = pair.successor(first)
    pair.alone.server.heal()
    assert pair.serves("flowers") == {second}


def test_one_that_is_not_answered_stops_before_another_begins(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "_LONGEST", 0.3)
    first = pair.leader()
    assert pair.serves("iris") == {first}

    def is_first(record: Record) -> bool:
        return record.user == first and record.resource == "leases"

    with pair.alone.server.hold(is_first):
        second = pair.successor(first)
        assert pair.serves("flowers") == {second}
    assert pair.serves("more") == {second}


def test_one_that_has_given_up_work_gives_the_lease_back_when_it_ends(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leading, "_RETRY", 3600)
    caplog.set_level("INFO", "fairlead.operator")
    first = pair.leader()
    assert pair.serves("iris") == {first}
    pair.alone.server.fail({"user": first, "resource": "leases"}, 503, times=100_000)
    pair.alone.cluster.eventually(lambda: f"{first} does not lead any more" in caplog.text)
    pair.alone.server.heal()
    assert pair.holder() == first
    pair.running[first].close()
    second = pair.leader(other_than=first)
    assert pair.serves("flowers") == {second}
