"""Who scales a component, and by which objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from fairlead import (
    Autoscaler,
    AutoscalerMode,
    AutoscalerSpec,
    Decision,
    MetricsWindow,
    ObjectKind,
    ScalingSpec,
    errors,
)
from fairlead_operator.configuration.model import OpenTelemetry, OperatorConfig, Stabilization
from fairlead_operator.desired import autoscaling
from fairlead_operator.desired.model import Manifest, Problem, Strategy, Surroundings
from fairlead_operator_tests import golden
from fairlead_operator_tests.desired import services

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedComponent

GOLDEN: Final = Path(__file__).parent / "golden" / "autoscaling"
CLASS: Final = "serving.kserve.io/autoscalerClass"
KEDA: Final = frozenset({"keda.sh/ScaledObject", "opentelemetry.io/OpenTelemetryCollector"})
GROUPS: Final = ("scaling.example", "a.b")
EXTERNAL: Final = (
    "{type: External, external: {metric: {backend: prometheus, serverAddress: 'http://prometheus:9090',"
    " query: 'sum(up)'}, authenticationRef: {authModes: basic, authenticationRef: {name: login}},"
    " target: {type: Value, value: 500m}}}"
)
POD_METRIC: Final = (
    "{type: PodMetric, podmetric: {metric: {backend: opentelemetry, metricNames: ['vllm:num_requests_running'],"
    " query: 'vllm:num_requests_running', operationOverTime: avg}, target: {type: Value, value: 4}}}"
)
CPU: Final = "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 55}}}"
MEMORY: Final = "{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1.5Gi}}}"
BEHAVIOR: Final = "{scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Pods, value: 1, periodSeconds: 30}]}}"


def scaling(*metrics: str, behavior: str = "{}") -> str:
    return f"autoScaling: {{metrics: [{', '.join(metrics)}], behavior: {behavior}}}, "


class Made(Autoscaler):
    """A strategy that delegates to whatever it is told to."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        raise NotImplementedError

    def manifests(self, spec: ScalingSpec, target: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        if isinstance(self._made, Exception):
            raise self._made
        return [self._made]


def strategy(made: Any, *, fault: str = "") -> Strategy:
    things = tuple(ObjectKind(api_version=f"{group}/v1", kind="Thing", plural="things") for group in GROUPS)
    modes = frozenset({AutoscalerMode.DELEGATES})
    return Strategy(AutoscalerSpec(name="hpa", factory="a:B", modes=modes, kinds=things), Made(made), fault)


def predictor(
    fields: str = "", config: OperatorConfig | None = None, *, name: str | None = None, **more: Any
) -> tuple[ResolvedComponent, Surroundings]:
    """The predictor of a service with these fields, and what it is rendered in."""
    spec = f"{{predictor: {{{fields}model: {{modelFormat: {{name: sklearn}}, storageUri: 's3://models/iris'}}}}}}"
    annotations = {"serving.kserve.io/deploymentMode": "Standard", **({CLASS: name} if name else {})}
    service = services.resolved(services.isvc(spec, annotations=annotations), config)
    return service.predictor, services.surroundings(service, config=config or OperatorConfig(), **more)


def made(*args: Any, **more: Any) -> tuple[list[Manifest], list[Problem]]:
    return autoscaling.objects(*predictor(*args, **more))


def only(problems: list[Problem]) -> Problem:
    (problem,) = problems
    assert problem.condition == "AutoscalerReady"
    return problem


# -- objects --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "fields", "name"),
    [
        ("hpa-by-default", "", None),
        ("hpa-memory", "minReplicas: 0, maxReplicas: 4, scaleMetric: memory, scaleTarget: 60, ", "hpa"),
        (
            "hpa-metrics-and-behavior",
            "minReplicas: 2, maxReplicas: 9, " + scaling(CPU, MEMORY, behavior=BEHAVIOR),
            "hpa",
        ),
        ("keda-cpu", "maxReplicas: 5, " + scaling(CPU), "keda"),
        ("keda-external", "minReplicas: 0, maxReplicas: 5, " + scaling(EXTERNAL), "keda"),
        ("keda-pods", "maxReplicas: 5, " + scaling(POD_METRIC, CPU), "keda"),
    ],
)
def test_a_strategy_that_delegates_has_its_objects_made(case: str, fields: str, name: str | None) -> None:
    objects, problems = made(fields, name=name, apis=KEDA)
    assert problems == []
    golden.check(GOLDEN / f"{case}.yaml", objects)


def test_the_configuration_says_what_the_service_leaves_open() -> None:
    config = OperatorConfig(
        stabilization=Stabilization(scale_up=5, scale_down=6),
        opentelemetry=OpenTelemetry(scrape_interval="9s", receiver="receiver:1", scaler="scaler:2"),
    )
    fields = "maxReplicas: 3, " + scaling(POD_METRIC)
    (collector, scaled), _ = made(fields, config, name="keda", apis=KEDA)
    behavior = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert [each["stabilizationWindowSeconds"] for each in behavior.values()] == [5, 6]
    assert scaled["spec"]["triggers"][0]["metadata"]["scalerAddress"] == "scaler:2"
    assert collector["spec"]["config"]["exporters"]["otlp"]["endpoint"] == "receiver:1"
    assert collector["spec"]["resources"]["limits"] == {"cpu": "1", "memory": "2Gi"}


def test_what_a_strategy_adds_to_labels_and_annotations_stays_and_what_is_the_platforms_does_too() -> None:
    own = {"labels": {"app": "mine", "tier": "gold"}, "annotations": {"note": "kept"}, "namespace": "elsewhere"}
    thing = {"apiVersion": "scaling.example/v1", "kind": "Thing", "metadata": {"name": "iris", **own}, "spec": {}}
    (found,), problems = made(strategies={"hpa": strategy(thing)}, apis=frozenset({"scaling.example/Thing"}))
    assert problems == []
    written = found["metadata"]
    assert (written["name"], written["namespace"]) == ("iris", "models")
    assert (written["labels"]["app"], written["labels"]["tier"]) == ("isvc.iris-predictor", "gold")
    assert written["annotations"]["note"] == "kept"
    assert written["ownerReferences"][0]["uid"] == services.UID


@pytest.mark.parametrize("name", ["none", "external", "kpa"])
def test_who_does_not_delegate_has_no_objects(name: str) -> None:
    assert made(name=name) == ([], [])


# -- what cannot be made --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "apis", "kinds", "reason", "said"),
    [
        (CPU, frozenset(), [], "KedaNotInstalled", "Install KEDA"),
        (
            POD_METRIC,
            frozenset({"keda.sh/ScaledObject"}),
            ["ScaledObject"],
            "OpenTelemetryNotInstalled",
            "OpenTelemetryCollector (opentelemetry.io), which this cluster does not serve",
        ),
    ],
)
def test_a_kind_that_the_cluster_does_not_serve_is_named(
    fields: str, apis: frozenset[str], kinds: list[str], reason: str, said: str
) -> None:
    objects, problems = made("maxReplicas: 3, " + scaling(fields), name="keda", apis=apis)
    assert [each["kind"] for each in objects] == kinds
    assert only(problems).reason == reason
    assert said in only(problems).message


def test_a_strategy_that_is_not_there_is_named() -> None:
    objects, problems = made(strategies={})
    assert objects == []
    assert only(problems).reason == "AutoscalerNotInstalled"
    assert "fairlead-autoscaler-hpa" in only(problems).message


def test_what_a_strategy_refuses_is_said_in_its_words() -> None:
    objects, problems = made("scaleMetric: rps, scaleTarget: 3, ")
    assert objects == []
    assert only(problems).reason == "InvalidAutoscaling"
    assert "iris-predictor: A HorizontalPodAutoscaler does not measure rps" in only(problems).message
    assert "such as kpa" in only(problems).message


@pytest.mark.parametrize(
    ("broken", "reason", "said"),
    [
        (ZeroDivisionError("by nothing"), "AutoscalerFailed", "raised ZeroDivisionError: by nothing."),
        (errors.ConfigurationError("No.", remedy="Yes."), "InvalidAutoscaling", "iris-predictor: No. Yes."),
        ({"kind": "Thing"}, "InvalidAutoscaling", "no Kubernetes object"),
        ({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": ""}}, "InvalidAutoscaling", "no Kubernetes object"),
        (object(), "InvalidAutoscaling", "no Kubernetes object"),
        ({"apiVersion": "a.b/v1", "kind": "Thing", "metadata": {"name": "x"}}, "ThingNotServed", "what brings Thing"),
        (
            {"apiVersion": "a.b/v2", "kind": "Thing", "metadata": {"name": "x"}},
            "InvalidAutoscaling",
            "The strategy hpa made a Thing (a.b/v2), and does not declare that kind",
        ),
    ],
)
def test_a_strategy_that_is_wrong_keeps_nothing_else_from_being_rendered(broken: Any, reason: str, said: str) -> None:
    objects, problems = made(strategies={"hpa": strategy(broken)})
    assert objects == []
    assert only(problems).reason == reason
    assert said in only(problems).message


def test_a_strategy_whose_objects_cannot_be_handled_makes_none() -> None:
    thing = {"apiVersion": "a.b/v1", "kind": "Thing", "metadata": {"name": "iris"}}
    objects, problems = made(strategies={"hpa": strategy(thing, fault="It is two.")}, apis=frozenset({"a.b/Thing"}))
    assert objects == []
    assert (only(problems).reason, only(problems).message) == ("AutoscalerFailed", "iris-predictor: It is two.")


# -- replicas -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"), [(None, None), ("hpa", None), ("keda", None), ("kpa", None), ("external", None), ("none", 3)]
)
def test_the_number_of_replicas_is_written_where_nobody_scales(name: str | None, expected: int | None) -> None:
    assert autoscaling.replicas(*predictor("minReplicas: 3, ", name=name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [(None, None), ("hpa", None), ("keda", None), ("external", None), ("none", None), ("kpa", "kpa")],
)
def test_the_operator_asks_a_strategy_that_decides_and_does_not_delegate(
    name: str | None, expected: str | None
) -> None:
    found = autoscaling.in_process(*predictor(name=name))
    assert (found.spec.name if found else None) == expected


def test_a_strategy_that_is_not_there_is_not_asked() -> None:
    component, surroundings = predictor(name="kpa")
    assert autoscaling.in_process(component, dataclasses.replace(surroundings, strategies={})) is None
