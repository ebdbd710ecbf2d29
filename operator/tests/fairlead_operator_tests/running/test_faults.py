"""An API server that fails, forgets and goes away: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead_apiserver.faults import RESET
from fairlead_operator import handlers, resyncing
from fairlead_operator_tests.running.services import isvc

if TYPE_CHECKING:
    from fairlead_apiserver.requests import Record
    from fairlead_operator_tests.running.operating import Alone
    from fairlead_operator_tests.running.services import Services

SERVICE: Final = "inferenceservices"
ASKED: Final = {
    "applied-deployment": {"verb": "patch", "resource": "deployments"},
    "applied-service": {"verb": "patch", "resource": "services"},
    "applied-scaler": {"verb": "patch", "resource": "horizontalpodautoscalers"},
    "applied-budget": {"verb": "patch", "resource": "poddisruptionbudgets"},
    "applied-ingress": {"verb": "patch", "resource": "ingresses"},
    "status": {"verb": "patch", "resource": SERVICE, "subresource": "status"},
    "deleted-scaler": {"verb": "delete", "resource": "horizontalpodautoscalers"},
    "event": {"verb": "create", "resource": "events"},
}
"""Requests for a service, by its name."""

CODES: Final = pytest.mark.parametrize("code", [409, 429, 500, RESET])


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resyncing, "_PAUSE", 0.05)


def is_operators(record: Record) -> bool:
    return not record.agent.startswith("fairlead-tests")


def of_service(record: Record, *, name: str, namespace: str, asked: dict[str, str]) -> bool:
    return (
        is_operators(record)
        and record.namespace == namespace
        and record.name.startswith(name)
        and all(getattr(record, key) == value for key, value in asked.items())
    )


@contextlib.contextmanager
def gone(alone: Alone) -> Any:
    """A server that answers no operator while a block is worked through."""
    alone.server.fail(is_operators, 503, times=100_000)
    alone.server.drop_watches()
    yield
    alone.server.heal()


@CODES
def test_a_request_that_fails_is_made_again(alone: Alone, code: int) -> None:
    services = alone.services
    retry = 1 if code == 429 else None
    for name, asked in ASKED.items():
        match = functools.partial(of_service, name=name, namespace=alone.namespace, asked=asked)
        alone.server.fail(match, code, 1, retry)
    with alone.operate():
        for name in ASKED:
            services.declare(isvc(name, minReplicas=2))
        services.appears("HorizontalPodAutoscaler", "deleted-scaler-predictor")
        services.annotate("deleted-scaler", autoscalerClass="none")
        services.disappears("HorizontalPodAutoscaler", "deleted-scaler-predictor")
        for name in ASKED:
            for kind in ("Deployment", "Service", "PodDisruptionBudget"):
                services.appears(kind, f"{name}-predictor")
            services.appears("Ingress", name)
            services.roll_out(f"{name}-predictor")
            services.condition(name, "Ready", "True")


@pytest.mark.parametrize("code", [403, 429, 500, RESET])
def test_what_cannot_be_read_at_the_start_is_read_later(alone: Alone, code: int) -> None:
    services = alone.services
    for plural in (SERVICE, "deployments", "clusterservingruntimes", "configmaps", "customresourcedefinitions"):
        for verb in ("list", "watch"):
            alone.server.fail({"verb": verb, "resource": plural}, code, times=1)
    with alone.operate():
        services.declare(isvc("iris"))
        services.appears("Ingress", "iris")
        services.roll_out("iris-predictor")
        services.condition("iris", "Ready", "True")


def test_a_component_that_answers_while_the_rest_is_written_is_told_of_as_a_whole(alone: Alone) -> None:
    """A status of before and after would say that it answers and that nothing comes to it, with an event of it."""
    services = alone.services
    with alone.operate():
        services.declare(isvc("iris"))
        services.appears("Ingress", "iris")
        services.settled("iris")
        for each in services.list("Event"):
            services.delete("Event", each["metadata"]["name"])
        with alone.server.hold({"verb": "patch", "resource": "horizontalpodautoscalers"}) as waiting:
            services.change("iris", {"spec": {"predictor": {"maxReplicas": 7}}})
            alone.cluster.eventually(waiting)
            services.roll_out("iris-predictor")
        services.condition("iris", "Ready", "True")
        services.cluster.eventually(lambda: "InferenceServiceReady" in reasons(services))
    assert "InferenceServiceNotReady" not in reasons(services)


def reasons(services: Services) -> set[str]:
    return {each["reason"] for each in services.list("Event")}


def test_what_happened_while_the_server_was_gone_is_made_up_for(alone: Alone) -> None:
    services = alone.services
    with alone.operate():
        for name in ("changed", "deleted", "stopped"):
            services.declare(isvc(name))
            services.appears("Ingress", name)
            services.settled(name)
        with gone(alone):
            services.change("changed", {"spec": {"predictor": {"model": {"args": ["--more"]}}}})
            services.delete("InferenceService", "deleted")
            services.annotate("stopped", stop="true")
            services.declare(isvc("made"))
            services.delete("Deployment", "changed-predictor")
        services.appears("Ingress", "made")
        args = services.appears("Deployment", "changed-predictor")["spec"]["template"]["spec"]["containers"][0]["args"]
        assert "--more" in args
        services.disappears("Deployment", "stopped-predictor")
        services.disappears("Deployment", "deleted-predictor")


def test_a_service_that_went_away_while_the_history_was_forgotten_does_not_come_back(alone: Alone) -> None:
    services = alone.services
    with alone.operate():
        for name in ("one", "two"):
            services.declare(isvc(name))
            services.appears("Ingress", name)
            services.settled(name)
        with gone(alone):
            for name in ("one", "two"):
                services.delete("InferenceService", name)
                services.disappears("Deployment", f"{name}-predictor")
            alone.server.compact()
            alone.server.requests.clear()
        services.declare(isvc("three"))
        services.appears("Ingress", "three")
        services.settled("three")
        made = {each.name for each in alone.writes() if each.resource != "events"}
        assert made == {"three", "three-predictor"}


def test_objects_that_went_away_while_the_history_was_forgotten_come_back(alone: Alone) -> None:
    services = alone.services
    with alone.operate():
        services.declare(isvc("iris", minReplicas=2))
        services.appears("Ingress", "iris")
        services.settled("iris")
        with gone(alone):
            services.delete("HorizontalPodAutoscaler", "iris-predictor")
            services.delete("Deployment", "iris-predictor")
            alone.server.compact()
        services.appears("Deployment", "iris-predictor")
        services.appears("HorizontalPodAutoscaler", "iris-predictor")


def test_watches_that_are_dropped_again_and_again_miss_nothing(alone: Alone) -> None:
    services = alone.services
    with alone.operate():
        for number in range(6):
            services.declare(isvc(f"s{number}"))
            alone.server.drop_watches()
        for number in range(6):
            services.appears("Ingress", f"s{number}")
            services.roll_out(f"s{number}-predictor")
            alone.server.drop_watches()
        for number in range(6):
            services.condition(f"s{number}", "Ready", "True")


def test_a_service_whose_end_no_watch_has_told_is_not_made_again(alone: Alone) -> None:
    services = alone.services
    with alone.operate():
        services.declare(isvc("ghost"))
        services.appears("Ingress", "ghost")
        services.settled("ghost")
        alone.server.fail({"verb": "watch", "resource": SERVICE}, 500, times=100_000)
        alone.server.drop_watches()
        services.delete("InferenceService", "ghost")
        services.disappears("Deployment", "ghost-predictor")
        alone.server.requests.clear()
        alone.cluster.eventually(lambda: any(_asks_for_the_ghost(each) for each in list(alone.server.requests)))
        alone.server.heal()
        services.declare(isvc("marker"))
        services.appears("Ingress", "marker")
        assert not [each for each in alone.writes() if each.name.startswith("ghost")]


def _are_left(services: Services, kind: str, names: set[str]) -> bool:
    return services.names(kind) == names


def _asks_for_the_ghost(record: Record) -> bool:
    """Whether the operator has seen by itself that the service is gone."""
    if not is_operators(record) or record.resource != SERVICE:
        return False
    return record.verb == "list" or (record.verb, record.name, record.code) == ("get", "ghost", 404)


def test_a_start_where_everything_is_there_writes_nothing(alone: Alone) -> None:
    services = alone.services
    names = [f"s{number}" for number in range(5)]
    with alone.operate():
        for name in names:
            services.declare(isvc(name, minReplicas=2))
            services.roll_out(f"{name}-predictor")
        for name in names:
            services.condition(name, "Ready", "True")
    alone.server.requests.clear()
    with alone.operate():
        services.declare(isvc("marker"))
        services.appears("Ingress", "marker")
        services.settled("marker")
        alone.server.drop_watches()
        services.change("marker", {"spec": {"predictor": {"model": {"args": ["--more"]}}}})
        services.settled("marker")
    assert {each.name for each in alone.writes()} == {"marker", "marker-predictor"}


def test_an_operator_that_finds_no_server_starts_once_there_is_one(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "_BACKOFF", 0.05)
    services = alone.services
    services.declare(isvc("iris"))
    alone.server.fail(is_operators, 503, times=3)
    with alone.operate():
        services.appears("Ingress", "iris")


def test_many_services_come_change_and_go_at_once(alone: Alone) -> None:
    services = alone.services
    names = [f"s{number}" for number in range(60)]
    with alone.operate():
        for name in names:
            services.declare(isvc(name))
        for number, name in enumerate(names):
            if number % 3 == 0:
                services.delete("InferenceService", name)
            elif number % 3 == 1:
                services.change(name, {"spec": {"predictor": {"model": {"args": ["--more"]}}}})
        left = {f"{name}-predictor" for number, name in enumerate(names) if number % 3}
        for kind in ("Deployment", "Service", "HorizontalPodAutoscaler"):
            alone.cluster.eventually(functools.partial(_are_left, services, kind, left))

        def has_arguments() -> bool:
            changed = [each for each in services.list("Deployment") if int(each["metadata"]["name"][1:-10]) % 3 == 1]
            found = [each["spec"]["template"]["spec"]["containers"][0]["args"] for each in changed]
            return len(found) == 20 and all("--more" in each for each in found)

        alone.cluster.eventually(has_arguments)
