"""How many replicas the metrics call for."""

from __future__ import annotations

import dataclasses

import pytest

from fairlead import MetricsWindow, MetricTarget, ReplicaPhase, Sample, ScalingSpec, TargetKind
from fairlead_autoscaler_hpa.strategy import HpaAutoscaler
from fairlead_autoscaler_hpa_tests.deciding import NOW, cpu, decided, recommended, replica, spec

# -- the ratio ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("load", "replicas"), [(31.0, 4), (40.0, 4), (41.0, 5), (80.0, 8), (5.0, 1), (0.0, 0)])
def test_desired_is_the_ceiling_of_replicas_times_metric_by_target(load: float, replicas: int) -> None:
    assert recommended(spec(10.0), 2, {"concurrency": load}) == replicas


def test_a_ratio_that_is_whole_is_not_rounded_up_for_what_binary_fractions_lose() -> None:
    assert recommended(spec(0.1), 1, {"concurrency": 0.3}) == 3


def test_the_ratio_is_of_the_replicas_that_are_measured() -> None:
    replicas = [replica("a", 1.0), replica("b", 0.5), replica("c", 0.6)]
    assert recommended(cpu(50.0), 3, replicas=replicas) == 5  # 70% on average: 3 * 1.4 = 4.2


def test_a_utilization_is_of_what_the_replicas_requested_together() -> None:
    replicas = [replica("a", 2.0, requested=4.0), replica("b", 1.0, requested=1.0)]
    assert recommended(cpu(30.0), 2, replicas=replicas) == 4  # 3 of 5 cores are 60%


def test_a_utilization_without_a_request_says_nothing() -> None:
    decision = decided(cpu(), 1, replicas=[replica("a", 0.9, requested=0.0)])
    assert decision.replicas is None
    assert "a requests no cpu" in decision.reason


def test_a_value_is_compared_as_it_is_and_multiplies_the_ready_replicas() -> None:
    target = MetricTarget(metric="concurrency", value=100.0, kind=TargetKind.VALUE)
    asked = ScalingSpec(targets=(target,))
    assert recommended(asked, 4, {"concurrency": 150.0}, ready=3) == 5  # 3 * 1.5 = 4.5
    assert recommended(asked, 4, {"concurrency": 105.0}, ready=3) == 4


def test_measurements_since_the_last_decision_are_averaged_by_their_spans() -> None:
    samples = {"concurrency": [Sample(NOW - 5, 10.0, 10.0), Sample(NOW, 40.0, 5.0)]}
    window = MetricsWindow(samples=samples, ready_replicas=1, desired_replicas=1)
    assert HpaAutoscaler().decide(spec(10.0), window, NOW).recommended == 2


# -- tolerance ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [90.0, 95.0, 100.0, 110.0])
def test_nothing_is_done_within_the_tolerance_of_a_tenth(load: float) -> None:
    assert recommended(spec(10.0), 10, {"concurrency": load}) == 10


@pytest.mark.parametrize(("load", "replicas"), [(110.1, 12), (89.9, 9)])
def test_something_is_done_outside_the_tolerance(load: float, replicas: int) -> None:
    assert recommended(spec(10.0), 10, {"concurrency": load}) == replicas


def test_a_direction_may_have_a_tolerance_of_its_own() -> None:
    behavior = {"scaleUp": {"tolerance": 0}, "scaleDown": {"tolerance": "500m"}}
    asked = dataclasses.replace(spec(10.0), behavior=behavior)
    assert recommended(asked, 10, {"concurrency": 101.0}) == 11
    assert recommended(asked, 10, {"concurrency": 51.0}) == 10
    assert recommended(asked, 10, {"concurrency": 49.0}) == 5


def test_the_tolerance_of_both_directions_is_an_annotation() -> None:
    asked = dataclasses.replace(spec(10.0), annotations={"hpa.autoscaling/tolerance": "0.3"})
    assert recommended(asked, 10, {"concurrency": 129.0}) == 10
    assert recommended(asked, 10, {"concurrency": 131.0}) == 14


# -- readiness ------------------------------------------------------------------------------------------


def test_an_unready_pod_is_ignored_on_the_way_down() -> None:
    replicas = [replica("a", 0.1), replica("b", 0.1), replica("c", 0.0, ready=False, age=20.0)]
    assert recommended(cpu(50.0), 3, replicas=replicas) == 1  # 10% of 2: 0.4


def test_an_unready_pod_counts_as_unused_on_the_way_up() -> None:
    alone = [replica("a", 1.0), replica("b", 1.0)]
    assert recommended(cpu(50.0), 3, replicas=alone) == 4
    with_unready = [*alone, replica("c", 1.0, ready=False, age=20.0)]
    assert recommended(cpu(50.0), 3, replicas=with_unready) == 4  # 2 of 3 cores: 3 * 4/3
    two = [replica("a", 1.0), replica("b", None, phase=ReplicaPhase.PENDING)]
    assert recommended(cpu(50.0), 2, replicas=two) == 2  # 1 of 2 cores is the target


def test_the_cpu_of_a_start_does_not_count() -> None:
    starting = replica("b", 1.0, ready=True, age=60.0, ready_for=10.0)  # measured over 15 s, ready for 10
    assert recommended(cpu(50.0), 2, replicas=[replica("a", 0.5), starting]) == 2
    started = replica("b", 1.0, ready=True, age=60.0, ready_for=20.0)
    assert recommended(cpu(50.0), 2, replicas=[replica("a", 0.5), started]) == 3


def test_a_pod_that_became_unready_long_after_its_start_counts() -> None:
    busy = replica("b", 1.0, ready=False, age=1000.0, ready_for=100.0)
    assert recommended(cpu(50.0), 2, replicas=[replica("a", 1.0), busy]) == 4


def test_a_pod_that_was_never_ready_does_not_count_however_old_it_is() -> None:
    stuck = replica("b", 1.0, ready=False, age=1000.0, ready_for=990.0)
    assert recommended(cpu(50.0), 2, replicas=[replica("a", 0.5), stuck]) == 2


def test_pods_that_stop_or_failed_are_left_out() -> None:
    gone = [replica("b", 0.0, phase=ReplicaPhase.STOPPING), replica("c", None, phase=ReplicaPhase.FAILED)]
    assert recommended(cpu(50.0), 1, replicas=[replica("a", 1.0), *gone]) == 2


# -- missing measurements -------------------------------------------------------------------------------


def test_a_missing_measurement_counts_as_none_on_the_way_up() -> None:
    replicas = [replica("a", 1.0), replica("b", 1.0), replica("c", None)]
    assert recommended(cpu(40.0), 3, replicas=replicas) == 5  # 2 of 3 cores at 40%


def test_a_missing_measurement_counts_as_everything_on_the_way_down() -> None:
    replicas = [replica("a", 0.1), replica("b", 0.1), replica("c", 0.1), replica("d", None)]
    assert recommended(cpu(80.0), 4, replicas=replicas) == 2  # 1.3 of 4 cores at 80%


def test_a_missing_measurement_that_would_turn_the_direction_changes_nothing() -> None:
    up = [replica("a", 0.6), replica("b", None)]  # 120% of the target turn to 60%
    assert recommended(cpu(50.0), 2, replicas=up) == 2
    down = [replica("a", 0.45), replica("b", None)]  # 90% of the target turn to 145%
    assert recommended(cpu(50.0), 2, replicas=down) == 2


def test_a_missing_measurement_that_leads_into_the_tolerance_changes_nothing() -> None:
    replicas = [replica("a", 1.0), replica("b", None)]  # 200% of the target turn to 100%
    assert recommended(cpu(50.0), 2, replicas=replicas) == 2


def test_without_any_measurement_nothing_changes() -> None:
    assert decided(cpu(), 3, replicas=[replica("a", None)]).replicas is None
    assert decided(spec(), 3).replicas is None


def test_silence_of_a_component_that_has_nothing_to_measure_says_that_nothing_happens() -> None:
    window = MetricsWindow(samples={}, ready_replicas=0, desired_replicas=1, measured=False)
    assert HpaAutoscaler().decide(spec(least=0), window, NOW).recommended == 0


# -- several metrics ------------------------------------------------------------------------------------

TWO = ScalingSpec(targets=(MetricTarget(metric="concurrency", value=10.0), MetricTarget(metric="rps", value=100.0)))


def test_of_several_metrics_the_highest_holds() -> None:
    assert recommended(TWO, 2, {"concurrency": 50.0, "rps": 300.0}) == 5
    assert recommended(TWO, 2, {"concurrency": 10.0, "rps": 300.0}) == 3


def test_a_missing_metric_does_not_keep_the_others_from_scaling_up() -> None:
    assert recommended(TWO, 2, {"concurrency": 50.0}) == 5


def test_a_missing_metric_keeps_the_others_from_scaling_down() -> None:
    decision = decided(TWO, 9, {"concurrency": 50.0})
    assert decision.replicas is None
    assert "rps: there is no measurement" in decision.reason


# -- zero -----------------------------------------------------------------------------------------------


def test_from_zero_an_external_metric_calls_for_the_ceiling_of_its_ratio() -> None:
    assert recommended(spec(10.0, least=0), 0, {"concurrency": 0.5}) == 1
    assert recommended(spec(10.0, least=0), 0, {"concurrency": 21.0}) == 3
    target = MetricTarget(metric="concurrency", value=10.0, kind=TargetKind.VALUE)
    assert recommended(ScalingSpec(min_replicas=0, targets=(target,)), 0, {"concurrency": 21.0}) == 3


def test_the_request_that_wakes_a_component_is_not_averaged_away() -> None:
    samples = {"concurrency": [Sample(NOW - 1, 0.0, 1.0), Sample(NOW, 1.0)]}
    window = MetricsWindow(samples=samples, ready_replicas=0, desired_replicas=0)
    assert HpaAutoscaler().decide(spec(10.0, least=0), window, NOW).replicas == 1
