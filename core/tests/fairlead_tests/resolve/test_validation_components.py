"""Rules about a service and its components, in KServe's order."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead import errors
from fairlead.api import InferenceService, read
from fairlead.resolve.catalogue import Catalogue
from fairlead.resolve.validation import validate
from fairlead_tests.api.manifests import MANIFESTS
from fairlead_tests.resolve.validating import CONFIG, MODE, MODEL, STANDARD, problems, service, warnings

PREDICTOR = {"model": MODEL}


def test_manifests_as_people_write_them_are_valid() -> None:
    for name, text in MANIFESTS.items():
        for resource in read(text, name):
            if isinstance(resource, InferenceService) and resource.metadata.name != "digits":
                assert problems(resource) == []


def test_everything_that_is_wrong_is_told_at_once_with_the_object() -> None:
    declared = service({"minReplicas": -1, "model": MODEL, "logger": {}}, metadata={"namespace": "flowers"})
    with pytest.raises(errors.InvalidManifest) as raised:
        validate(declared, CONFIG, Catalogue())
    assert raised.value.problems == (
        "InferenceService flowers/iris: spec.predictor.minReplicas: -1 is below 0. Write 0 or more.",
        "InferenceService flowers/iris: spec.predictor.logger.mode: it is missing. Write all, request or response.",
    )


# -- 1: names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "i", "iris-2", "a--b"])
def test_a_name_has_lower_case_letters_digits_and_hyphens(name: str) -> None:
    assert problems(service(metadata={"name": name})) == []


@pytest.mark.parametrize("name", ["Iris", "2iris", "-iris", "iris-", "iris.v2", "iris/..", "iris\n", "ïris"])
def test_a_name_begins_with_a_letter_and_has_no_other_characters(name: str) -> None:
    with pytest.raises(errors.InvalidManifest, match=r"metadata\.name: .* is no name of a service\. Use lower case"):
        validate(service(metadata={"name": name}), CONFIG, Catalogue())


def test_names_of_objects_fit_in_a_label() -> None:
    longest = 63 - len("-predictor")
    assert problems(service(metadata={"name": "a" * longest})) == []
    (found,) = problems(service(metadata={"name": "a" * (longest + 1)}))
    assert found.startswith("metadata.name: the objects of spec.predictor would be called ")
    assert "has 64 characters and may have 63" in found
    (found,) = problems(service({"name": "v1", **PREDICTOR}, metadata={"name": "a" * longest}))
    assert "may have 63" in found


@pytest.mark.parametrize("namespace", ["../x", "a.b", "A", "-a", "a" * 64])
def test_a_namespace_is_a_label(namespace: str) -> None:
    (found,) = problems(service(metadata={"namespace": namespace}))
    assert found.startswith("metadata.namespace: ")


def test_labels_and_annotations_are_what_kubernetes_takes() -> None:
    good = {"app.kubernetes.io/name": "x", "a_b.c": "", "team": "A-1"}
    assert problems(service(metadata={"labels": good})) == []
    for labels in ({"a/b/c": "x"}, {"": "x"}, {"a b": "x"}, {"a": "x y"}, {"a": "-x"}, {"a": "x" * 64}):
        assert len(problems(service(metadata={"labels": labels}))) == 1
        assert len(problems(service({"labels": labels, **PREDICTOR}))) == 1
    assert problems(service(annotations={"note": "any text\n of any kind"})) == []
    assert len(problems(service({"annotations": {"a b": ""}, **PREDICTOR}))) == 1


def test_annotations_have_256_kibibytes_together() -> None:
    assert problems(service(annotations={"a": "x" * (256 * 1024 - 200)})) == []
    (found,) = problems(service(annotations={"a": "x" * 1_000_000}))
    assert found == "metadata.annotations: they have 1000019 bytes, and may have 262144 together. Take some out."


def test_the_mode_is_one_that_there_is() -> None:
    for mode in ("Standard", "Knative", "RawDeployment", "Serverless"):
        assert problems(service(annotations={MODE: mode})) == []
    for mode in ("ModelMesh", "standard", ""):
        (found,) = problems(service(annotations={MODE: mode}))
        assert "and not Knative or Standard" in found


# -- 10: one implementation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "path", "wanted"),
    [
        ({"predictor": {}}, "spec.predictor", "model or containers"),
        ({"predictor": {"containers": []}}, "spec.predictor", "model or containers"),
        ({"transformer": {}}, "spec.transformer", "containers"),
        ({"explainer": {}}, "spec.explainer", "art or containers"),
    ],
)
def test_a_component_needs_an_implementation(spec: dict[str, Any], path: str, wanted: str) -> None:
    assert problems(service(**spec)) == [f"{path}: there is nothing that answers requests. Set {wanted}."]


def test_a_component_has_no_second_implementation() -> None:
    assert problems(service({"model": MODEL, "xgboost": {}})) == [
        "spec.predictor: it has model and xgboost, and may have one of them. Keep one."
    ]
    both = {"art": {"type": "SquareAttack"}, "containers": [{"name": "x", "image": "x"}]}
    assert problems(service(explainer=both)) == [
        "spec.explainer: it has art and containers, and may have one of them. Keep one."
    ]


def test_containers_beside_a_model_are_no_second_implementation() -> None:
    assert problems(service({"model": MODEL, "containers": [{"name": "helper", "image": "x"}]})) == []


def test_a_model_names_its_format() -> None:
    for model in ({"storageUri": "gs://x"}, {"storageUri": "gs://x", "modelFormat": {"name": ""}}):
        assert problems(service({"model": model})) == [
            "spec.predictor.model.modelFormat: it is missing. Name the format of the model, such as sklearn."
        ]


def test_a_protocol_is_one_of_four() -> None:
    for protocol in ("v1", "v2", "grpc-v1", "grpc-v2"):
        assert problems(service({"model": {**MODEL, "protocolVersion": protocol}})) == []
    assert problems(service({"model": {**MODEL, "protocolVersion": "V2"}})) == [
        'spec.predictor.model.protocolVersion: "V2" is not one of v1, v2, grpc-v1 or grpc-v2.'
    ]


# -- 11: what frameworks and containers may say ---------------------------------------------------------------


def test_an_onnx_framework_that_was_not_made_a_model_names_a_file() -> None:
    declared = service({"onnx": {"storageUri": "s3://x/model"}})
    assert problems(declared, defaulted=False) == [
        'spec.predictor.onnx.storageUri: "s3://x/model" does not end in .onnx. Name the file.'
    ]
    assert problems(declared) == []
    assert problems(service({"onnx": {"storageUri": "s3://x/model.onnx"}}), defaulted=False) == []


@pytest.mark.parametrize("framework", ["tensorflow", "pytorch"])
def test_images_with_a_gpu_and_limits_of_gpus_agree(framework: str) -> None:
    gpu = {"limits": {"nvidia.com/gpu": 1}}
    for version, resources, wrong in (
        ("2.1-gpu", gpu, ""),
        ("2.1", {}, ""),
        ("2.1", gpu, "uses no GPU"),
        ("2.1-gpu", {"limits": None}, "needs a GPU"),
    ):
        block = {"storageUri": "s3://x", "runtimeVersion": version, "resources": resources}
        found = problems(service({framework: block}), defaulted=False)
        assert [wrong in text for text in found] == ([True] if wrong else [])


def test_the_protocol_of_a_container_of_ones_own_is_v1_or_v2() -> None:
    def container(value: str) -> InferenceService:
        return service({"containers": [{"image": "x", "env": [{"name": "PROTOCOL", "value": value}]}]})

    assert problems(container("v1")) == problems(container("v2")) == []
    assert problems(container("grpc-v2")) == [
        'spec.predictor.containers[0].env[0]: PROTOCOL is "grpc-v2", and not v1 or v2.'
    ]


# -- 12 and 13: numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["containerConcurrency", "minReplicas", "maxReplicas", "timeout"])
@pytest.mark.parametrize("component", ["predictor", "transformer", "explainer"])
def test_numbers_are_not_negative(component: str, field: str) -> None:
    own = PREDICTOR if component == "predictor" else {"containers": [{"image": "x"}]}
    assert problems(service(**{component: {**own, field: 0}})) == []
    assert problems(service(**{component: {**own, field: -1}})) == [
        f"spec.{component}.{field}: -1 is below 0. Write 0 or more."
    ]


def test_the_batcher_waits_no_negative_time() -> None:
    found = problems(service({**PREDICTOR, "batcher": {"maxBatchSize": -1, "maxLatency": -1}}))
    assert [text.partition(":")[0] for text in found] == [
        "spec.predictor.batcher.maxBatchSize",
        "spec.predictor.batcher.maxLatency",
    ]


def test_the_most_replicas_are_not_fewer_than_the_fewest() -> None:
    assert problems(service({"minReplicas": 3, "maxReplicas": 2, **PREDICTOR})) == [
        "spec.predictor.maxReplicas: 2 is below minReplicas, which is 3. Raise maxReplicas, or lower minReplicas."
    ]
    for fewest, most in ((3, 3), (3, 0), (0, 1)):
        assert problems(service({"minReplicas": fewest, "maxReplicas": most, **PREDICTOR})) == []
    assert problems(service({"maxReplicas": 1, **PREDICTOR})) == []


# -- 14: the logger -------------------------------------------------------------------------------------------


def test_a_logger_says_what_is_logged() -> None:
    for mode in ("all", "request", "response"):
        assert problems(service({**PREDICTOR, "logger": {"mode": mode}})) == []
    assert problems(service({**PREDICTOR, "logger": {"url": "http://sink"}})) == [
        "spec.predictor.logger.mode: it is missing. Write all, request or response."
    ]


def test_the_store_of_a_logger_needs_path_parameters_and_key() -> None:
    whole = {"path": "logs", "parameters": {"type": "s3"}, "key": "minio"}
    assert problems(service({**PREDICTOR, "logger": {"mode": "all", "storage": whole}})) == []
    assert problems(service({**PREDICTOR, "logger": {"mode": "all", "storage": {"key": "minio"}}})) == [
        "spec.predictor.logger.storage: it needs path and parameters as well."
    ]


def test_fields_that_nothing_reads_are_told() -> None:
    declared = service({**PREDICTOR, "scaleMetricType": "Utilization", "batcher": {"maxBatchSize": 8, "timeout": 5}})
    assert warnings(declared) == [
        "spec.predictor.scaleMetricType: it has no effect. Say it in autoScaling, or take it out.",
        "spec.predictor.batcher.timeout: it has no effect. Take it out.",
    ]


# -- changes --------------------------------------------------------------------------------------------------


def stored(mode: str, **spec: Any) -> InferenceService:
    declared = service(**spec).manifest()
    return InferenceService.parse({**declared, "status": {"deploymentMode": mode}})


def test_the_mode_of_a_service_that_runs_cannot_be_changed() -> None:
    (found,) = problems(service(annotations=STANDARD), previous=stored("Knative"))
    assert "the service runs in the mode Knative, which cannot be changed to Standard" in found
    assert problems(service(annotations=STANDARD), previous=stored("RawDeployment")) == []
    assert problems(service(annotations={MODE: "Serverless"}), previous=stored("Knative")) == []
    assert problems(service(), previous=stored("Standard")) == []
    assert problems(service(annotations=STANDARD), previous=service()) == []


def test_a_predictor_changes_its_name_with_its_model() -> None:
    changed = {"name": "v2", "model": {**MODEL, "storageUri": "gs://flowers/2"}}
    assert problems(service(changed), previous=service({"name": "v1", **PREDICTOR})) == []
    (found,) = problems(service({"name": "v2", **PREDICTOR}), previous=service({"name": "v1", **PREDICTOR}))
    assert found.startswith("spec.predictor.name: it changes, and the model stays the same.")


def test_a_service_that_is_being_deleted_is_not_checked() -> None:
    gone = service({}, metadata={"name": "Iris", "deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert problems(gone, previous=service()) == []
