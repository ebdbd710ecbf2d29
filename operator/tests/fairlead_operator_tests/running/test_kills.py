"""An operator that is killed at any moment: the next one makes of everything what an undisturbed one would have."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead_operator_tests.running.services import HOME, Services, isvc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fairlead_operator_tests.running.operating import Alone

COUNT: Final = 20
STOPPED: Final = range(1, COUNT, 6)
COMMAND: Final = (sys.executable, "-m", "fairlead_operator.cli", "run", "--no-lease", "--no-webhooks")
FLAGS: Final = ("--metrics-port", "0", "--health-port", "0", "--log-format", "plain")
CHILDREN: Final = ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress")
KINDS: Final = ("InferenceService", *CHILDREN)
_OF_THE_MOMENT: Final = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "lastTransitionTime", "managedFields", "generation", "clusterIP",
     "clusterIPs", "observedGeneration", "fairlead.io/applied", "ipFamilies", "ipFamilyPolicy"}
)  # fmt: skip


def made(services: Services) -> None:
    for number in range(COUNT):
        services.declare(isvc(f"s{number}", minReplicas=1 + number % 2))


def changed(services: Services) -> None:
    for number in range(0, COUNT, 2):
        services.change(f"s{number}", {"spec": {"predictor": {"model": {"args": ["--more"]}}}})
    for number in range(0, COUNT, 5):
        services.annotate(f"s{number}", autoscalerClass="none")


def thinned(services: Services) -> None:
    for number in range(0, COUNT, 3):
        services.delete("InferenceService", f"s{number}")
    for number in STOPPED:
        services.annotate(f"s{number}", stop="true")


PHASES: Final[tuple[Callable[[Services], None], ...]] = (made, changed, thinned)


@contextlib.contextmanager
def operator(kubeconfig: Path, log: Path) -> Iterator[None]:
    """The command, until it is killed."""
    environ = {**os.environ, "KUBECONFIG": str(kubeconfig), "POD_NAMESPACE": HOME}
    with (
        log.open("ab") as output,
        subprocess.Popen([*COMMAND, *FLAGS], stdout=output, stderr=output, env=environ) as it,
    ):
        try:
            yield
        finally:
            it.send_signal(signal.SIGKILL)


def is_reached(alone: Alone, services: Services, moment: int) -> bool:
    """Whether so much has been written, or there is nothing more to write."""
    return len(alone.writes()) >= moment or is_over(services)


def everything(services: Services) -> dict[tuple[str, str], Any]:
    """All objects of a namespace, without what is of the moment."""
    return {
        (kind, each["metadata"]["name"]): plain(each, services.namespace)
        for kind in KINDS
        for each in services.list(kind)
    }


def plain(value: Any, namespace: str) -> Any:
    if isinstance(value, dict):
        return {key: plain(each, namespace) for key, each in value.items() if key not in _OF_THE_MOMENT}
    if isinstance(value, list):
        return [plain(each, namespace) for each in value]
    return value.replace(namespace, "here") if isinstance(value, str) else value


def is_over(services: Services) -> bool:
    """Whether every service has the status of its spec, and no object is left of one that is gone."""
    declared = {each["metadata"]["uid"]: each for each in services.list("InferenceService")}
    children = [each for kind in CHILDREN for each in services.list(kind)]
    owners = {each["metadata"]["ownerReferences"][0]["uid"] for each in children}
    return owners <= declared.keys() and all(
        (each.get("status") or {}).get("observedGeneration") == each["metadata"]["generation"]
        for each in declared.values()
    )


@pytest.fixture
def undisturbed(alone: Alone) -> dict[tuple[str, str], Any]:
    """What comes of it where nothing happens to the operator."""
    services = alone.services
    with alone.operate():
        for phase in PHASES:
            phase(services)
            alone.cluster.eventually(lambda: is_over(services))
        for number in STOPPED:
            for kind in CHILDREN[:-1]:
                services.disappears(kind, f"s{number}-predictor")
        services.declare(isvc("last"))
        services.settled("last")  # by now, what came before it has been looked at
        services.delete("InferenceService", "last")
        alone.cluster.eventually(lambda: is_over(services))
        return everything(services)


def test_an_operator_that_is_killed_at_random_moments_loses_nothing(
    alone: Alone, undisturbed: dict[tuple[str, str], Any]
) -> None:
    moments = [random.randint(1, 60) for _ in PHASES]
    with alone.cluster.namespace() as namespace:
        services = Services(alone.cluster, namespace)
        for phase, moment in zip(PHASES, moments, strict=True):
            alone.server.requests.clear()
            phase(services)
            with operator(alone.cluster.kubeconfig, alone.folder / "killed.log"):
                alone.cluster.eventually(functools.partial(is_reached, alone, services, moment))
        with alone.operate():
            alone.cluster.eventually(lambda: is_over(services))
            with contextlib.suppress(TimeoutError):
                alone.cluster.eventually(lambda: everything(services) == undisturbed)
            assert everything(services) == undisturbed, moments
