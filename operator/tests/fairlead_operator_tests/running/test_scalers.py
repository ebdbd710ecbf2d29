"""Who scales components, and what is handed over when that changes.

What KServe tests, and where that is tested here:

- HorizontalPodAutoscaler with a target: test_a_predictor_is_scaled_by_what_it_says
- without one (external): test_a_component_that_somebody_else_scales_is_left_to_them
- KEDA: memory, Prometheus, collectors: test_keda_has_a_trigger_for_each_metric
- collector beside the pods: the same
- HorizontalPodAutoscaler to ScaledObject: test_one_strategy_takes_over_from_another
- rollout keeps the configured replicas: test_components.test_a_rollout_keeps_the_number_of_replicas
"""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from fairlead_operator_tests.running import shapes
from fairlead_operator_tests.running.services import isvc

if TYPE_CHECKING:
    from fairlead_operator_tests.running.services import Services

HPA = "HorizontalPodAutoscaler"


def replicas(deployment: dict[str, Any]) -> int:
    return int(deployment["spec"]["replicas"])


@pytest.mark.parametrize(
    ("predictor", "resource", "target"),
    [
        ({}, "cpu", {"type": "Utilization", "averageUtilization": 80}),
        ({"scaleMetric": "cpu", "scaleTarget": 50}, "cpu", {"type": "Utilization", "averageUtilization": 50}),
        ({"autoScaling": {"metrics": [shapes.MEMORY]}}, "memory", {"type": "Utilization", "averageUtilization": 50}),
    ],
)
def test_a_predictor_is_scaled_by_what_it_says(
    services: Services, predictor: dict[str, Any], resource: str, target: dict[str, Any]
) -> None:
    services.declare(isvc("iris", minReplicas=2, maxReplicas=4, **predictor))
    found = services.appears(HPA, "iris-predictor")["spec"]
    assert (found["minReplicas"], found["maxReplicas"]) == (2, 4)
    assert found["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "iris-predictor"}
    [metric] = found["metrics"]
    assert metric["resource"] == {"name": resource, "target": target}
    services.change("iris", {"spec": {"predictor": {"maxReplicas": 6}}})
    services.becomes(HPA, "iris-predictor", lambda each: each["spec"]["maxReplicas"] == 6)


def test_replicas_that_an_autoscaler_decides_are_left_alone(services: Services) -> None:
    services.declare(isvc("iris", maxReplicas=9))
    services.appears("Deployment", "iris-predictor")
    scale = {"spec": {"replicas": 5}}
    services.cluster.patch("apps/v1", "Deployment", "iris-predictor", scale, services.namespace, below="scale")
    services.change("iris", {"spec": {"predictor": {"timeout": 7, "model": {"storageUri": "s3://bucket/other"}}}})
    found = services.becomes("Deployment", "iris-predictor", lambda each: "s3://bucket/other" in str(each["spec"]))
    assert replicas(found) == 5


@pytest.mark.parametrize("strategy", ["hpa", "external", "keda"])
def test_replicas_stay_when_another_begins_to_decide_them(
    foreign_kinds: Any, services: Services, strategy: str
) -> None:
    services.declare(shapes.scaled("iris", "none", shapes.CPU, minReplicas=3, maxReplicas=9))
    services.becomes("Deployment", "iris-predictor", lambda each: replicas(each) == 3)
    assert not services.names(HPA)
    services.change("iris", {"spec": {"predictor": {"minReplicas": 4}}})
    services.becomes("Deployment", "iris-predictor", lambda each: replicas(each) == 4)
    services.change(
        "iris", {"metadata": {"annotations": {shapes.CLASS: strategy}}, "spec": {"predictor": {"minReplicas": 1}}}
    )
    if strategy != "external":
        services.appears({"hpa": HPA, "keda": "ScaledObject"}[strategy], "iris-predictor")
    services.becomes("Deployment", "iris-predictor", _is_left)
    assert replicas(services.appears("Deployment", "iris-predictor")) == 4


def _is_left(deployment: dict[str, Any]) -> bool:
    """Whether the operator holds the number of replicas no more."""
    entries = deployment["metadata"]["managedFields"]
    [ours] = [each for each in entries if each["manager"] == "fairlead-operator" and "subresource" not in each]
    return "f:replicas" not in ours["fieldsV1"]["f:spec"]


def test_replicas_are_taken_back_from_an_autoscaler(services: Services) -> None:
    services.declare(isvc("iris", maxReplicas=9))
    services.appears(HPA, "iris-predictor")
    services.change(
        "iris", {"metadata": {"annotations": {shapes.CLASS: "none"}}, "spec": {"predictor": {"minReplicas": 3}}}
    )
    services.disappears(HPA, "iris-predictor")
    services.becomes("Deployment", "iris-predictor", lambda each: replicas(each) == 3)


def test_a_component_that_somebody_else_scales_is_left_to_them(services: Services) -> None:
    theirs = {
        "apiVersion": "autoscaling/v2",
        "kind": HPA,
        "metadata": {"name": "iris-predictor"},
        "spec": {
            "maxReplicas": 7,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "iris-predictor"},
        },
    }
    made = services.declare(theirs)
    services.declare(isvc("iris", annotations={shapes.CLASS: "external"}))
    services.roll_out("iris-predictor")
    services.condition("iris", "Ready", "True")
    found = services.appears(HPA, "iris-predictor")
    assert (found["metadata"]["uid"], found["spec"]["maxReplicas"]) == (made["metadata"]["uid"], 7)
    services.delete("InferenceService", "iris")
    services.disappears("Deployment", "iris-predictor")
    assert services.get(HPA, "iris-predictor")


def test_what_was_made_to_scale_goes_when_somebody_else_scales(services: Services) -> None:
    services.declare(isvc("iris"))
    services.appears(HPA, "iris-predictor")
    services.change("iris", {"metadata": {"annotations": {shapes.CLASS: "external"}}})
    services.disappears(HPA, "iris-predictor")


@pytest.mark.parametrize(
    ("metric", "trigger"),
    [
        (shapes.MEMORY, {"type": "memory", "metricType": "Utilization", "metadata": {"value": "50"}}),
        (
            shapes.PROMETHEUS,
            {
                "type": "prometheus",
                "metadata": {"serverAddress": "http://prometheus:9090", "query": "sum(up)", "threshold": "10"},
            },
        ),
        (shapes.POD_METRIC, {"type": "external", "metadata": {"targetValue": "4"}}),
    ],
)
def test_keda_has_a_trigger_for_each_metric(
    foreign_kinds: Any, services: Services, metric: dict[str, Any], trigger: dict[str, Any]
) -> None:
    fewest = 0 if metric is shapes.PROMETHEUS else 1
    services.declare(shapes.scaled("iris", "keda", metric, minReplicas=fewest, maxReplicas=3))
    [found] = services.appears("ScaledObject", "iris-predictor")["spec"]["triggers"]
    assert found["metadata"].items() >= trigger.pop("metadata").items()
    assert found.items() >= trigger.items()
    collected = metric is shapes.POD_METRIC
    if collected:
        assert f'namespace="{services.namespace}", deployment="iris-predictor"' in found["metadata"]["metricQuery"]
        collector = services.appears("OpenTelemetryCollector", "iris-predictor")
        assert collector["spec"]["mode"] == "sidecar"
        services.change("iris", {"spec": {"predictor": {"autoScaling": {"metrics": [shapes.MEMORY]}}}})
        services.disappears("OpenTelemetryCollector", "iris-predictor")
    assert not services.names(HPA)


def test_one_strategy_takes_over_from_another(foreign_kinds: Any, services: Services) -> None:
    services.declare(shapes.scaled("iris", "hpa", shapes.CPU))
    services.appears(HPA, "iris-predictor")
    for strategy, there, gone in (("keda", "ScaledObject", HPA), ("hpa", HPA, "ScaledObject")):
        services.change("iris", {"metadata": {"annotations": {shapes.CLASS: strategy}}})
        services.appears(there, "iris-predictor")
        services.disappears(gone, "iris-predictor")


class _Busy(http.server.BaseHTTPRequestHandler):
    """Metrics of a server with many requests."""

    page: ClassVar[bytes] = b'fairlead_requests_in_flight{model="iris"} 60\n'

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def busy() -> Iterator[int]:
    """The port of a server with many requests."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_strategy_that_decides_in_process_scales_by_what_pods_tell(services: Services) -> None:
    with busy() as port:
        annotations = {shapes.CLASS: "kpa", "prometheus.kserve.io/port": str(port)}
        services.declare(
            isvc("iris", annotations=annotations, maxReplicas=7, scaleMetric="concurrency", scaleTarget=10)
        )
        services.roll_out("iris-predictor")
        [pod] = services.list("Pod")
        services.cluster.patch_status(
            "v1", "Pod", pod["metadata"]["name"], {"podIP": "127.0.0.1", "podIPs": None}, services.namespace
        )
        services.becomes("Deployment", "iris-predictor", lambda each: replicas(each) > 1)
        services.cluster.eventually(lambda: "ScaledUp" in {each["reason"] for each in services.list("Event")})
        assert not services.names(HPA)
