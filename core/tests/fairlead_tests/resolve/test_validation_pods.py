"""Rules about the containers of a component, and about replicas of several nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import strategies

from fairlead_tests.resolve.validating import CLASS, MODEL, problems, service

if TYPE_CHECKING:
    from fairlead.api import InferenceService

PYTHONPATH = {"name": "PYTHONPATH", "value": "/x"}
FORBIDDEN = (
    "PYTHONPATH is not allowed: it would put modules before those of the image. Take it out, and install the modules "
    "in the image."
)
HELD = {CLASS: "none"}
GPU = "nvidia.com/gpu"
GPU_TYPES = "serving.kserve.io/gpu-resource-types"
NAMES = strategies.sampled_from(["kserve-container", "PYTHONPATH", "PROTOCOL", "cpu", "1Gi", "", "\0"])
FIELDS = strategies.sampled_from(
    [
        "name",
        "image",
        "command",
        "env",
        "value",
        "valueFrom",
        "ports",
        "containerPort",
        "resources",
        "limits",
        "requests",
    ]
)


# -- 3: PYTHONPATH --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"predictor": {"model": {**MODEL, "env": [PYTHONPATH]}}}, "spec.predictor.model"),
        ({"predictor": {"sklearn": {"env": [PYTHONPATH]}}}, "spec.predictor.model"),
        ({"predictor": {"containers": [{"env": [PYTHONPATH]}]}}, "spec.predictor.containers[0]"),
        (
            {"predictor": {"model": MODEL, "containers": [{"name": "x", "env": [PYTHONPATH]}]}},
            "spec.predictor.containers[0]",
        ),
        (
            {"predictor": {"model": MODEL, "initContainers": [{"name": "x", "env": [PYTHONPATH]}]}},
            "spec.predictor.initContainers[0]",
        ),
        ({"transformer": {"containers": [{"env": [PYTHONPATH]}]}}, "spec.transformer.containers[0]"),
        ({"explainer": {"containers": [{"env": [PYTHONPATH]}]}}, "spec.explainer.containers[0]"),
        ({"explainer": {"art": {"env": [PYTHONPATH]}}}, "spec.explainer.art"),
        (
            {
                "predictor": {"model": MODEL, "minReplicas": 1},
                "canary": [{"trafficPercent": 1, "predictor": {"name": "b", "model": {**MODEL, "env": [PYTHONPATH]}}}],
            },
            "spec.canary[0].predictor.model",
        ),
    ],
)
def test_no_container_sets_pythonpath(spec: dict[str, Any], path: str) -> None:
    assert problems(service(**spec)) == [f"{path}.env[0]: {FORBIDDEN}"]


def test_no_worker_sets_pythonpath() -> None:
    found = problems(nodes(containers=[{"name": "worker", "env": [PYTHONPATH]}]))
    assert found == [f"spec.predictor.workerSpec.containers[0].env[0]: {FORBIDDEN}"]


# -- 4: several nodes -----------------------------------------------------------------------------------------


def nodes(
    model: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, **worker: Any
) -> InferenceService:
    block = {"modelFormat": {"name": "huggingface"}, "storageUri": "pvc://models/llama", **(model or {})}
    return service({"model": block, "workerSpec": worker}, annotations=HELD if annotations is None else annotations)


def test_replicas_of_several_nodes_are_well_formed() -> None:
    worker = {"name": "worker", "resources": {"limits": {GPU: 4, "cpu": 1}}}
    assert problems(nodes(containers=[worker], pipelineParallelSize=2, tensorParallelSize=4)) == []
    assert problems(nodes({"storageUri": "oci://registry/llama"})) == []


def test_a_worker_has_one_container() -> None:
    (found,) = problems(nodes(containers=[{"name": "a"}, {"name": "b"}]))
    assert found == "spec.predictor.workerSpec.containers: there are 2, and may be one. Take the others out."


@pytest.mark.parametrize("field", ["pipelineParallelSize", "tensorParallelSize"])
def test_the_sizes_of_a_worker_are_at_least_one(field: str) -> None:
    least: dict[str, Any] = {field: 1}
    none: dict[str, Any] = {field: 0}
    assert problems(nodes(**least)) == []
    assert problems(nodes(**none)) == [f"spec.predictor.workerSpec.{field}: 0 is below 1. Write 1 or more."]


def test_gpus_of_several_nodes_are_known() -> None:
    strange = {"resources": {"limits": {"example.com/gpu": 1}}}
    for declared in (nodes(strange), nodes(containers=[{"name": "worker", **strange}])):
        (found,) = problems(declared)
        assert '"example.com/gpu" is not known as a GPU; amd.com/gpu, habana.ai/gaudi, intel.com/gpu and' in found
        assert f"Add it to the JSON list in the annotation {GPU_TYPES}." in found
    assert problems(nodes(strange, {**HELD, GPU_TYPES: '["example.com/gpu"]'})) == []
    assert problems(service({"model": {**MODEL, **strange}})) == []


@pytest.mark.parametrize("text", ["example.com/gpu", "{}", "[1]", "[" * 100_000])
def test_the_list_of_gpus_is_json(text: str) -> None:
    (found,) = problems(nodes(annotations={**HELD, GPU_TYPES: text}))
    assert "and not a JSON list of texts" in found


@pytest.mark.parametrize("name", ["PIPELINE_PARALLEL_SIZE", "TENSOR_PARALLEL_SIZE"])
def test_sizes_are_not_set_in_the_environment(name: str) -> None:
    (found,) = problems(nodes({"env": [{"name": name, "value": "2"}]}))
    assert found.startswith(f"spec.predictor.model.env[0]: {name} is not allowed: workerSpec says the sizes.")
    assert problems(service({"model": {**MODEL, "env": [{"name": name, "value": "2"}]}})) == []


@pytest.mark.parametrize("uri", [None, "s3://models/llama", "oci+native://x", "/models"])
def test_nodes_share_a_volume(uri: str | None) -> None:
    (found,) = problems(nodes({"storageUri": uri}))
    assert found.startswith("spec.predictor.model.storageUri: ")
    assert "give a pvc:// or oci:// address" in found


def test_replicas_of_several_nodes_are_not_scaled() -> None:
    for each in ({}, {CLASS: "hpa"}):
        (found,) = problems(nodes(annotations=each))
        assert f"Set {CLASS}: none" in found


def test_nodes_without_a_model_may_be_scaled() -> None:
    predictor = {"containers": [{"image": "x"}], "workerSpec": {"tensorParallelSize": 1}}
    assert problems(service(predictor)) == []


# -- 5 and 6: names and places --------------------------------------------------------------------------------


def test_a_transformer_beside_a_predictor_fetches_nothing() -> None:
    beside = {"name": "transformer-container", "env": [{"name": "STORAGE_URI", "value": "gs://x"}]}
    (found,) = problems(service({"model": MODEL, "containers": [beside]}))
    assert found.startswith("spec.predictor.containers[0].env[0]: STORAGE_URI is not allowed: a transformer-container")
    own = {"image": "x", "env": beside["env"]}
    assert problems(service({"containers": [own]}, transformer={"containers": [own]})) == []


@pytest.mark.parametrize("field", ["model", "sklearn"])
def test_the_container_of_a_model_has_no_name_of_its_own(field: str) -> None:
    block = {"name": "mine", **(MODEL if field == "model" else {})}
    (found,) = problems(service({field: block}))
    assert found.startswith('spec.predictor.model.name: "mine" is not allowed')
    assert problems(service({"model": {**MODEL, "name": ""}})) == []


# -- shapes ---------------------------------------------------------------------------------------------------


def custom(**fields: Any) -> InferenceService:
    return service({"containers": [{"image": "x", **fields}]})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"image": 1}, "image: 1 is no text. Write it in quotes."),
        ({"image": ["x"]}, 'image: ["x"] is no text.'),
        ({"command": "python -m x"}, 'command: "python -m x" is no list.'),
        ({"args": ["--workers", 2]}, "args[1]: 2 is no text. Write it in quotes."),
        ({"args": [None]}, "args[0]: nothing is no text. Write it in quotes."),
        ({"env": {"A": "1"}}, 'env: {"A": "1"} is no list.'),
        ({"env": ["A=1"]}, 'env[0]: "A=1" is no object.'),
        ({"env": [{"name": "A", "value": 1}]}, "env[0].value: 1 is no text. Write it in quotes."),
        ({"env": [{"name": "A", "value": True}]}, "env[0].value: true is no text. Write it in quotes."),
        ({"env": [{"value": "1"}]}, "env[0].name: null is no name of a variable."),
        ({"env": [{"name": "A=B"}]}, 'env[0].name: "A=B" is no name of a variable.'),
        (
            {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {}}}]},
            "env[0]: it has a value and valueFrom. Keep one of them.",
        ),
        ({"ports": [{"containerPort": "80"}]}, 'ports[0].containerPort: "80" is no port from 1 to 65535.'),
        ({"ports": [{"containerPort": 65536}]}, "ports[0].containerPort: 65536 is no port from 1 to 65535."),
        ({"resources": "much"}, 'resources: "much" is no object with requests and limits.'),
        ({"resources": {"limits": ["cpu"]}}, 'resources.limits: ["cpu"] is no object with amounts by resource.'),
        (
            {"resources": {"limits": {"memory": "2 GB"}}},
            'resources.limits.memory: "2 GB" is no amount such as 500m, 2Gi or 3.',
        ),
        (
            {"resources": {"limits": {"cpu": -1}, "requests": {"cpu": 0}}},
            "resources.limits.cpu: -1 is no amount such as 500m, 2Gi or 3.",
        ),
    ],
)
def test_a_container_has_the_shape_that_kubernetes_gives_it(fields: dict[str, Any], problem: str) -> None:
    assert problem in [text.removeprefix("spec.predictor.containers[0].") for text in problems(custom(**fields))]


def test_a_request_is_within_its_limit() -> None:
    found = problems(custom(resources={"requests": {"memory": "3Gi"}, "limits": {"memory": "2048Mi"}}))
    assert found == [
        (
            'spec.predictor.containers[0].resources.requests.memory: "3Gi" is more than the limit "2048Mi". Raise the '
            "limit, or request less."
        )
    ]
    assert problems(custom(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "2048Mi"}})) == []


def test_each_container_has_a_name_of_its_own() -> None:
    beside = [{"name": "x"}, {"name": "x"}, {}, {"name": "X Y"}, {"name": 1}]
    found = problems(service({"model": MODEL, "containers": beside}))
    assert [text.partition(":")[0] for text in found] == [
        f"spec.predictor.containers[{index}].name" for index in (1, 2, 3, 4)
    ]


def test_what_is_not_known_of_a_container_is_passed_on() -> None:
    assert problems(custom(someFieldOfTomorrow={"deep": [1, 2.5, None]}, livenessProbe={"httpGet": 1})) == []


VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats(allow_nan=False) | NAMES,
    lambda below: strategies.lists(below, max_size=3) | strategies.dictionaries(FIELDS, below, max_size=3),
    max_leaves=8,
)
CONTAINERS = strategies.lists(strategies.dictionaries(FIELDS, VALUES, max_size=5), max_size=3)


@hypothesis.given(containers=CONTAINERS, beside=CONTAINERS, workers=CONTAINERS, is_model=strategies.booleans())
@hypothesis.settings(deadline=None, max_examples=200)
def test_containers_of_any_shape_are_judged(
    containers: list[dict[str, Any]], beside: list[dict[str, Any]], workers: list[dict[str, Any]], is_model: bool
) -> None:
    predictor = {"containers": containers, "initContainers": beside, "workerSpec": {"containers": workers}}
    declared = service({**predictor, "model": MODEL} if is_model else predictor)
    assert all(text.startswith(("spec.predictor", "metadata.")) for text in problems(declared))
