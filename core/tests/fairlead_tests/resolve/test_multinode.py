"""Predictors of several nodes: how devices are spread, and what the pods beside the first are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.resolve import multinode, resolving
from fairlead.resolve.multinode import Split
from fairlead.resolve.service import ResolvedWorkers
from fairlead_tests.resolve import worlds

if TYPE_CHECKING:
    from fairlead.resolve.catalogue import Catalogue

HELD = {"serving.kserve.io/autoscalerClass": "none"}
WORKERS = {
    "pipelineParallelSize": 2,
    "tensorParallelSize": 1,
    "containers": [
        {"name": "worker-container", "image": "example/ray:1", "env": [{"name": "A", "value": "1"}]},
        {"name": "watcher", "image": "example/watcher:1"},
    ],
    "nodeSelector": {"pool": "gpu"},
}
LLAMA = "modelFormat: {name: huggingface}, storageUri: 'pvc://claim/llama'"


def catalogue(**more: Any) -> Catalogue:
    formats = {"name": "huggingface", "version": "1"}
    return worlds.catalogue(
        cluster_runtimes=(
            worlds.cluster_runtime("one-node", formats),
            worlds.cluster_runtime("nodes", formats, **{"workerSpec": WORKERS, **more}),
        )
    )


def resolved(predictor: str, said: dict[str, str] | None = None, **more: Any) -> Any:
    return worlds.resolved(f"{{predictor: {predictor}}}", catalogue(**more), annotations=HELD if said is None else said)


def workers(predictor: str, **more: Any) -> ResolvedWorkers:
    found = resolved(predictor, **more).predictor.workers
    assert isinstance(found, ResolvedWorkers)
    return found


@pytest.mark.parametrize(
    ("tensor", "pipeline", "head", "worker", "expected"),
    [
        (1, 1, 0, 0, Split(1, 1, 0)),
        (1, 2, 0, 0, Split(2, 1, 1)),
        (2, 2, 0, 0, Split(4, 1, 1)),
        (4, 2, 0, 4, Split(2, 4, 4)),
        (4, 2, 0, 3, Split(3, 2, 3)),
        (4, 2, 4, 4, Split(2, 4, 4)),
        (4, 2, 8, 4, Split(1, 8, 0)),
        (2, 1, 0, 2, Split(1, 2, 0)),
        (4, 2, 8, 0, Split(1, 8, 0)),
        (4, 2, 4, 0, Split(5, 4, 1)),
        (1, 1, 4, 0, Split(1, 4, 0)),
        (2, 3, 4, 4, Split(2, 4, 4)),
    ],
)
def test_devices_are_spread_so_that_all_that_the_model_needs_are_there(
    tensor: int, pipeline: int, head: int, worker: int, expected: Split
) -> None:
    found = multinode.split(tensor, pipeline, head=head, worker=worker)
    assert found == expected
    assert found.head + found.worker * (found.nodes - 1) >= tensor * pipeline


def test_a_server_that_makes_its_own_processes_has_the_sizes_as_they_are() -> None:
    assert multinode.split(4, 2, head=1, worker=1, processes=True) == Split(2, 4, 4)


def test_too_few_devices_are_refused_with_a_remedy() -> None:
    with pytest.raises(errors.Unresolvable, match="need 8 GPUs, and 2 nodes") as caught:
        multinode.split(4, 2, head=1, worker=4)
    assert caught.value.condition == "InvalidGPUAllocation"
    assert caught.value.remedy


def test_workers_are_those_of_the_runtime_with_what_the_service_says_over_them() -> None:
    found = workers(
        f"""{{model: {{{LLAMA}, resources: {{limits: {{nvidia.com/gpu: 2}}}}}},
             workerSpec: {{tensorParallelSize: 2, nodeSelector: {{disk: ssd}},
                           containers: [{{image: 'example/ray:2', env: [{{name: B, value: '2'}}],
                                          resources: {{requests: {{nvidia.com/gpu: 2}}}}}}]}}}}"""
    )
    assert (found.tensor_parallel_size, found.pipeline_parallel_size, found.nodes) == (2, 2, 2)
    worker, watcher = found.pod["containers"]
    assert (worker["name"], worker["image"]) == ("worker-container", "example/ray:2")
    assert [each["name"] for each in worker["env"]] == ["A", "B"]
    assert worker["resources"] == {"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": "2"}}
    assert watcher["name"] == "watcher"
    assert found.pod["nodeSelector"] == {"pool": "gpu", "disk": "ssd"}


def test_the_runtime_with_workers_is_chosen_for_a_service_over_several_nodes_and_for_no_other() -> None:
    several = resolved(f"{{model: {{{LLAMA}}}, workerSpec: {{}}}}").predictor
    one = resolved(f"{{model: {{{LLAMA}}}}}").predictor
    assert (several.model.runtime.name, one.model.runtime.name) == ("nodes", "one-node")
    assert one.workers is None


@pytest.mark.parametrize("resource", ["amd.com/gpu", "nvidia.com/gpu"])
def test_the_resource_is_the_one_that_is_asked_for(resource: str) -> None:
    text = f"{{model: {{{LLAMA}, resources: {{limits: {{{resource}: 1}}}}}}, workerSpec: {{}}}}"
    found = resolved(text).predictor
    assert found.workers.gpu_resource == resource
    assert found.pod["containers"][0]["resources"]["requests"] == {resource: "1"}


def test_a_resource_that_the_service_adds_counts_as_a_gpu() -> None:
    more = {**HELD, "serving.kserve.io/gpu-resource-types": '["example.com/gpu"]'}
    text = f"{{model: {{{LLAMA}, resources: {{limits: {{example.com/gpu: 1}}}}}}, workerSpec: {{}}}}"
    assert resolved(text, more).predictor.workers.gpu_resource == "example.com/gpu"


def test_head_and_workers_have_the_same_image_for_gpus() -> None:
    more = {"annotations": {"serving.kserve.io/server-type": "huggingfaceserver"}}
    found = resolved(f"{{model: {{{LLAMA}}}, workerSpec: {{}}}}", **more).predictor
    assert found.pod["containers"][0]["image"] == "example/nodes:1-gpu"
    assert found.workers.pod["containers"][0]["image"] == "example/ray:1-gpu"


def test_the_backend_of_the_runtime_decides_who_counts_devices() -> None:
    more = {"annotations": {multinode.BACKEND_ANNOTATION: "mp"}}
    found = workers(f"{{model: {{{LLAMA}}}, workerSpec: {{tensorParallelSize: 4, pipelineParallelSize: 3}}}}", **more)
    assert (found.nodes, found.head_gpus, found.worker_gpus) == (3, 4, 4)


def test_containers_of_ones_own_can_be_several_nodes() -> None:
    found = workers(
        """{containers: [{name: kserve-container, image: x}],
            workerSpec: {pipelineParallelSize: 3, containers: [{name: worker-container, image: y}]}}"""
    )
    assert found.nodes == 3
    assert found.pod["containers"][0]["image"] == "y"


@pytest.mark.parametrize(
    ("predictor", "annotations", "condition"),
    [
        (f"{{model: {{{LLAMA}, runtime: one-node}}, workerSpec: {{}}}}", HELD, "InvalidWorkerSpecNotSet"),
        (f"{{minReplicas: 2, model: {{{LLAMA}}}, workerSpec: {{}}}}", HELD, "InvalidReplicas"),
        (f"{{model: {{{LLAMA}}}, workerSpec: {{}}}}", {}, "UnsupportedAutoscaler"),
        (
            f"""{{model: {{{LLAMA}, resources: {{limits: {{amd.com/gpu: 1}}}}}},
                 workerSpec: {{containers: [{{resources: {{limits: {{nvidia.com/gpu: 1}}}}}}]}}}}""",
            HELD,
            "InvalidGPUAllocation",
        ),
        ("{containers: [{name: kserve-container, image: x}], workerSpec: {}}", HELD, "InvalidPredictorSpec"),
        (
            f"{{model: {{{LLAMA}}}, workerSpec: {{}}}}",
            {**HELD, "serving.kserve.io/gpu-resource-types": "amd"},
            "InvalidAnnotation",
        ),
    ],
)
def test_what_cannot_be_several_nodes_is_refused_with_a_remedy(
    predictor: str, annotations: dict[str, str], condition: str
) -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        resolved(predictor, annotations)
    assert caught.value.condition == condition
    assert caught.value.remedy


def test_a_service_over_several_nodes_without_a_runtime_for_that_is_told_so() -> None:
    with pytest.raises(errors.Unresolvable, match="No runtime serves") as caught:
        worlds.resolved(
            "{predictor: {sklearn: {storageUri: 'pvc://m'}, workerSpec: {}}}", worlds.catalogue(), annotations=HELD
        )
    assert caught.value.condition == "NoSupportingRuntime"
    assert "workerSpec" in str(caught.value.remedy)


def test_other_workers_make_another_revision() -> None:
    first, second = (
        resolving.revision_digest(resolved(f"{{model: {{{LLAMA}}}, workerSpec: {{{text}}}}}").predictor)
        for text in ("", "containers: [{env: [{name: C, value: '3'}]}]")
    )
    assert first != second
