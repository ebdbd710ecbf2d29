"""Predictors of several nodes as Kubernetes objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead import errors
from fairlead_operator.configuration.model import OperatorConfig, StorageInitializer
from fairlead_operator_tests.desired import services

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Desired, Manifest

HELD: Final = {"serving.kserve.io/autoscalerClass": "none"}
MODEL: Final = """
predictor:
  {more}
  model:
    modelFormat: {{name: huggingface}}
    storageUri: '{uri}'
    resources: {{limits: {{nvidia.com/gpu: '{gpus}'}}}}
  workerSpec:
    tensorParallelSize: {tensor}
    pipelineParallelSize: {pipeline}
    containers: [{{name: worker-container, resources: {worker}}}]
"""


def nodes(
    more: str = "",
    *,
    uri: str = "pvc://claim/llama",
    gpus: int = 1,
    tensor: int = 1,
    pipeline: int = 2,
    worker: str = "{}",
    annotations: dict[str, str] | None = None,
    **surroundings: Any,
) -> Desired:
    """The objects of a service over several nodes."""
    text = MODEL.format(more=more, uri=uri, gpus=gpus, tensor=tensor, pipeline=pipeline, worker=worker)
    return services.rendered(services.isvc(text, annotations={**HELD, **(annotations or {})}), **surroundings)


def role(desired: Desired, kind: str) -> Manifest:
    """The Service of the head or of the workers."""
    [found] = [
        each
        for each in desired.objects
        if each["kind"] == "Service" and each["metadata"]["labels"].get("multinode/role") == kind
    ]
    return found


def variables(desired: Desired, name: str) -> dict[str, str]:
    container = services.found(desired, "Deployment", name)["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each["value"] for each in container["env"]}


def test_there_is_no_autoscaler_and_no_disruption_budget() -> None:
    kinds = [kind for kind, _ in services.kinds(nodes())]
    assert kinds == ["Service", "Service", "Service", "Deployment", "Deployment", "Ingress"]


def test_workers_find_the_head_that_was_made_with_them() -> None:
    desired = nodes()
    head, workers = role(desired, "head"), role(desired, "worker")
    told = variables(desired, "iris-predictor-worker")
    assert (told["HEAD_SVC"], told["WORKER_SVC"]) == (head["metadata"]["name"], workers["metadata"]["name"])
    for each, name in ((head, "iris-predictor"), (workers, "iris-predictor-worker")):
        labels = services.found(desired, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"].items() <= labels.items()
        assert each["spec"]["clusterIP"] == "None"
        assert each["spec"]["publishNotReadyAddresses"]


def test_the_service_that_is_asked_leads_to_the_head_alone() -> None:
    desired = nodes()
    selector = services.found(desired, "Service", "iris-predictor")["spec"]["selector"]
    worker = services.found(desired, "Deployment", "iris-predictor-worker")["spec"]["template"]["metadata"]["labels"]
    assert selector == {"app": "isvc.iris-predictor"}
    assert worker["app"] == "isvc.iris-predictor-worker"


@pytest.mark.parametrize(
    ("sizes", "replicas", "devices"),
    [
        ({"tensor": 1, "pipeline": 3}, 2, ("1", "1")),
        ({"tensor": 4, "pipeline": 2, "gpus": 4, "worker": "{limits: {nvidia.com/gpu: '4'}}"}, 1, ("4", "4")),
        ({"tensor": 2, "pipeline": 2, "gpus": 4}, 0, ("4", "0")),
        ({"tensor": 1, "pipeline": 2, "gpus": 3}, 0, ("3", "0")),
    ],
)
def test_there_are_as_many_nodes_as_the_model_needs(
    sizes: dict[str, Any], replicas: int, devices: tuple[str, str]
) -> None:
    desired = nodes(**sizes)
    assert services.found(desired, "Deployment", "iris-predictor-worker")["spec"]["replicas"] == replicas
    assert services.found(desired, "Deployment", "iris-predictor")["spec"]["replicas"] == 1
    head, worker = variables(desired, "iris-predictor"), variables(desired, "iris-predictor-worker")
    assert (head["REQUEST_GPU_COUNT"], worker["REQUEST_GPU_COUNT"]) == devices
    for told in (head, worker):
        assert told["RAY_NODE_COUNT"] == str(replicas + 1)
        assert told["TENSOR_PARALLEL_SIZE"] == str(sizes["tensor"])
        assert told["PIPELINE_PARALLEL_SIZE"] == str(sizes["pipeline"])


def test_both_kinds_of_pods_have_the_model() -> None:
    desired = nodes()
    for name in ("iris-predictor", "iris-predictor-worker"):
        pod = services.found(desired, "Deployment", name)["spec"]["template"]["spec"]
        assert [each["mountPath"] for each in pod["containers"][0]["volumeMounts"]] == ["/mnt/models"]
        assert [each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"]] == ["claim"]


@pytest.mark.parametrize(
    "change",
    [
        {"more": "timeout: 5"},
        {"annotations": {"serving.kserve.io/disable-auto-update": "true"}},
        {"generation": 9},
        {"config": OperatorConfig(headless=True)},
    ],
)
def test_an_edit_that_is_not_of_the_pods_replaces_none(change: dict[str, Any]) -> None:
    before, after = nodes(), nodes(**change)
    for name in ("iris-predictor", "iris-predictor-worker"):
        found = [services.found(each, "Deployment", name)["spec"]["template"] for each in (before, after)]
        assert found[0] == found[1]


@pytest.mark.parametrize(
    "change",
    [
        {"uri": "pvc://claim/other"},
        {"worker": "{limits: {memory: 9Gi}}"},
        {"annotations": {"example.com/of-pods": "x"}},
        {"uri": "oci://r/m:1", "config": OperatorConfig(storage=StorageInitializer(oci_mode="native"))},
    ],
)
def test_an_edit_of_either_pod_makes_both_anew_with_services_of_their_own(change: dict[str, Any]) -> None:
    before, after = nodes(), nodes(**change)
    makes = [role(each, "head")["spec"]["selector"]["isvc.generation"] for each in (before, after)]
    assert makes[0] != makes[1]
    for name in ("iris-predictor", "iris-predictor-worker"):
        template = services.found(after, "Deployment", name)["spec"]["template"]
        assert template["metadata"]["labels"]["isvc.generation"] == makes[1]


def test_a_predictor_with_a_name_has_it_in_the_names_of_all_its_objects() -> None:
    desired = nodes("name: big")
    names = {name for kind, name in services.kinds(desired) if kind in ("Service", "Deployment")}
    make = role(desired, "head")["spec"]["selector"]["isvc.generation"]
    assert names == {
        "iris-big-predictor",
        "iris-big-predictor-worker",
        f"iris-big-head-{make}",
        f"iris-big-workers-{make}",
    }


def test_a_service_that_is_held_at_no_replicas_has_no_workers_either() -> None:
    desired = nodes("minReplicas: 0")
    replicas = [
        services.found(desired, "Deployment", name)["spec"]["replicas"]
        for name in ("iris-predictor", "iris-predictor-worker")
    ]
    assert replicas == [0, 0]


def test_too_few_devices_are_refused() -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        nodes(tensor=4, pipeline=2, gpus=1, worker="{limits: {nvidia.com/gpu: '4'}}")
    assert caught.value.condition == "InvalidGPUAllocation"
