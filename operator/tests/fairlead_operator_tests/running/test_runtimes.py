"""Which runtime serves a model, what becomes of services when it changes, and when there is none.

What KServe tests, and where that is tested here:

- explicit ServingRuntime: test_a_runtime_that_is_named_serves
- RuntimeNotRecognized, RuntimeDisabled, NoSupportingRuntime:
  test_a_model_that_no_runtime_serves_is_told_and_served_once_one_does
- readonly annotation true, false: test_a_readonly_runtime_is_changed_and_counts
- runtime update: annotation absent, enabled, disabled:
  test_an_edit_of_a_runtime_reaches_services_unless_they_are_frozen
- only services of that runtime: test_an_edit_of_a_runtime_reaches_only_services_that_use_it
- mapping of runtimes to services by names and disable-auto-update: the two above
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fairlead_operator_tests.running.services import isvc, runtime

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services


def own(name: str = "own", **spec: Any) -> dict[str, Any]:
    return runtime(name, kind="ServingRuntime", **spec)


def image(deployment: dict[str, Any]) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def newer(services: Services, name: str = "own") -> None:
    """Give a runtime another image."""
    changed = {"spec": {"containers": [{"name": "kserve-container", "image": f"example/{name}:2"}]}}
    services.patch("ServingRuntime", name, changed)


def test_a_runtime_that_is_named_serves(services: Services) -> None:
    services.declare(own(model_format="other"))
    services.declare(isvc("iris", model={"modelFormat": {"name": "other"}, "runtime": "own"}))
    assert image(services.appears("Deployment", "iris-predictor")) == "example/own:1"
    assert services.settled("iris")["servingRuntimeName"] == "own"


def test_a_runtime_of_the_namespace_comes_before_those_of_the_cluster(services: Services) -> None:
    services.declare(isvc("iris"))
    services.becomes("Deployment", "iris-predictor", lambda each: image(each) == "example/tests-sklearn:1")
    assert services.settled("iris")["clusterServingRuntimeName"] == "tests-sklearn"
    services.declare(own())
    services.becomes("Deployment", "iris-predictor", lambda each: image(each) == "example/own:1")
    found = services.status("iris", lambda each: each.get("servingRuntimeName") == "own")
    assert "clusterServingRuntimeName" not in found


@pytest.mark.parametrize(
    ("reason", "model", "disabled"),
    [
        ("RuntimeNotRecognized", {"runtime": "own"}, None),
        ("RuntimeDisabled", {"runtime": "own", "modelFormat": {"name": "odd"}}, True),
        ("NoSupportingRuntime", {"modelFormat": {"name": "odd"}}, None),
    ],
)
def test_a_model_that_no_runtime_serves_is_told_and_served_once_one_does(
    services: Services, reason: str, model: dict[str, Any], disabled: bool | None
) -> None:
    serves = model.get("modelFormat", {}).get("name", "sklearn")
    if disabled:
        services.declare(own(model_format=serves, disabled=True))
    services.declare(isvc("iris", model=model))
    said = services.condition("iris", "PredictorReady", "False", reason)
    assert said["message"]
    found = services.settled("iris")["modelStatus"]
    assert found["transitionStatus"] == "InvalidSpec"
    assert found["lastFailureInfo"]["reason"] == reason
    assert not services.names("Deployment")
    if disabled:
        services.patch("ServingRuntime", "own", {"spec": {"disabled": False}})
    else:
        services.declare(own(model_format=serves))
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    assert "lastFailureInfo" not in services.settled("iris")["modelStatus"]


@pytest.mark.parametrize("annotation", [None, "false", "true"])
def test_an_edit_of_a_runtime_reaches_services_unless_they_are_frozen(
    services: Services, annotation: str | None
) -> None:
    services.declare(own())
    services.declare(isvc("beside", model={"runtime": "own"}))
    services.declare(isvc("iris", model={"runtime": "own"}))
    services.annotate("iris", disable_auto_update=annotation)
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    newer(services)
    services.becomes("Deployment", "beside-predictor", lambda each: image(each) == "example/own:2")
    if annotation == "true":
        assert image(services.appears("Deployment", "iris-predictor")) == "example/own:1"
        services.annotate("iris", disable_auto_update=None)
    services.becomes("Deployment", "iris-predictor", lambda each: image(each) == "example/own:2")


def test_a_frozen_service_follows_its_own_spec(services: Services) -> None:
    services.declare(own())
    services.declare(
        isvc("iris", annotations={"serving.kserve.io/disable-auto-update": "true"}, model={"runtime": "own"})
    )
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    services.change("iris", {"spec": {"predictor": {"model": {"storageUri": "s3://bucket/other"}}}})
    services.becomes("Deployment", "iris-predictor", lambda each: "s3://bucket/other" in str(each["spec"]))


def test_an_edit_of_a_runtime_reaches_only_services_that_use_it(services: Services) -> None:
    for each in ("one", "two"):
        services.declare(own(each, model_format=each))
        services.declare(isvc(each, model={"modelFormat": {"name": each}}))
        services.appears("Deployment", f"{each}-predictor")
    before = services.appears("Deployment", "two-predictor")["metadata"]["generation"]
    newer(services, "one")
    services.becomes("Deployment", "one-predictor", lambda each: image(each) == "example/one:2")
    assert services.appears("Deployment", "two-predictor")["metadata"]["generation"] == before


@pytest.mark.parametrize("readonly", ["true", "false"])
def test_a_readonly_runtime_is_changed_and_counts(services: Services, readonly: str) -> None:
    declared = own()
    declared["metadata"]["annotations"] = {"serving.kserve.io/readonly": readonly}
    services.declare(declared)
    services.declare(isvc("iris", model={"runtime": "own", "image": "example/mine:1"}))
    services.becomes("Deployment", "iris-predictor", lambda each: image(each) == "example/mine:1")
    newer(services)
    services.change("iris", {"spec": {"predictor": {"model": {"image": None}}}})
    services.becomes("Deployment", "iris-predictor", lambda each: image(each) == "example/own:2")


def test_a_runtime_that_goes_leaves_what_runs_and_is_told(services: Services) -> None:
    services.declare(own(model_format="odd"))
    services.declare(isvc("iris", model={"modelFormat": {"name": "odd"}}))
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    services.delete("ServingRuntime", "own")
    services.status("iris", lambda each: each["modelStatus"]["transitionStatus"] == "InvalidSpec")
    assert image(services.appears("Deployment", "iris-predictor")) == "example/own:1"
    services.declare(own(model_format="odd"))
    services.status("iris", lambda each: each["modelStatus"]["transitionStatus"] == "UpToDate")
