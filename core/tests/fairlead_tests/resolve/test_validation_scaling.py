"""Rules about how the number of replicas is decided."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_tests.resolve.validating import (
    CLASS,
    KNATIVE_CLASS,
    MODE,
    MODEL,
    STANDARD,
    WITH_KPA,
    problems,
    service,
    warnings,
)

HPA = {**STANDARD, CLASS: "hpa"}
KEDA = {**STANDARD, CLASS: "keda"}


def scaled(annotations: dict[str, str] | None = None, /, **fields: Any) -> list[str]:
    """What is wrong with a predictor that is scaled so, without its path."""
    declared = service({"model": MODEL, **fields}, annotations=annotations or {})
    found = problems(declared, WITH_KPA)
    return [text.removeprefix("spec.predictor.") for text in found]


def metric(annotations: dict[str, str], **fields: Any) -> list[str]:
    """What is wrong with one metric."""
    found = scaled(annotations, autoScaling={"metrics": [fields]})
    return [text.removeprefix("autoScaling.metrics[0]").removeprefix(".") for text in found]


# -- 2: which strategy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hpa", "external", "keda", "none"])
def test_classes_that_kserve_has_are_always_taken(name: str) -> None:
    assert problems(service(annotations={CLASS: name})) == []


def test_a_strategy_that_is_installed_is_a_class() -> None:
    declared = service(annotations={CLASS: "tidal"})
    assert warnings(declared, WITH_KPA) == [
        f"metadata.annotations: {CLASS}: tidal is taken here, and KServe itself would refuse it."
    ]
    (found,) = problems(declared)
    assert found.startswith(f'metadata.annotations: {CLASS} is "tidal", and not external, hpa, keda or none.')
    assert "`fairlead plugins list`" in found


def test_a_class_that_is_misspelt_is_told_with_the_nearest() -> None:
    (found,) = problems(service(annotations={CLASS: "KPA"}), WITH_KPA)
    assert "Did you mean kpa?" in found
    assert len(problems(service(annotations={CLASS: ""}))) == 1


def test_a_class_of_a_component_is_looked_at_too() -> None:
    (found,) = problems(service({"model": MODEL, "annotations": {CLASS: "x"}}))
    assert found.startswith(f'spec.predictor.annotations: {CLASS} is "x"')


def test_a_class_of_knative_has_its_suffix() -> None:
    for name in ("kpa", "hpa"):
        assert problems(service(annotations={KNATIVE_CLASS: f"{name}.autoscaling.knative.dev"})) == []
    tidal = service(annotations={KNATIVE_CLASS: "tidal.autoscaling.knative.dev"})
    assert problems(tidal, WITH_KPA) == []
    assert len(problems(tidal)) == 1
    (found,) = problems(service(annotations={KNATIVE_CLASS: "kpa"}))
    assert "Did you mean kpa.autoscaling.knative.dev?" in found


# -- 15: hpa --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["concurrency", "rps"])
def test_hpa_scales_by_cpu_and_memory(name: str) -> None:
    assert scaled(HPA, scaleMetric="cpu") == scaled(HPA, scaleMetric="memory") == []
    assert scaled(HPA, scaleMetric=name) == [
        f"scaleMetric: hpa does not scale by {name}. Write cpu or memory, or name kpa."
    ]


def test_hpa_holds_cpu_at_a_percentage() -> None:
    for target in (1, 100):
        assert scaled(HPA, scaleTarget=target) == scaled(HPA, scaleMetric="cpu", scaleTarget=target) == []
    for target in (0, 101, -5):
        assert scaled(HPA, scaleTarget=target) == [
            f"scaleTarget: {target} is no percentage of the CPU request from 1 to 100."
        ]


def test_hpa_may_hold_memory_above_what_is_requested() -> None:
    assert scaled(HPA, scaleMetric="memory", scaleTarget=150) == []
    assert scaled(HPA, scaleMetric="memory", scaleTarget=0) == [
        "scaleTarget: 0 is below 1. Write a percentage of the memory request."
    ]


def test_hpa_scales_by_metrics_of_resources_alone() -> None:
    assert metric(HPA, type="Resource", resource={"name": "memory", "target": {"averageValue": "1Gi"}}) == []
    for fields in (
        {"type": "Resource"},
        {"type": "External", "external": {}},
        {"type": "PodMetric", "podmetric": {}},
        {},
    ):
        (found,) = metric(HPA, **fields)
        assert found.endswith("hpa scales by type Resource with the field resource alone. Use keda for others.")


def test_rules_of_hpa_hold_where_it_is_named_and_not_where_it_is_the_default() -> None:
    assert len(scaled(HPA, scaleTarget=500)) == 1
    assert scaled(STANDARD, scaleTarget=500, scaleMetric="concurrency", deploymentStrategy={}) == []
    assert len(scaled({MODE: "RawDeployment", CLASS: "hpa"}, scaleTarget=500)) == 1


@pytest.mark.parametrize("name", ["none", "external"])
def test_what_nobody_scales_is_not_looked_at(name: str) -> None:
    assert scaled({**STANDARD, CLASS: name}, scaleTarget=500, scaleMetric="rps") == []


def test_hpa_in_knative_is_named_by_its_class() -> None:
    for each in ({KNATIVE_CLASS: "hpa.autoscaling.knative.dev"}, {CLASS: "hpa"}):
        assert scaled(each, scaleMetric="cpu", scaleTarget=80) == []
        assert len(scaled(each, scaleMetric="rps")) == 1


def test_the_class_of_a_component_comes_before_that_of_the_service() -> None:
    own = {CLASS: "keda"}
    assert scaled(HPA, annotations=own, scaleMetric="cpu") == [
        "scaleMetric: keda does not read it. List the metric in autoScaling.metrics instead."
    ]


@pytest.mark.parametrize("component", ["transformer", "explainer"])
def test_every_component_is_looked_at(component: str) -> None:
    own = {"containers": [{"image": "x"}], "scaleMetric": "rps"}
    (found,) = problems(service(annotations=HPA, **{component: own}))
    assert found.startswith(f"spec.{component}.scaleMetric: ")


# -- 15: keda -------------------------------------------------------------------------------------------------


def test_keda_reads_no_scale_metric() -> None:
    assert len(scaled(KEDA, scaleMetric="cpu")) == 1
    assert scaled(KEDA, minReplicas=0) == []


@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        ({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}, None),
        ({"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}}, None),
        ({"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Mi"}}, None),
        (
            {"name": "cpu", "target": {"type": "AverageValue", "averageValue": 1}},
            "resource.target.type: AverageValue is not what cpu is held at. Write Utilization.",
        ),
        (
            {"name": "memory", "target": {"type": "Value", "value": 1}},
            "resource.target.type: Value is not what memory is held at. Write Utilization or AverageValue.",
        ),
        ({"name": "cpu"}, "resource.target.type: it is missing. Write Utilization."),
        (
            {"target": {"type": "Utilization", "averageUtilization": 50}},
            "resource.name: it is missing. Write cpu or memory.",
        ),
        (
            {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1000Ki"}},
            'resource.target.averageValue: "1000Ki" is less than 1Mi. Write bytes, such as 512Mi.',
        ),
        (
            {"name": "cpu", "target": {"type": "Utilization", "averageValue": 1}},
            "resource.target.averageUtilization: it is missing, and the type is Utilization.",
        ),
        (
            {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 101}},
            "resource.target.averageUtilization: 101 is no percentage from 1 to 100.",
        ),
        (
            {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}},
            "resource.target.averageUtilization: 0 is no percentage from 1 to 100.",
        ),
    ],
)
def test_keda_holds_resources_at_targets_that_fit(resource: dict[str, Any], problem: str | None) -> None:
    assert metric(KEDA, type="Resource", resource=resource) == ([] if problem is None else [problem])


@pytest.mark.parametrize(("kind", "field"), [("External", "external"), ("PodMetric", "podmetric")])
def test_keda_asks_metrics_with_a_query_and_a_value(kind: str, field: str) -> None:
    query = {"query": "sum(x)"}
    assert metric(KEDA, type=kind, **{field: {"metric": query, "target": {"value": "10.5"}}}) == []
    assert metric(KEDA, type=kind, **{field: {"metric": query, "target": {"type": "Value", "value": 10}}}) == []
    assert metric(KEDA, type=kind, **{field: {}}) == [
        f"{field}.metric.query: it is missing. Write the question that the metric answers.",
        f"{field}.target: it is missing. Write what the metric is held at, as value.",
    ]
    assert metric(KEDA, type=kind, **{field: {"metric": query, "target": {"type": "AverageValue"}}}) == [
        f"{field}.target.value: it is missing, and the type is AverageValue.",
        f"{field}.target.averageValue: it is missing, and the type is AverageValue.",
    ]


def test_a_metric_has_a_type_and_the_field_of_its_type() -> None:
    assert metric(KEDA) == ["type: it is missing. Write Resource, External or PodMetric."]
    (found,) = metric(KEDA, type="External", resource={"name": "cpu"})
    assert found.endswith("a metric of the type External needs the field external.")


# -- 15: kpa --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotations", [{}, {MODE: "Knative"}, {CLASS: "kpa"}, {**STANDARD, CLASS: "kpa"}])
def test_kpa_scales_by_concurrency_and_requests_a_second(annotations: dict[str, str]) -> None:
    for name in ("concurrency", "rps"):
        assert scaled(annotations, scaleMetric=name, scaleTarget=1) == []
    assert scaled(annotations, scaleTarget=10) == []
    for name in ("cpu", "memory"):
        assert scaled(annotations, scaleMetric=name) == [
            f"scaleMetric: kpa does not scale by {name}. Write concurrency or rps, or set {CLASS}: hpa."
        ]


def test_kpa_needs_a_target_above_zero() -> None:
    assert scaled(scaleMetric="rps", scaleTarget=0) == [
        "scaleTarget: 0 is below 1. Write the requests a second for each replica."
    ]
    assert scaled(scaleTarget=0) == ["scaleTarget: 0 is below 1. Write the requests at once for each replica."]


def test_kpa_replaces_replicas_in_its_own_way() -> None:
    (found,) = scaled(deploymentStrategy={"type": "Recreate"})
    assert found.startswith("deploymentStrategy: replicas of a Knative service are not replaced by it.")
    assert scaled(STANDARD, deploymentStrategy={"type": "Recreate"}) == []


def test_other_strategies_judge_for_themselves() -> None:
    assert scaled({CLASS: "tidal"}, scaleMetric="cpu", scaleTarget=0, deploymentStrategy={}) == []
