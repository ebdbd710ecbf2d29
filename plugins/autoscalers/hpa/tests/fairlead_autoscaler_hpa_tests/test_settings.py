"""What it takes, and what it refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fairlead import MetricTarget, ScalingSpec, TargetKind, errors
from fairlead.plugins import Kind, Plugins
from fairlead_autoscaler_hpa._plugin import SPEC
from fairlead_autoscaler_hpa.strategy import HpaAutoscaler
from fairlead_autoscaler_hpa_tests.deciding import decided, recommended, replica, spec


def test_it_is_installed_and_its_factory_can_be_imported() -> None:
    plugins = Plugins.discover()
    assert plugins.specs(Kind.AUTOSCALER, "hpa") == (SPEC,)
    assert plugins.factory(Kind.AUTOSCALER, SPEC) is HpaAutoscaler


def test_it_decides_every_fifteen_seconds() -> None:
    assert SPEC.interval == 15.0


def test_without_a_target_cpu_is_held_at_eighty_percent() -> None:
    assert recommended(ScalingSpec(), 2, replicas=[replica("a", 1.0), replica("b", 1.0)]) == 3
    named = ScalingSpec(targets=(MetricTarget(metric="cpu", kind=TargetKind.UTILIZATION),))
    assert recommended(named, 2, replicas=[replica("a", 0.8), replica("b", 0.8)]) == 2


def test_without_a_value_concurrency_is_held_at_eighty_percent_of_the_limit() -> None:
    asked = ScalingSpec(targets=(MetricTarget(metric="concurrency"),), container_concurrency=10)
    assert recommended(asked, 1, {"concurrency": 17.0}) == 3


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ([MetricTarget(metric="concurrency")], "the target of concurrency has no value"),
        ([MetricTarget(metric="rps", value=0.0)], "the target of rps is 0"),
        ([MetricTarget(metric="rps", value=-1.0)], "the target of rps is -1.0"),
        ([MetricTarget(metric="rps", value=50.0, kind=TargetKind.UTILIZATION)], "replicas request no rps"),
        ([MetricTarget(metric="cpu", value=50.0, kind=TargetKind.VALUE)], "measured for each replica"),
        ([MetricTarget(metric="memory", kind=TargetKind.UTILIZATION)], "the target of memory has no value"),
    ],
)
def test_a_target_that_cannot_be_held_is_refused(targets: list[MetricTarget], said: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=said):
        decided(ScalingSpec(targets=tuple(targets)), 1, {"concurrency": 1.0, "rps": 1.0})


@pytest.mark.parametrize(("least", "most"), [(-1, None), (3, 2), (0, 0)])
def test_bounds_between_which_there_is_nothing_are_refused(least: int, most: int | None) -> None:
    with pytest.raises(errors.ConfigurationError, match="no number that could be chosen"):
        decided(spec(least=least, most=most), 1, {"concurrency": 1.0})


def test_zero_replicas_need_a_metric_that_is_measured_without_any() -> None:
    with pytest.raises(errors.ConfigurationError, match="could never come back from zero"):
        decided(ScalingSpec(min_replicas=0), 1, replicas=[replica("a", 0.0)])


@pytest.mark.parametrize(
    ("behavior", "said"),
    [
        ({"up": {}}, "behavior has no field up"),
        ({"scaleUp": {"window": 3}}, "behavior.scaleUp has no field window"),
        ({"scaleUp": []}, r"behavior.scaleUp is \[\], and not a mapping"),
        ({"scaleDown": {"stabilizationWindowSeconds": 3601}}, "from 0 to 3600"),
        ({"scaleDown": {"stabilizationWindowSeconds": True}}, "is True, and not a whole number"),
        ({"scaleUp": {"selectPolicy": "Most"}}, "not one of Max, Min, Disabled"),
        ({"scaleUp": {"tolerance": "-0.1"}}, "behavior.scaleUp.tolerance is '-0.1'"),
        ({"scaleUp": {"policies": []}}, "not a list of one or more policies"),
        ({"scaleUp": {"policies": [{"type": "Pods", "value": 1}]}}, r"policies\[0\] lacks periodSeconds"),
        ({"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 1}]}}, r"policies\[0\].value is 0"),
        ({"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}}, "from 1 to 1800"),
        ({"scaleUp": {"policies": [{"type": "Cores", "value": 1, "periodSeconds": 1}]}}, "not one of Pods, Percent"),
    ],
)
def test_a_behavior_that_kubernetes_would_refuse_is_refused(behavior: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=said):
        decided(dataclasses.replace(spec(), behavior=behavior), 1, {"concurrency": 1.0})


def test_an_annotation_of_its_own_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"no annotation hpa\.autoscaling/tolerence"):
        decided(dataclasses.replace(spec(), annotations={"hpa.autoscaling/tolerence": "0.2"}), 1)


def test_annotations_of_others_are_none_of_its_business() -> None:
    asked = dataclasses.replace(spec(), annotations={"autoscaling.knative.dev/window": "soon"})
    assert recommended(asked, 1, {"concurrency": 30.0}) == 3


def test_an_annotation_that_is_no_quantity_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="tolerance is 'much', and not a quantity"):
        decided(dataclasses.replace(spec(), annotations={"hpa.autoscaling/tolerance": "much"}), 1)
