"""Defaults of an InferenceService: each step of KServe's admission, in its order."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from fairlead import api
from fairlead.resolve.config import Config
from fairlead.resolve.defaults import default, placed
from fairlead_tests.api.manifests import MANIFESTS
from fairlead_tests.resolve.validating import CONFIG, MODE, MODEL, service

STANDARD_PLATFORM = Config(default_mode="Standard")
SHIPPED = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}}


def spec(declared: api.InferenceService, config: Config = CONFIG) -> dict[str, Any]:
    found: dict[str, Any] = default(declared, config).manifest()["spec"]
    return found


def metadata(declared: api.InferenceService, config: Config = CONFIG) -> dict[str, Any]:
    found: dict[str, Any] = default(declared, config).manifest()["metadata"]
    return found


# -- 1 and 2: the mode ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), [("RawDeployment", "Standard"), ("Serverless", "Knative")])
def test_a_mode_is_named_as_it_is_called_today(old: str, new: str) -> None:
    assert metadata(service({"containers": [{"image": "x"}]}, annotations={MODE: old}))["annotations"] == {MODE: new}


def test_the_mode_of_a_standard_platform_is_written() -> None:
    declared = service({"containers": [{"image": "x"}]})
    assert metadata(declared, STANDARD_PLATFORM)["annotations"] == {MODE: "Standard"}
    assert metadata(declared, Config(default_mode="RawDeployment"))["annotations"] == {MODE: "Standard"}


def test_the_mode_of_a_knative_platform_is_never_written() -> None:
    assert "annotations" not in metadata(service({"containers": [{"image": "x"}]}))


def test_a_mode_that_the_service_names_stays() -> None:
    declared = service(annotations={MODE: "Knative"})
    assert metadata(declared, STANDARD_PLATFORM)["annotations"][MODE] == "Knative"


# -- 3 to 5: frameworks and formats -------------------------------------------------------------------------


@pytest.mark.parametrize("framework", api.FRAMEWORKS)
def test_a_framework_by_its_short_name_becomes_a_model(framework: str) -> None:
    block = {
        "storageUri": "gs://x/y",
        "runtimeVersion": "1.2",
        "storage": {"key": "minio", "parameters": {"bucket": "b"}},
        "env": [{"name": "A", "value": "1"}],
        "resources": {"limits": {"cpu": 1}},
    }
    found = spec(service({framework: block, "minReplicas": 2}))["predictor"]
    protocol = {"protocolVersion": "v2"} if framework in ("triton", "onnx", "huggingface") else {}
    assert found == {"minReplicas": 2, "model": {"modelFormat": {"name": framework}, **block, **protocol}}


def test_a_protocol_that_a_framework_names_stays() -> None:
    found = spec(service({"onnx": {"storageUri": "s3://x", "protocolVersion": "grpc-v2"}}))["predictor"]["model"]
    assert found["protocolVersion"] == "grpc-v2"


@pytest.mark.parametrize(
    ("name", "protocol"), [("triton", "v2"), ("vLLM", "v2"), ("onnx", None), ("huggingface", None), ("vllm", None)]
)
def test_models_of_triton_and_vllm_are_asked_in_v2(name: str, protocol: str | None) -> None:
    found = spec(service({"model": {"modelFormat": {"name": name}}}))["predictor"]["model"]
    assert found.get("protocolVersion") == protocol
    found = spec(service({"model": {"modelFormat": {"name": name}, "protocolVersion": "v1"}}))["predictor"]["model"]
    assert found["protocolVersion"] == "v1"


def test_frameworks_stay_in_the_mode_model_mesh() -> None:
    declared = service({"sklearn": {"storageUri": "gs://x"}}, annotations={MODE: "ModelMesh"})
    assert default(declared, CONFIG).spec == declared.spec


def test_two_frameworks_stay_as_they_are_for_validation() -> None:
    predictor = {"sklearn": {"storageUri": "gs://x"}, "xgboost": {}}
    assert spec(service(predictor))["predictor"] == predictor


def test_frameworks_of_canaries_become_models_too() -> None:
    declared = service(canary=[{"trafficPercent": 10, "predictor": {"name": "v2", "onnx": {"storageUri": "s3://x"}}}])
    assert spec(declared)["canary"] == [
        {
            "trafficPercent": 10,
            "predictor": {
                "name": "v2",
                "model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://x", "protocolVersion": "v2"},
            },
        }
    ]


def test_the_format_of_the_model_is_annotated() -> None:
    assert metadata(service())["annotations"] == {"modelFormat": "sklearn"}
    assert metadata(service({"lightgbm": {}}))["annotations"] == {"modelFormat": "lightgbm"}
    assert metadata(service(annotations={"modelFormat": "other"}))["annotations"] == {"modelFormat": "other"}


# -- 6: components ------------------------------------------------------------------------------------------


def test_a_model_gets_no_name_and_no_resources() -> None:
    assert spec(service())["predictor"] == {"model": MODEL}


def test_containers_beside_a_model_get_no_name_and_no_resources() -> None:
    predictor = {"model": MODEL, "containers": [{"name": "helper", "image": "x"}]}
    assert spec(service(predictor))["predictor"] == predictor


def test_the_only_container_of_a_predictor_is_renamed() -> None:
    found = spec(service({"containers": [{"name": "mine", "image": "x"}]}))["predictor"]["containers"]
    assert found == [{"name": "kserve-container", "image": "x", "resources": SHIPPED}]


def test_the_first_of_several_containers_of_a_predictor_keeps_its_name() -> None:
    helper = {"name": "helper", "image": "y"}
    named = spec(service({"containers": [{"name": "mine", "image": "x"}, helper]}))["predictor"]["containers"]
    assert named == [{"name": "mine", "image": "x", "resources": SHIPPED}, helper]
    unnamed = spec(service({"containers": [{"image": "x"}, helper]}))["predictor"]["containers"]
    assert unnamed == [{"name": "kserve-container", "image": "x", "resources": SHIPPED}, helper]


@pytest.mark.parametrize("component", ["transformer", "explainer"])
def test_the_first_container_of_transformers_and_explainers_is_always_renamed(component: str) -> None:
    helper = {"name": "helper", "image": "y"}
    declared = service(**{component: {"containers": [{"name": "mine", "image": "x"}, helper]}})
    assert spec(declared)[component]["containers"] == [
        {"name": "kserve-container", "image": "x", "resources": SHIPPED},
        helper,
    ]


def test_an_explainer_of_art_gets_a_name_and_resources() -> None:
    found = spec(service(explainer={"art": {"type": "SquareAttack"}}))["explainer"]["art"]
    assert found == {"type": "SquareAttack", "name": "kserve-container", "resources": SHIPPED}


def test_resources_are_filled_in_where_they_are_missing() -> None:
    own = {"requests": {"cpu": "100m"}, "limits": {"cpu": 2, "memory": "4Gi", "nvidia.com/gpu": 1}, "claims": []}
    found = spec(service({"containers": [{"image": "x", "resources": own}]}))["predictor"]["containers"][0]
    assert found["resources"] == {
        "requests": {"cpu": "100m", "memory": "2Gi"},
        "limits": {"cpu": 2, "memory": "4Gi", "nvidia.com/gpu": 1},
        "claims": [],
    }


def test_a_default_never_contradicts_what_a_container_says() -> None:
    own = {"requests": {"memory": "8Gi"}, "limits": {"cpu": 0.5}}
    found = spec(service({"containers": [{"image": "x", "resources": own}]}))["predictor"]["containers"][0]
    assert found["resources"] == {
        "requests": {"cpu": 0.5, "memory": "8Gi"},
        "limits": {"cpu": 0.5, "memory": "8Gi"},
    }


def test_a_platform_without_resources_fills_in_none() -> None:
    config = dataclasses.replace(CONFIG, resources={})
    assert spec(service({"containers": [{"image": "x"}]}), config)["predictor"]["containers"] == [
        {"image": "x", "name": "kserve-container"}
    ]


def test_a_platform_may_have_other_limits_than_requests() -> None:
    config = dataclasses.replace(CONFIG, limits={"cpu": "4"})
    own = {"requests": {"cpu": "5"}}
    containers = [{"image": "x"}, {"image": "y"}]
    found = spec(service({"containers": containers}), config)["predictor"]["containers"][0]
    assert found["resources"] == {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "4"}}
    found = spec(service({"containers": [{"image": "x", "resources": own}]}), config)["predictor"]["containers"][0]
    assert found["resources"] == {"requests": {"cpu": "5", "memory": "2Gi"}, "limits": {"cpu": "5"}}


@pytest.mark.parametrize("resources", ["much", {"requests": 1}, {"limits": ["cpu"]}])
def test_resources_of_another_shape_stay_for_validation(resources: Any) -> None:
    found = spec(service({"containers": [{"image": "x", "resources": resources}]}))["predictor"]["containers"][0]
    assert found["resources"] == resources


# -- the object itself --------------------------------------------------------------------------------------


def test_objects_are_in_the_default_namespace() -> None:
    assert metadata(service())["namespace"] == "default"
    assert metadata(service(metadata={"namespace": "flowers"}))["namespace"] == "flowers"


def test_objects_of_the_cluster_are_in_no_namespace() -> None:
    for name in ("a runtime of the cluster", "a storage container"):
        (resource,) = api.read(MANIFESTS[name], name)
        assert placed(resource, "flowers") is resource


def test_what_was_given_is_not_changed() -> None:
    declared = service({"sklearn": {"storageUri": "gs://x"}}, transformer={"containers": [{"image": "x"}]})
    before = declared.manifest()
    default(declared, STANDARD_PLATFORM)
    assert declared.manifest() == before


def test_what_is_there_and_its_status_are_kept() -> None:
    (stored,) = api.read(MANIFESTS["what a cluster has stored"], "stored")
    assert isinstance(stored, api.InferenceService)
    before, after = stored.manifest(), default(stored, CONFIG).manifest()
    assert after["status"] == before["status"]
    assert after["metadata"] == {
        **before["metadata"],
        "namespace": "default",
        "annotations": {"modelFormat": "sklearn"},
    }


# -- defaulting twice ---------------------------------------------------------------------------------------

AMOUNTS = strategies.sampled_from(["500m", "1", 2, "0.5", "2Gi", "64Gi", 0.25, "nonsense"])
SIDES = strategies.none() | strategies.dictionaries(strategies.sampled_from(["cpu", "memory", "x/gpu"]), AMOUNTS)
RESOURCES = strategies.none() | strategies.fixed_dictionaries({}, optional={"requests": SIDES, "limits": SIDES})
NAMES = strategies.sampled_from(["kserve-container", "mine", "helper", ""])
CONTAINERS = strategies.lists(
    strategies.fixed_dictionaries({"image": NAMES}, optional={"name": NAMES, "resources": RESOURCES}), max_size=3
)
FORMATS = strategies.sampled_from(["sklearn", "triton", "vLLM", "onnx"])
PROTOCOLS = strategies.none() | strategies.sampled_from(["v1", "v2", "grpc-v2"])
BLOCKS: strategies.SearchStrategy[dict[str, Any]] = strategies.fixed_dictionaries(
    {}, optional={"storageUri": strategies.just("gs://x"), "protocolVersion": PROTOCOLS, "env": strategies.just([])}
)
MODELS = strategies.builds(lambda block, name: {**block, "modelFormat": {"name": name}}, BLOCKS, FORMATS)
PREDICTORS = strategies.fixed_dictionaries(
    {},
    optional={
        "model": MODELS,
        "sklearn": BLOCKS,
        "onnx": BLOCKS,
        "containers": CONTAINERS,
        "minReplicas": strategies.integers(-1, 3),
    },
)
EXPLAINERS = strategies.fixed_dictionaries(
    {}, optional={"containers": CONTAINERS, "art": strategies.fixed_dictionaries({}, optional={"resources": SIDES})}
)
CANARIES = strategies.lists(
    strategies.fixed_dictionaries({"trafficPercent": strategies.just(10), "predictor": PREDICTORS}), max_size=2
)
SPECS = strategies.fixed_dictionaries(
    {"predictor": PREDICTORS},
    optional={
        "canary": CANARIES,
        "explainer": EXPLAINERS,
        "transformer": strategies.fixed_dictionaries({}, optional={"containers": CONTAINERS}),
    },
)
MODES = strategies.none() | strategies.sampled_from(["RawDeployment", "Serverless", "Standard", "ModelMesh", "Else"])
CONFIGS = strategies.builds(
    Config,
    default_mode=strategies.sampled_from(["Knative", "Standard"]),
    resources=strategies.sampled_from([{}, {"cpu": "1", "memory": "2Gi"}]),
)


@hypothesis.given(written=SPECS, mode=MODES, config=CONFIGS)
@hypothesis.settings(deadline=None, max_examples=300)
def test_defaulting_twice_changes_nothing_more(written: dict[str, Any], mode: str | None, config: Config) -> None:
    declared = service(**written, annotations=None if mode is None else {MODE: mode})
    once = default(declared, config)
    twice = default(once, config)
    assert twice == once
    assert twice.manifest() == once.manifest()
    assert api.InferenceService.parse(once.manifest()) == once
