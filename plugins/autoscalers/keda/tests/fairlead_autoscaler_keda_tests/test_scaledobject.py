"""The ScaledObject: bounds, behavior and triggers."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead import MetricsWindow, MetricTarget, ScalingSpec, TargetKind, errors
from fairlead.plugins import Kind, Plugins
from fairlead_autoscaler_keda._plugin import SPEC
from fairlead_autoscaler_keda.strategy import KedaAutoscaler
from fairlead_autoscaler_keda_tests.asking import cpu, external, made, pod_metric, spec, triggers


def refused(asked: ScalingSpec) -> str:
    with pytest.raises(errors.ConfigurationError) as caught:
        made(asked)
    assert caught.value.remedy
    return str(caught.value)


def test_it_is_installed_and_its_factory_can_be_imported() -> None:
    plugins = Plugins.discover()
    assert plugins.specs(Kind.AUTOSCALER, "keda") == (SPEC,)
    assert plugins.factory(Kind.AUTOSCALER, SPEC) is KedaAutoscaler


def test_it_refuses_to_decide_and_names_who_does() -> None:
    window = MetricsWindow(samples={}, ready_replicas=1, desired_replicas=1)
    with pytest.raises(errors.ConfigurationError, match=r"does not decide.*name kpa or hpa"):
        KedaAutoscaler().decide(ScalingSpec(), window, 0.0)


def test_the_object_scales_its_target_within_the_bounds() -> None:
    assert made(ScalingSpec(min_replicas=2, max_replicas=5, targets=(cpu(),))) == {
        "ScaledObject": {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "iris-predictor"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "iris-predictor"},
                "minReplicaCount": 2,
                "maxReplicaCount": 5,
                "advanced": {
                    "horizontalPodAutoscalerConfig": {
                        "behavior": {
                            "scaleUp": {"stabilizationWindowSeconds": 0},
                            "scaleDown": {"stabilizationWindowSeconds": 300},
                        }
                    }
                },
                "triggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}],
            },
        }
    }


@pytest.mark.parametrize(
    ("target", "metric", "value"),
    [
        (cpu(None), {}, ("Utilization", "80")),
        (MetricTarget(metric="memory", value=50.0, kind=TargetKind.UTILIZATION), {}, ("Utilization", "50")),
        (
            MetricTarget(metric="memory", value=1.5 * 2**30),
            {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1.5Gi"}}},
            ("AverageValue", "1.5Gi"),
        ),
        (MetricTarget(metric="memory", value=2.0**40), {}, ("AverageValue", "1099511627776")),
    ],
)
def test_a_resource_is_held_as_it_was_written(
    target: MetricTarget, metric: dict[str, Any], value: tuple[str, str]
) -> None:
    (found,) = triggers(ScalingSpec(max_replicas=3, targets=(target,), metrics=(metric,) if metric else ()))
    assert found == {"type": target.metric, "metricType": value[0], "metadata": {"value": value[1]}}


def test_prometheus_is_asked_with_the_amount_as_it_was_written() -> None:
    access = {"authModes": "bearer", "authenticationRef": {"name": "login"}}
    asked = external(query="sum(up)", namespace="models", access=access, target={"type": "Value", "value": "0.50"})
    assert triggers(spec(asked)) == [
        {
            "type": "prometheus",
            "metadata": {
                "serverAddress": "http://prometheus:9090",
                "query": "sum(up)",
                "threshold": "0.50",
                "namespace": "models",
                "authModes": "bearer",
            },
            "authenticationRef": {"name": "login"},
        }
    ]


@pytest.mark.parametrize(("written", "number"), [("500m", "0.5"), ("2k", "2000"), ("1e3", "1000"), (3, "3")])
def test_a_quantity_becomes_a_number_where_keda_reads_no_quantities(written: Any, number: str) -> None:
    asked = {"type": "Value", "value": written}
    (one, other) = triggers(spec(external(target=asked), pod_metric(target=asked)))
    assert (one["metadata"]["threshold"], other["metadata"]["targetValue"]) == (number, number)


def test_graphite_is_asked_about_the_last_minute() -> None:
    asked = external(backend="graphite", namespace="unused", access={"authModes": "basic"}, target={"value": 7})
    assert triggers(spec(asked)) == [
        {
            "type": "graphite",
            "metadata": {
                "serverAddress": "http://prometheus:9090",
                "query": "up",
                "threshold": "7",
                "queryTime": "-1Minutes",
                "authMode": "basic",
            },
        }
    ]


def test_a_metric_of_pods_is_the_sum_over_those_of_the_component() -> None:
    asked = spec(pod_metric(operationOverTime="avg"))
    assert triggers(asked) == [
        {
            "type": "external",
            "metadata": {
                "metricQuery": 'sum(vllm:num_requests_running{namespace="flowers", deployment="iris-predictor"})',
                "targetValue": "4",
                "scalerAddress": "keda-otel-scaler.keda.svc:4318",
                "operationOverTime": "avg",
            },
        }
    ]


def test_labels_of_the_query_itself_stay() -> None:
    (found,) = triggers(spec(pod_metric(query='requests{model="iris"}')))
    assert found["metadata"]["metricQuery"] == (
        'sum(requests{model="iris", namespace="flowers", deployment="iris-predictor"})'
    )


def test_the_address_of_the_scaler_is_that_of_the_metric_or_of_the_configuration() -> None:
    platform = {"opentelemetryCollector": {"metricScalerEndpoint": "scaler.here:1"}}
    asked = spec(pod_metric(), pod_metric(serverAddress="scaler.there:2"), platform=platform)
    assert [each["metadata"]["scalerAddress"] for each in triggers(asked)] == ["scaler.here:1", "scaler.there:2"]


def test_the_behavior_is_honoured_whole_and_windows_come_from_the_configuration() -> None:
    up = {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}], "selectPolicy": "Max"}
    asked = ScalingSpec(
        max_replicas=3,
        targets=(cpu(),),
        behavior={"scaleUp": up, "scaleDown": {"stabilizationWindowSeconds": 7}},
        platform={"autoscaler": {"scaleUpStabilizationWindowSeconds": 30, "scaleDownStabilizationWindowSeconds": 60}},
    )
    found = made(asked)["ScaledObject"]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert found == {
        "scaleUp": {"stabilizationWindowSeconds": 30, **up},
        "scaleDown": {"stabilizationWindowSeconds": 7},
    }


def test_zero_replicas_are_for_metrics_that_are_there_without_any() -> None:
    assert made(spec(external(), min_replicas=0))["ScaledObject"]["spec"]["minReplicaCount"] == 0
    said = refused(ScalingSpec(min_replicas=0, max_replicas=3, targets=(cpu(),)))
    assert "does not scale to zero by cpu and memory alone" in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (ScalingSpec(max_replicas=3), "nothing says by what"),
        (ScalingSpec(min_replicas=3, max_replicas=2, targets=(cpu(),)), "Between 3 and 2 replicas"),
        (spec(external(), min_replicas=0, max_replicas=0), "Between 0 and 0 replicas"),
        (ScalingSpec(targets=(MetricTarget(metric="concurrency", value=3.0),)), "does not measure concurrency"),
        (ScalingSpec(targets=(MetricTarget(metric="memory"),)), "target of memory is no amount"),
        (ScalingSpec(targets=(cpu(),), behavior={"up": {}}), "behavior has no field up"),
        (spec(external(backend="influx")), "external.metric.backend is 'influx'"),
        (spec(external(serverAddress=None)), r"metrics[0].external.metric.serverAddress is missing"),
        (spec(external(query="")), "external.metric.query is missing"),
        (spec(external(target={"type": "Utilization", "averageUtilization": 3})), "nothing that the type Utilization"),
        (spec(external(), external(target={"type": "AverageValue", "value": 3})), "metrics[1].external.target"),
        (spec(pod_metric(backend="prometheus")), "podmetric.metric.backend is 'prometheus'"),
        (spec(pod_metric(query=None)), "podmetric.metric.query is missing"),
        (spec(pod_metric(operationOverTime="median")), "operationOverTime is 'median'"),
    ],
)
def test_what_keda_cannot_do_is_refused(asked: ScalingSpec, said: str) -> None:
    assert said in refused(asked)
