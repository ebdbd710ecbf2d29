"""A manifest that is wrong is refused with the place, the field, and what was meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead import api, errors
from fairlead_tests.api import manifests


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(errors.InvalidManifest) as raised:
        api.read(text, "isvc.yaml")
    assert str(raised.value) == "\n".join(raised.value.problems)
    return raised.value.problems


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def test_an_unknown_field_is_named_with_its_line_and_the_nearest() -> None:
    assert problems(changed(manifests.SKLEARN, "storageUri", "storageURI")) == (
        "isvc.yaml:23: InferenceService iris: spec.predictor.model has no field 'storageURI'. Did you mean storageUri?",
    )


def test_a_field_that_belongs_to_the_model_is_sent_there() -> None:
    text = changed(manifests.SKLEARN, "    timeout: 60\n", "    runtimeVersion: '1'\n")
    assert problems(text) == (
        (
            "isvc.yaml:15: InferenceService iris: spec.predictor has no field 'runtimeVersion'. "
            "Did you mean model.runtimeVersion or runtimeClassName?"
        ),
    )


def test_where_no_field_is_near_those_of_the_kind_itself_are_listed() -> None:
    assert problems(changed(manifests.SKLEARN, "timeout:", "zzz:")) == (
        (
            "isvc.yaml:15: InferenceService iris: spec.predictor has no field 'zzz'. It may have: model, sklearn, "
            "xgboost, tensorflow, pytorch, triton, onnx, huggingface, pmml, lightgbm, paddle, workerSpec, "
            "storageContainerName."
        ),
    )
    assert problems(changed(manifests.TRAINED_MODEL, "inferenceService:", "zzz: 1\n  inferenceService:")) == (
        "isvc.yaml:5: TrainedModel iris-2: spec has no field 'zzz'. It may have: inferenceService, model.",
    )


def test_a_path_goes_through_maps_and_lists() -> None:
    assert problems(
        changed(manifests.GRAPH, "{serviceName: breed-1, weight: 80}", "{service: breed-1, weight: 80}")
    ) == (
        (
            "isvc.yaml:17: InferenceGraph pets: spec.nodes.breed.steps[0] has no field 'service'. "
            "Did you mean serviceUrl or serviceName?"
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("minReplicas: 1", 'minReplicas: "1"', 'spec.predictor.minReplicas is "1", and not a whole number.'),
        ("minReplicas: 1", "minReplicas: 1.0", "spec.predictor.minReplicas is 1.0, and not a whole number."),
        ("minReplicas: 1", "minReplicas: yes", "spec.predictor.minReplicas is true, and not a whole number."),
        ("timeout: 60", "priority: 2147483648", "spec.predictor.priority is 2147483648, and not at most 2147483647."),
        (
            'version: "1"',
            "version: 1.10",
            "spec.predictor.model.modelFormat.version is 1.1, and not a text. Write it in quotes.",
        ),
        ("{team: botany}", "{team: on}", "metadata.labels.team is true, and not a text. Write it in quotes."),
        ("{team: botany}", "[team]", 'metadata.labels is ["team"], and not an object.'),
        ("name: iris\n", "labels2: {}\n", None),
        (
            "scaleMetric: cpu",
            "scaleMetric: gpu",
            "spec.predictor.scaleMetric is \"gpu\", and not 'cpu', 'memory', 'concurrency' or 'rps'.",
        ),
        ("timeout: 60", "containers: {name: x}", 'spec.predictor.containers is {"name": "x"}, and not a list.'),
        ("timeout: 60", "containers: [x]", 'spec.predictor.containers[0] is "x", and not an object.'),
        ("timeout: 60", "hostNetwork: 1", "spec.predictor.hostNetwork is 1, and not true or false."),
        ("timeout: 60", "logger: true", "spec.predictor.logger is true, and not an object."),
        ("timeout: 60", "storageUris: []", "spec.predictor.storageUris is [], and not a list that is not empty."),
        (
            "timeout: 60",
            'storageUris: [{uri: ""}]',
            'spec.predictor.storageUris[0].uri is "", and not a text that is not empty.',
        ),
        ("timeout: 60", "storageUris: [{mountPath: /x}]", "spec.predictor.storageUris[0] needs uri."),
        (
            "timeout: 60",
            "name: 1-v",
            'spec.predictor.name is "1-v", and not a text that matches ^[a-z]([-a-z0-9]*[a-z0-9])?$.',
        ),
    ],
)
def test_a_wrong_value_is_shown_with_what_it_has_to_be(old: str, new: str, expected: str | None) -> None:
    found = problems(changed(manifests.SKLEARN, old, new))
    if expected is None:
        assert found == (
            "isvc.yaml:3: InferenceService: metadata needs name.",
            "isvc.yaml:4: InferenceService: metadata has no field 'labels2'. Did you mean labels?",
        )
        return
    (problem,) = found
    place, _, text = problem.partition(": InferenceService iris: ")
    assert text == expected
    lines = changed(manifests.SKLEARN, old, new).splitlines()
    assert new.splitlines()[0] in lines[int(place.removeprefix("isvc.yaml:")) - 1]


def test_a_quantity_that_lost_its_text_is_refused() -> None:
    text = changed(manifests.STORAGE_URIS, '"100.50"', "100.50")
    (problem,) = problems(text)
    assert problem.endswith("target.value is 100.5, and not a quantity such as 500m, 2Gi or 3. Write it in quotes.")


def test_a_long_value_is_cut() -> None:
    (problem,) = problems(json.dumps(manifests.iris(predictor={"labels": "x" * 5000})))
    assert len(problem) < 200


def test_json_has_no_lines() -> None:
    assert problems(json.dumps(manifests.iris(predictr={}))) == (
        "isvc.yaml: InferenceService iris: spec needs predictor.",
        "isvc.yaml: InferenceService iris: spec has no field 'predictr'. Did you mean predictor?",
    )


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("- 1", "isvc.yaml:1: this is no object with apiVersion and kind."),
        ("iris", "isvc.yaml:1: this is no object with apiVersion and kind."),
        (
            "metadata: {}",
            (
                "isvc.yaml:1: it needs apiVersion and kind; apiVersion is "
                "serving.kserve.io/v1alpha1 or serving.kserve.io/v1beta1."
            ),
        ),
        (
            "apiVersion: serving.kserve.io/v1beta1\nkind: Inferenceservice",
            (
                "isvc.yaml:2: There is no kind 'Inferenceservice' of 'serving.kserve.io/v1beta1' here. "
                "Did you mean InferenceService or InferenceGraph?"
            ),
        ),
        (
            "apiVersion: serving.kserve.io/v1alpha2\nkind: InferenceService",
            (
                "isvc.yaml:2: InferenceService is known as serving.kserve.io/v1beta1, "
                "and not as 'serving.kserve.io/v1alpha2'."
            ),
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment",
            (
                "isvc.yaml:2: There is no kind 'Deployment' of 'apps/v1' here. The kinds are InferenceService, "
                "ServingRuntime, ClusterServingRuntime, ClusterStorageContainer, InferenceGraph, TrainedModel, Secret, "
                "ConfigMap, ServiceAccount."
            ),
        ),
    ],
)
def test_a_document_of_no_known_kind_is_told_what_is_known(document: str, expected: str) -> None:
    assert problems(document) == (expected,)


def test_names_of_the_document_are_shown_short_and_without_control_characters() -> None:
    manifest = manifests.iris(predictor={"labels": {"x\x1b[2J" * 5000: 1}, "y\n" * 5000: 1})
    manifest["metadata"]["name"] = "z\n" * 5000
    for problem in problems(json.dumps(manifest)):
        assert problem.isprintable()
        assert len(problem) < 600
    for text in (f"? {'k' * 9000}\n: 1\n? {'k' * 9000}\n: 1", f"apiVersion: {'v' * 9000}\nkind: {'k' * 9000}"):
        (problem,) = problems(text)
        assert len(problem) < 400


@pytest.mark.parametrize("attribute", ["storage_uris", "min_replicas"])
def test_pythons_names_are_not_taken_in_documents(attribute: str) -> None:
    predictor: dict[str, Any] = {attribute: 1}
    (problem,) = problems(json.dumps(manifests.iris(predictor=predictor)))
    assert f"has no field '{attribute}'" in problem
