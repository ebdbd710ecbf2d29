"""The strategy of a component, its bounds and its targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from fairlead import Autoscaler, MetricsWindow, MetricTarget, TargetKind, errors
from fairlead.api.predictor import PredictorSpec
from fairlead.plugins import Kind, Plugins
from fairlead.resolve.scaling import CLASS, KNATIVE_CLASS, scaling
from fairlead_tests.resolve import worlds

if TYPE_CHECKING:
    from fairlead.resolve.service import Scaling

CPU = MetricTarget(metric="cpu", value=80.0, kind=TargetKind.UTILIZATION)


def scaled(text: str = "{}", mode: str = "Knative", **annotations: str) -> tuple[Scaling, tuple[str, ...]]:
    """How a predictor with these fields scales, and what its user is told."""
    named = {"cls": CLASS, "knative": KNATIVE_CLASS}
    said = {
        named.get(key, f"autoscaling.knative.dev/{key.replace('_', '-')}"): each for key, each in annotations.items()
    }
    component = PredictorSpec.model_validate(yaml.safe_load(text), by_alias=True, by_name=False)
    return scaling(component, said, mode=mode, catalogue=worlds.catalogue(), place="spec.predictor")


def refused(*args: Any, **more: str) -> errors.Unresolvable:
    with pytest.raises(errors.Unresolvable) as caught:
        scaled(*args, **more)
    return caught.value


# -- the strategy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "strategy"), [("Knative", "kpa"), ("Standard", "hpa")])
def test_without_an_annotation_the_mode_decides(mode: str, strategy: str) -> None:
    assert scaled(mode=mode)[0].strategy == strategy


@pytest.mark.parametrize("mode", ["Knative", "Standard"])
@pytest.mark.parametrize("name", ["hpa", "keda", "kpa"])
def test_the_annotation_of_the_class_names_an_installed_strategy(name: str, mode: str) -> None:
    assert scaled(mode=mode, cls=name)[0].strategy == name


def test_the_annotation_of_knative_names_one_too() -> None:
    assert scaled(knative="hpa.autoscaling.knative.dev")[0].strategy == "hpa"


def test_the_annotation_of_the_class_wins_over_that_of_knative() -> None:
    found, warnings = scaled(cls="kpa", knative="hpa.autoscaling.knative.dev")
    assert found.strategy == "kpa"
    assert KNATIVE_CLASS not in found.spec.annotations
    assert KNATIVE_CLASS in warnings[0]


def test_none_holds_the_replicas() -> None:
    found, warnings = scaled("{minReplicas: 3, scaleMetric: cpu}", cls="none")
    assert (found.strategy, found.external, found.spec.min_replicas) == (None, False, 3)
    assert warnings == (f"spec.predictor: {CLASS} is none, and so scaleMetric has no effect.",)


def test_external_leaves_the_number_to_somebody_else() -> None:
    found, warnings = scaled("{minReplicas: 2}", cls="external")
    assert (found.strategy, found.external, found.spec.min_replicas) == (None, True, 2)
    assert warnings == ()


def test_a_strategy_that_is_not_installed_has_a_line_to_install_it() -> None:
    error = refused(cls="clairvoyant")
    assert error.condition == "AutoscalerNotInstalled"
    assert error.remedy == (
        "Install it: pip install fairlead-autoscaler-clairvoyant\n"
        "Or do without: the annotation serving.kserve.io/autoscalerClass: none keeps as many replicas as minReplicas "
        "says."
    )


# -- bounds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mode", "bounds"),
    [
        ("{}", "Knative", (1, None)),
        ("{minReplicas: 0}", "Knative", (0, None)),
        ("{minReplicas: 0, maxReplicas: 0}", "Knative", (0, None)),
        ("{minReplicas: 2, maxReplicas: 5}", "Knative", (2, 5)),
        ("{}", "Standard", (1, 1)),
        ("{minReplicas: 2}", "Standard", (2, 2)),
        ("{minReplicas: 2, maxReplicas: 1}", "Standard", (2, 2)),
        ("{minReplicas: 2, maxReplicas: 5}", "Standard", (2, 5)),
        ("{minReplicas: 0, maxReplicas: 3}", "Standard", (1, 3)),
    ],
)
def test_bounds_are_those_of_the_mode(text: str, mode: str, bounds: tuple[int, int | None]) -> None:
    spec = scaled(text, mode)[0].spec
    assert (spec.min_replicas, spec.max_replicas) == bounds


@pytest.mark.parametrize("mode", ["Knative", "Standard"])
def test_hpa_never_goes_to_zero_and_says_so(mode: str) -> None:
    found, warnings = scaled("{minReplicas: 0}", mode, cls="hpa")
    assert found.spec.min_replicas == 1
    assert warnings == ("spec.predictor: the strategy hpa keeps at least 1 replica, although minReplicas is 0.",)


def test_keda_may_go_to_zero() -> None:
    assert scaled("{minReplicas: 0}", "Standard", cls="keda")[0].spec.min_replicas == 0


def test_annotations_that_are_never_handed_on_say_what_to_set_in_their_place() -> None:
    found, warnings = scaled(min_scale="3", window="30s")
    assert dict(found.spec.annotations) == {"autoscaling.knative.dev/window": "30s"}
    assert found.spec.min_replicas == 1
    assert "set minReplicas in its place" in warnings[0]


# -- targets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ()),
        ("{scaleMetric: rps}", (MetricTarget(metric="rps"),)),
        ("{scaleMetric: rps, scaleTarget: 50}", (MetricTarget(metric="rps", value=50.0),)),
        ("{scaleTarget: 5}", (MetricTarget(metric="concurrency", value=5.0),)),
    ],
)
def test_kpa_holds_concurrency_or_requests_per_second(text: str, expected: tuple[MetricTarget, ...]) -> None:
    assert scaled(text)[0].spec.targets == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", CPU),
        ("{scaleMetric: cpu}", CPU),
        ("{scaleTarget: 50}", MetricTarget(metric="cpu", value=50.0, kind=TargetKind.UTILIZATION)),
        (
            "{scaleMetric: memory, scaleTarget: 60}",
            MetricTarget(metric="memory", value=60.0, kind=TargetKind.UTILIZATION),
        ),
        ("{scaleMetric: concurrency, scaleTarget: 3}", MetricTarget(metric="concurrency", value=3.0)),
        ("{scaleMetric: concurrency, containerConcurrency: 3}", MetricTarget(metric="concurrency")),
        ("{autoScaling: {metrics: [{type: Resource, resource: {name: cpu}}]}}", CPU),
        (
            (
                "{autoScaling: {metrics: [{type: Resource, resource: {name: memory, target: "
                "{type: AverageValue, averageValue: 1Gi}}}]}}"
            ),
            MetricTarget(metric="memory", value=2.0**30),
        ),
        (
            (
                "{autoScaling: {metrics: [{type: Resource, resource: {name: cpu, target: "
                "{type: Utilization, averageUtilization: 55}}}]}}"
            ),
            MetricTarget(metric="cpu", value=55.0, kind=TargetKind.UTILIZATION),
        ),
    ],
)
def test_hpa_holds_cpu_at_80_percent_unless_it_is_told_otherwise(text: str, expected: MetricTarget) -> None:
    assert scaled(text, "Standard")[0].spec.targets == (expected,)


def test_memory_without_a_target_leaves_cpu_as_a_cluster_does_and_says_so() -> None:
    found, warnings = scaled("{scaleMetric: memory}", "Standard")
    assert found.spec.targets == (CPU,)
    assert "cpu is held at 80 percent" in warnings[0]


def test_the_metrics_of_autoscaling_hold_over_the_short_form() -> None:
    text = "{scaleMetric: memory, autoScaling: {metrics: [{type: Resource, resource: {name: cpu}}]}}"
    found, warnings = scaled(text, "Standard")
    assert found.spec.targets == (CPU,)
    assert "scaleMetric and scaleTarget have no effect" in warnings[0]


@pytest.mark.parametrize("named", [{}, {"cls": "hpa"}])
def test_requests_that_knative_was_to_hold_are_no_percentage_of_a_processor(named: dict[str, str]) -> None:
    found, warnings = scaled(mode="Standard", target="3", metric="concurrency", **named)
    assert found.spec.targets == (CPU,)
    assert set(warnings) == {
        "spec.predictor: the annotation autoscaling.knative.dev/target has no effect; set scaleTarget in its place.",
        "spec.predictor: the annotation autoscaling.knative.dev/metric has no effect; set scaleMetric in its place.",
    }


def test_annotations_of_knative_say_what_hpa_holds() -> None:
    found, warnings = scaled(knative="hpa.autoscaling.knative.dev", metric="memory", target="100", window="30s")
    assert found.spec.targets == (MetricTarget(metric="memory", value=100 * 2.0**20),)
    assert dict(found.spec.annotations) == {}
    assert warnings == (
        "spec.predictor: the annotation autoscaling.knative.dev/window has no effect with the strategy hpa.",
    )


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("{scaleMetric: cpu}", "Knative"),
        ("{autoScaling: {metrics: [{type: Resource, resource: {name: cpu}}]}}", "Knative"),
        ("{scaleMetric: rps}", "Standard"),
        ("{scaleMetric: rps, scaleTarget: 1, scaleMetricType: Utilization}", "Standard"),
        (
            "{autoScaling: {metrics: [{type: External, external: {metric: {query: up}, target: {value: 1}}}]}}",
            "Standard",
        ),
        ("{autoScaling: {metrics: [{type: PodMetric, podmetric: {metric: {query: up}}}]}}", "Knative"),
        ("{autoScaling: {metrics: [{type: Resource}]}}", "Standard"),
        ("{autoScaling: {metrics: [{type: Resource, resource: {name: memory}}]}}", "Standard"),
        (
            (
                "{autoScaling: {metrics: [{type: Resource, resource: {name: cpu, target: "
                "{type: Value, averageUtilization: 3}}}]}}"
            ),
            "Standard",
        ),
    ],
)
def test_a_metric_that_the_strategy_cannot_hold_is_refused(text: str, mode: str) -> None:
    error = refused(text, mode)
    assert error.condition == "UnsupportedMetric"
    assert error.remedy


def test_a_strategy_that_only_delegates_is_handed_external_metrics() -> None:
    text = "{autoScaling: {metrics: [{type: External, external: {metric: {query: up}, target: {value: 500m}}}]}}"
    assert scaled(text, "Standard", cls="keda")[0].spec.targets == (
        MetricTarget(metric="up", value=0.5, kind=TargetKind.VALUE),
    )


def test_a_strategy_is_handed_the_metrics_as_they_are_declared() -> None:
    text = (
        "{autoScaling: {metrics: [{type: External, external: {metric: {backend: prometheus, query: up}, "
        "authenticationRef: {authModes: basic, authenticationRef: {name: login}}, target: {value: 0.50k}}}]}}"
    )
    assert scaled(text, "Standard", cls="keda")[0].spec.metrics == (
        {
            "type": "External",
            "external": {
                "metric": {"backend": "prometheus", "query": "up"},
                "authenticationRef": {"authModes": "basic", "authenticationRef": {"name": "login"}},
                "target": {"value": "0.50k"},
            },
        },
    )
    assert scaled("{scaleMetric: cpu}", "Standard")[0].spec.metrics == ()


def test_behavior_is_for_hpa_and_kpa_says_that_it_takes_none() -> None:
    text = "{autoScaling: {behavior: {scaleDown: {stabilizationWindowSeconds: 9}}}}"
    assert scaled(text, "Standard")[0].spec.behavior == {"scaleDown": {"stabilizationWindowSeconds": 9}}
    found, warnings = scaled(text)
    assert found.spec.behavior == {}
    assert warnings == ("spec.predictor.autoScaling.behavior has no effect with the strategy kpa.",)


# -- the strategies themselves --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strategies() -> dict[str, Autoscaler]:
    plugins = Plugins.discover()
    return {name: plugins.factory(Kind.AUTOSCALER, spec)() for name, spec in plugins.autoscalers().items()}


@pytest.mark.parametrize("mode", ["Knative", "Standard"])
@pytest.mark.parametrize("name", ["kpa", "hpa"])
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{minReplicas: 0}",
        "{minReplicas: 0, maxReplicas: 4}",
        "{minReplicas: 2, maxReplicas: 4, containerConcurrency: 3}",
        "{scaleMetric: concurrency, scaleTarget: 7}",
        "{scaleMetric: rps, scaleTarget: 7}",
        "{autoScaling: {behavior: {scaleUp: {stabilizationWindowSeconds: 9}}}}",
    ],
)
def test_either_strategy_accepts_what_it_is_handed_with_annotations_of_the_other(
    strategies: dict[str, Autoscaler], text: str, name: str, mode: str
) -> None:
    other = "hpa" if name == "kpa" else "kpa"
    found, _ = scaled(text, mode, cls=name, knative=f"{other}.autoscaling.knative.dev", window="30s", min_scale="3")
    decision = strategies[name].decide(
        found.spec, MetricsWindow(samples={}, ready_replicas=1, desired_replicas=1), now=0.0
    )
    assert decision.replicas is None or decision.replicas >= found.spec.min_replicas
