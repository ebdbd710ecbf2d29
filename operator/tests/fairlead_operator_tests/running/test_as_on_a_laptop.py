"""The status of a service in a cluster is the one that it has on a laptop, where the same is true of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead.resolve.observation import (
    ComponentObservation,
    Ingress,
    ReplicaObservation,
    ReplicaStage,
    RevisionObservation,
    ServiceObservation,
    Share,
)
from fairlead.resolve.service import ComponentKind
from fairlead.resolve.status import derive
from fairlead_operator_tests.desired import services as spoken
from fairlead_operator_tests.running.services import isvc

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services

REVISION: Final = "iris-predictor-00001"
TOLD: Final = "The bucket has no such object."
WHERE: Final = frozenset({"location", "time"})


def on_a_laptop(stage: ReplicaStage, **replica: Any) -> dict[str, Any]:
    """The status of a service on a laptop whose one replica has come so far."""
    ready = stage is ReplicaStage.READY
    revision = RevisionObservation(
        name=REVISION,
        desired=1,
        replicas=(ReplicaObservation(name="a", stage=stage, created_at=0.0, **replica),),
        ready=ready,
        answered=ready,
    )
    answering: dict[str, Any] = {"latest_ready": REVISION, "latest_rolled_out": REVISION} if ready else {}
    component = ComponentObservation(
        latest_created=REVISION,
        revisions=(revision,),
        traffic=(Share(revision=REVISION, percent=100, latest=True),) if ready else (),
        **answering,
    )
    observed = ServiceObservation(
        ingress=Ingress(ready=ready, reason="" if ready else "NotReady"),
        components={ComponentKind.PREDICTOR: component},
        url="http://iris",
        address="http://iris",
        generation=1,
    )
    service = spoken.resolved(spoken.isvc(spoken.MODEL))
    return derive(service, observed, None, "2026-01-01T00:00:00Z").model_dump(
        by_alias=True, exclude_none=True, mode="json"
    )


def shape(status: dict[str, Any]) -> dict[str, Any]:
    """What of a status is the same everywhere: no names of pods, addresses, times, nor words of the ingress."""
    model = {**status["modelStatus"]}
    if "lastFailureInfo" in model:
        model["lastFailureInfo"] = {key: each for key, each in model["lastFailureInfo"].items() if key not in WHERE}
    predictor = {key: each for key, each in status["components"]["predictor"].items() if not key.endswith("Url")}
    return {
        "conditions": {
            each["type"]: (each["status"], "" if each["type"] == "IngressReady" else each.get("reason"))
            for each in status["conditions"]
        },
        "model": model,
        "predictor": {key: each for key, each in predictor.items() if key != "url"},
        "fields": set(status) - {"clusterServingRuntimeName", "servingRuntimeName"},
    }


@pytest.mark.parametrize(
    ("stage", "replica"),
    [
        (ReplicaStage.STARTING, {}),
        (ReplicaStage.READY, {}),
        (
            ReplicaStage.FAILED,
            {"fetch_failed": True, "reason": "CrashLoopBackOff", "message": TOLD, "exit_code": 3, "restarts": 1},
        ),
    ],
)
def test_a_service_has_the_conditions_that_it_has_on_a_laptop(
    services: Services, stage: ReplicaStage, replica: dict[str, Any]
) -> None:
    services.declare(isvc("iris"))
    services.roll_out("iris-predictor", ready=int(stage is ReplicaStage.READY))
    if stage is ReplicaStage.FAILED:
        [pod] = services.list("Pod")
        failure: dict[str, Any] = {"waiting": "CrashLoopBackOff", "message": TOLD, "exit_code": 3}
        name = pod["metadata"]["name"]
        services.cluster.fail_pod(services.namespace, name, container="storage-initializer", **failure)
    wanted = shape(on_a_laptop(stage, **replica))

    def same() -> bool:
        assert shape(services.settled("iris")) == wanted
        return True

    services.cluster.eventually(same)
