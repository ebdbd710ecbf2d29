"""Objects before they are stored: their defaults, what is wrong with them, and what is none of our business."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fairlead import errors
from fairlead_operator import admission
from fairlead_operator_tests.admission.views import AView, graph, isvc, runtime, storage_container, trained_model

MODE = "serving.kserve.io/deploymentMode"
VIEW = AView()


def problems(manifest: Any, old: Any = None, view: AView = VIEW) -> str:
    return "\n".join(admission.review(manifest, old, view).problems)


# -- defaults --------------------------------------------------------------------------------------------


def test_defaults_are_written_and_nothing_else_is_touched() -> None:
    given = isvc("{predictor: {sklearn: {storageUri: 's3://models/iris'}, nodeSelector: {a: b}}}", labels={"x": "y"})
    given["metadata"] |= {"managedFields": [{"manager": "kubectl"}], "ofANewerServer": 1}
    given["status"] = {"conditions": [], "theirs": 1}
    before = copy.deepcopy(given)
    found = admission.defaulted(given, VIEW)
    assert given == before
    assert found["spec"] == {
        "predictor": {
            "model": {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://models/iris"},
            "nodeSelector": {"a": "b"},
        }
    }
    annotations = {MODE: "Standard", "modelFormat": "sklearn"}
    assert found["metadata"] == {**before["metadata"], "annotations": annotations}
    assert found["status"] == before["status"]
    assert admission.defaulted(found, VIEW) == found


def test_an_object_whose_name_is_yet_to_be_made_gets_its_defaults_and_no_name() -> None:
    given = isvc()
    given["metadata"] = {"generateName": "iris-", "namespace": "models"}
    found = admission.defaulted(given, VIEW)
    assert "name" not in found["metadata"]
    assert found["metadata"]["annotations"][MODE] == "Standard"


def test_a_service_that_runs_in_another_mode_is_not_given_the_mode_of_the_platform() -> None:
    given = {**isvc(), "status": {"deploymentMode": "Knative"}}
    assert MODE not in admission.defaulted(given, VIEW)["metadata"].get("annotations", {})


def test_an_object_that_is_none_has_no_defaults() -> None:
    with pytest.raises(errors.InvalidManifest):
        admission.defaulted(isvc("{predictor: 7}"), VIEW)


# -- validation ------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_told_at_once_with_its_path_and_a_remedy() -> None:
    found = problems(isvc("{predictor: {minReplicas: -1, logger: {}, model: {modelFormat: {name: sklearn}}}}"))
    assert "InferenceService models/iris: spec.predictor.minReplicas: -1 is below 0. Write 0 or more." in found
    assert "spec.predictor.logger.mode: it is missing. Write all, request or response." in found
    ruling = admission.review(isvc("{predictor: {minReplicas: -1, maxReplicas: -2, containers: []}}"), None, VIEW)
    assert ruling.message.startswith("several things are wrong:\n- InferenceService models/iris: ")


def test_fields_that_there_are_not_are_told_with_the_ones_that_were_meant() -> None:
    found = problems(isvc("{predictor: {model: {modelFormat: {name: sklearn}, storageURI: x}}}"))
    assert "spec.predictor.model has no field 'storageURI'. Did you mean storageUri?" in found


def test_a_service_that_may_be_stored_and_cannot_run_yet_is_warned_of() -> None:
    ruling = admission.review(
        isvc("{predictor: {model: {modelFormat: {name: pmml}, storageUri: 's3://a'}}}"), None, VIEW
    )
    assert ruling.problems == ()
    assert ruling.warnings[0].startswith("It cannot run yet (NoSupportingRuntime).")


@pytest.mark.parametrize("running", ["Knative", "Serverless"])
def test_the_mode_of_a_service_that_runs_cannot_be_changed(running: str) -> None:
    old = {**isvc(), "status": {"deploymentMode": running}}
    new = {**isvc(annotations={MODE: "Standard"}), "status": {"deploymentMode": running}}
    assert "cannot be changed to Standard" in problems(new, old)
    assert not problems(isvc(labels={"new": "label"}), old)


def test_the_name_of_a_predictor_changes_with_its_model_alone() -> None:
    def named(name: str, uri: str) -> dict[str, Any]:
        return isvc(f"{{predictor: {{name: {name}, model: {{modelFormat: {{name: sklearn}}, storageUri: '{uri}'}}}}}}")

    assert "change storageUri too" in problems(named("v2", "s3://a"), named("v1", "s3://a"))
    assert not problems(named("v2", "s3://b"), named("v1", "s3://a"))


def test_shorthands_and_models_are_the_same_when_they_are_compared() -> None:
    old = isvc("{predictor: {name: v1, sklearn: {storageUri: 's3://a'}}}")
    new = isvc("{predictor: {name: v2, model: {modelFormat: {name: sklearn}, storageUri: 's3://a'}}}")
    assert "change storageUri too" in problems(new, old)


WRONG = isvc("{predictor: {minReplicas: -1}}")


def test_what_is_being_deleted_and_what_did_not_change_is_not_judged() -> None:
    leaving = copy.deepcopy(WRONG)
    leaving["metadata"]["deletionTimestamp"] = "2026-05-04T03:02:01Z"
    assert not problems(leaving, WRONG)
    freed = copy.deepcopy(WRONG)
    freed["metadata"] |= {"finalizers": ["a/b"], "resourceVersion": "8"}
    freed["status"] = {"conditions": 7}
    assert not problems(freed, WRONG)
    assert problems(isvc("{predictor: {minReplicas: -2}}"), WRONG)


@pytest.mark.parametrize("old", [isvc("{predictor: 7}"), {"kind": "x"}, {"metadata": 7}])
def test_what_it_was_before_may_be_older_than_the_rules(old: dict[str, Any]) -> None:
    assert not problems(isvc(), old)


def test_a_status_that_a_controller_wrote_wrong_keeps_nobody_from_changing_the_spec() -> None:
    assert not problems({**isvc(), "status": {"conditions": "none", "deploymentMode": 7}})


# -- other kinds -----------------------------------------------------------------------------------------

FORMATS = "supportedModelFormats: [{name: lightgbm, version: '4', autoSelect: true, priority: 1}]"


def test_a_runtime_is_judged_beside_the_others_and_not_beside_itself() -> None:
    found = problems(runtime(FORMATS))
    assert "ClusterServingRuntime kserve-lgbserver has the priority 1 for lightgbm 4 too" in found
    assert not problems(runtime(FORMATS, "kserve-lgbserver"))
    assert not problems(runtime(FORMATS, kind="ServingRuntime", metadata={"namespace": "models"}))
    assert not problems(runtime(f"disabled: true, {FORMATS}"))


def test_workers_cannot_be_taken_out_of_a_runtime() -> None:
    workers = "workerSpec: {pipelineParallelSize: 2, containers: [{name: worker-container, image: x}]}"
    assert "cannot be taken out" in problems(runtime(""), runtime(workers))


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (graph("{nodes: {other: {routerType: Sequence, steps: [{serviceName: a}]}}}"), "root"),
        (trained_model(uri="ftp://a"), "storageUri"),
        (storage_container("("), "is no regular expression"),
        (runtime("protocolVersions: [v9]"), "is not one of"),
    ],
)
def test_the_other_kinds_are_judged_too(manifest: dict[str, Any], told: str) -> None:
    assert told in problems(manifest)


def test_the_memory_of_a_trained_model_stays() -> None:
    assert not problems(trained_model("1Gi", "s3://b"), trained_model("1Gi"))
    assert "memory" in problems(trained_model("2Gi"), trained_model("1Gi"))


# -- malformed -------------------------------------------------------------------------------------------


def _deep(levels: int) -> Any:
    found: Any = {}
    for _ in range(levels):
        found = {"a": [found]}
    return found


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        7,
        [],
        "text",
        {},
        {"metadata": None},
        {"metadata": []},
        {"metadata": {"labels": []}},
        {"metadata": {"annotations": "x"}},
        {"metadata": {"name": "x"}},
        {"metadata": {"name": 7}, "apiVersion": 7, "kind": []},
        {"metadata": {"name": "x"}, "apiVersion": "serving.kserve.io/v1beta1", "kind": "Strange"},
        {**isvc(), "spec": None},
        {**isvc(), "spec": []},
        {**isvc(), "metadata": {"name": ""}},
        {**isvc(), "metadata": {"name": "x" * 100_000}},
        {**isvc(), "metadata": {"name": "iris", "annotations": {"a": 1}}},
        {**isvc(), "metadata": {"name": "iris", "annotations": {"a": "x" * 300_000}}},
        isvc("{predictor: {containers: [7]}}"),
        isvc("{predictor: {containers: [{name: [], resources: 7, env: {}}]}}"),
        isvc("{predictor: {model: {modelFormat: []}}}"),
        {**isvc(), "spec": {"predictor": {"minReplicas": 10**30}}},
        {**isvc(), "spec": {"predictor": _deep(5000)}},
        {**isvc(), "spec": {"predictor": {"nodeSelector": _deep(30)}}},
        {**isvc(), "extra": "\ud800"},
    ],
)
def test_an_object_that_is_none_is_denied_with_a_text_and_never_fails(manifest: Any) -> None:
    ruling = admission.review(manifest, None, VIEW)
    assert ruling.problems
    assert ruling.message.strip()
    assert len(ruling.message) < 8000


def test_many_mistakes_are_cut_off() -> None:
    spec = ", ".join(f"wrong{number}: 1" for number in range(200))
    message = admission.review(isvc(f"{{predictor: {{{spec}}}}}"), None, VIEW).message
    assert message.endswith("There are 170 more.")
