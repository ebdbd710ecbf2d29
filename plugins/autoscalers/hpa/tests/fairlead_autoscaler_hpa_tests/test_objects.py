"""The HorizontalPodAutoscaler that a cluster is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fairlead import MetricTarget, ScalingSpec, TargetKind, errors
from fairlead_autoscaler_hpa.strategy import HpaAutoscaler

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "iris-predictor", "namespace": "default"}}


def made(spec: ScalingSpec) -> Mapping[str, Any]:
    (manifest,) = HpaAutoscaler().manifests(spec, TARGET)
    return manifest


def metrics(*targets: MetricTarget, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made(ScalingSpec(max_replicas=3, targets=targets, **more))["spec"]["metrics"]
    return found


def of_cpu(held: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "Resource", "resource": {"name": "cpu", "target": held}}]


def test_without_a_target_cpu_is_held_at_eighty_percent() -> None:
    assert made(ScalingSpec(min_replicas=2, max_replicas=5)) == {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "iris-predictor"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "iris-predictor"},
            "minReplicas": 2,
            "maxReplicas": 5,
            "metrics": of_cpu({"type": "Utilization", "averageUtilization": 80}),
        },
    }


def test_without_an_upper_bound_it_is_the_lower_one() -> None:
    assert made(ScalingSpec(min_replicas=3))["spec"]["maxReplicas"] == 3


def test_an_amount_stays_as_it_was_written() -> None:
    written = {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1.5Gi"}}}
    target = MetricTarget(metric="memory", value=1.5 * 2**30)
    assert metrics(target, metrics=(written,))[0]["resource"]["target"] == {
        "type": "AverageValue",
        "averageValue": "1.5Gi",
    }


@pytest.mark.parametrize(("value", "text"), [(0.25, "250m"), (2.0, "2"), (104857600.0, "104857600")])
def test_an_amount_that_nobody_wrote_is_a_quantity(value: float, text: str) -> None:
    assert metrics(MetricTarget(metric="cpu", value=value)) == of_cpu({"type": "AverageValue", "averageValue": text})


def test_every_target_is_a_metric() -> None:
    percent = TargetKind.UTILIZATION
    targets = (
        MetricTarget(metric="cpu", kind=percent),
        MetricTarget(metric="memory", value=60.0, kind=percent),
    )
    assert [each["resource"]["target"]["averageUtilization"] for each in metrics(*targets)] == [80, 60]


def test_the_behavior_is_handed_on_whole() -> None:
    behavior = {
        "scaleUp": {"stabilizationWindowSeconds": 30, "tolerance": "0.05"},
        "scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}], "selectPolicy": "Min"},
    }
    assert made(ScalingSpec(max_replicas=3, behavior=behavior))["spec"]["behavior"] == behavior
    assert "behavior" not in made(ScalingSpec(max_replicas=3))["spec"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (ScalingSpec(targets=(MetricTarget(metric="concurrency", value=3.0),)), "does not measure concurrency"),
        (ScalingSpec(targets=(MetricTarget(metric="rps", value=3.0),)), "does not measure rps.*such as kpa"),
        (ScalingSpec(targets=(MetricTarget(metric="cpu", value=3.0, kind=TargetKind.VALUE),)), "measured for each"),
        (ScalingSpec(annotations={"hpa.autoscaling/tolerance": "0.2"}), "tolerance is for whoever decides in process"),
        (ScalingSpec(annotations={"hpa.autoscaling/speed": "2"}), "no annotation hpa.autoscaling/speed"),
        (ScalingSpec(behavior={"scaleUp": {"window": 3}}), "no field window"),
        (ScalingSpec(min_replicas=3, max_replicas=2), "no number that could be chosen"),
        (ScalingSpec(min_replicas=0, max_replicas=2), "never come back from zero"),
    ],
)
def test_what_cannot_be_delegated_is_refused(spec: ScalingSpec, said: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        made(spec)
    caught.match(said)
