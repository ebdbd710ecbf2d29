"""Predictors of several nodes.

What KServe tests, and where that is tested here:

- head and workers, no autoscaler: test_head_and_workers_come_to_objects_and_nothing_scales_them
- sizes of the service; devices of head, worker: test_there_are_as_many_nodes_as_the_sizes_and_devices_ask_for
- head alone when it has all devices: the same
- error when there are too few devices: test_too_few_devices_are_told_and_nothing_is_made
- allowed when there are too many: test_there_are_as_many_nodes_as_the_sizes_and_devices_ask_for
- replicas are not taken away by an update: test_an_update_keeps_the_number_of_workers
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead_operator_tests.running import shapes
from fairlead_operator_tests.running.services import isvc, runtime

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services

GPU = "nvidia.com/gpu"
WORKER = {"name": "worker-container", "image": "example/worker:1"}


def spread(services: Services, head: int | None = None, worker: int | None = None, **sizes: int) -> dict[str, Any]:
    """Declare a service over several nodes, and its runtime."""
    containers = [{**WORKER, **_devices(worker)}]
    sized = {"pipelineParallelSize": 2, "tensorParallelSize": 1}
    services.declare(
        runtime("nodes", kind="ServingRuntime", model_format="big", workerSpec={**sized, "containers": [WORKER]})
    )
    model = {"modelFormat": {"name": "big"}, "storageUri": "pvc://claim/big", **_devices(head)}
    own = {**sizes, **({"containers": containers} if worker else {})}
    return services.declare(isvc("big", annotations={shapes.CLASS: "none"}, model=model, workerSpec=own))


def _devices(count: int | None) -> dict[str, Any]:
    return {} if count is None else {"resources": {"limits": {GPU: str(count)}, "requests": {GPU: str(count)}}}


def devices(services: Services, deployment: str) -> str:
    return str(services.pod(deployment)["containers"][0]["resources"]["limits"][GPU])


def test_head_and_workers_come_to_objects_and_nothing_scales_them(services: Services) -> None:
    spread(services)
    head = {each["name"]: each.get("value") for each in services.pod("big-predictor")["containers"][0]["env"]}
    worker = {each["name"]: each.get("value") for each in services.pod("big-predictor-worker")["containers"][0]["env"]}
    assert (head["RAY_NODE_COUNT"], head["PIPELINE_PARALLEL_SIZE"]) == ("2", "2")
    for each in (worker["HEAD_SVC"], worker["WORKER_SVC"]):
        found = services.appears("Service", str(each))["spec"]
        assert (found["clusterIP"], found["publishNotReadyAddresses"]) == ("None", True)
    services.roll_out("big-predictor")
    services.roll_out("big-predictor-worker", ready=0)
    services.condition("big", "Ready", "Unknown")
    services.roll_out("big-predictor-worker")
    services.condition("big", "Ready", "True")
    for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"):
        assert not services.names(kind)


@pytest.mark.parametrize(
    ("how", "nodes", "on_head", "on_worker"),
    [
        ({"pipelineParallelSize": 3}, 3, 1, 1),
        ({"tensorParallelSize": 4, "pipelineParallelSize": 1}, 4, 1, 1),
        ({"tensorParallelSize": 3, "head": 2}, 5, 2, 1),
        ({"tensorParallelSize": 3, "worker": 3}, 2, 3, 3),
        ({"tensorParallelSize": 2, "head": 4}, 1, 4, None),
        ({"tensorParallelSize": 2, "worker": 4}, 1, 4, None),
        ({"tensorParallelSize": 1, "head": 2, "worker": 4}, 1, 2, None),
    ],
)
def test_there_are_as_many_nodes_as_the_sizes_and_devices_ask_for(
    services: Services, how: dict[str, int], nodes: int, on_head: int, on_worker: int | None
) -> None:
    spread(services, **how)
    assert devices(services, "big-predictor") == str(on_head)
    assert services.appears("Deployment", "big-predictor-worker")["spec"]["replicas"] == nodes - 1
    if on_worker is not None:
        assert devices(services, "big-predictor-worker") == str(on_worker)
    assert services.appears("Deployment", "big-predictor")["spec"]["replicas"] == 1


def test_too_few_devices_are_told_and_nothing_is_made(services: Services) -> None:
    spread(services, head=1, worker=2, tensorParallelSize=4, pipelineParallelSize=1)
    services.condition("big", "PredictorReady", "False", "InvalidGPUAllocation")
    assert not services.names("Deployment")
    services.change("big", {"spec": {"predictor": {"model": _devices(2)}}})
    services.appears("Deployment", "big-predictor-worker")


def test_an_update_keeps_the_number_of_workers(services: Services) -> None:
    spread(services, pipelineParallelSize=4)
    assert services.appears("Deployment", "big-predictor-worker")["spec"]["replicas"] == 3
    before = services.names("Service")
    services.change("big", {"spec": {"predictor": {"model": {"env": [{"name": "A", "value": "1"}]}}}})
    for each, count in (("big-predictor", 1), ("big-predictor-worker", 3)):
        found = services.becomes("Deployment", each, lambda it: it["metadata"]["generation"] > 1)
        assert found["spec"]["replicas"] == count
    services.cluster.eventually(lambda: services.names("Service") != before and len(services.names("Service")) == 3)


def test_a_service_over_several_nodes_is_stopped_and_started_whole(services: Services) -> None:
    spread(services)
    services.appears("Deployment", "big-predictor-worker")
    services.annotate("big", stop="true")
    services.cluster.eventually(lambda: not services.names("Deployment") | services.names("Service"))
    services.annotate("big", stop="false")
    services.cluster.eventually(lambda: (len(services.names("Deployment")), len(services.names("Service"))) == (2, 3))
