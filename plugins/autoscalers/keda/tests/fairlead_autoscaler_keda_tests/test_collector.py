"""The collector beside the pods."""

from __future__ import annotations

from typing import Any

from fairlead_autoscaler_keda_tests.asking import TARGET, external, made, pod_metric, spec

RUNNING = pod_metric(metricNames=["vllm:num_requests_running", "vllm:num_requests_waiting"])


def test_there_is_none_where_no_metric_is_to_be_collected() -> None:
    assert list(made(spec(external(), pod_metric()))) == ["ScaledObject"]


def test_it_scrapes_the_server_and_sends_what_the_trigger_asks_for() -> None:
    (found, _) = made(spec(RUNNING)).values()
    assert found == {
        "apiVersion": "opentelemetry.io/v1beta1",
        "kind": "OpenTelemetryCollector",
        "metadata": {"name": "iris-predictor"},
        "spec": {"mode": "sidecar", "config": found["spec"]["config"]},
    }
    config = found["spec"]["config"]
    assert config["receivers"]["prometheus"]["config"]["scrape_configs"] == [
        {
            "job_name": "model-server",
            "scrape_interval": "5s",
            "metrics_path": "/metrics",
            "static_configs": [{"targets": ["localhost:8080"]}],
        }
    ]
    assert config["processors"]["resourcedetection/env"]["detectors"] == ["env"]
    assert config["processors"]["transform"]["metric_statements"][0]["statements"] == [
        'set(attributes["namespace"], resource.attributes["k8s.namespace.name"])',
        'set(attributes["deployment"], resource.attributes["k8s.deployment.name"])',
        'set(attributes["pod"], resource.attributes["k8s.pod.name"])',
    ]
    assert config["processors"]["filter/metrics"]["metrics"]["include"] == {
        "match_type": "strict",
        "metric_names": ["vllm:num_requests_running", "vllm:num_requests_waiting"],
    }
    assert config["exporters"]["otlp"] == {
        "endpoint": "keda-otel-scaler.keda.svc:4317",
        "compression": "none",
        "tls": {"insecure": True},
    }
    assert config["service"]["pipelines"]["metrics"] == {
        "receivers": ["prometheus"],
        "processors": ["resourcedetection/env", "transform", "filter/metrics"],
        "exporters": ["otlp"],
    }


def test_the_configuration_says_how_often_where_to_and_with_which_resources() -> None:
    resources = {"limits": {"cpu": "1"}}
    configured: dict[str, Any] = {
        "scrapeInterval": "1s",
        "metricReceiverEndpoint": "receiver.here:1",
        "resource": resources,
    }
    found = made(spec(RUNNING, platform={"opentelemetryCollector": configured}))["OpenTelemetryCollector"]["spec"]
    assert found["resources"] == resources
    (scraped,) = found["config"]["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert scraped["scrape_interval"] == "1s"
    assert found["config"]["exporters"]["otlp"]["endpoint"] == "receiver.here:1"


def test_annotations_of_the_component_say_where_its_metrics_are() -> None:
    annotations = {"prometheus.kserve.io/port": "8002", "prometheus.kserve.io/path": "/stats"}
    target = {**TARGET, "metadata": {**TARGET["metadata"], "annotations": annotations}}
    config = made(spec(RUNNING), target)["OpenTelemetryCollector"]["spec"]["config"]
    (scraped,) = config["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": ["localhost:8002"]}]
    assert scraped["metrics_path"] == "/stats"


def test_several_metrics_share_one_collector() -> None:
    other = pod_metric(metricNames=["vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"])
    found = made(spec(RUNNING, other))["OpenTelemetryCollector"]["spec"]["config"]
    assert found["processors"]["filter/metrics"]["metrics"]["include"]["metric_names"] == [
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
    ]
