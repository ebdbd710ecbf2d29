"""How fast it scales: windows, policies, bounds."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fairlead_autoscaler_hpa.pacing import Memory
from fairlead_autoscaler_hpa_tests.deciding import NOW, decided, replayed, spec, with_behavior

FAST = {"scaleDown": {"stabilizationWindowSeconds": 0}}


# -- defaults -------------------------------------------------------------------------------------------


def test_by_default_four_pods_or_a_doubling_come_in_fifteen_seconds() -> None:
    assert replayed(spec(10.0), 1, [1000.0] * 6) == [5, 10, 20, 40, 80, 100]


def test_by_default_there_is_no_window_on_the_way_up() -> None:
    assert replayed(spec(10.0), 2, [20.0, 40.0]) == [2, 4]


def test_by_default_the_highest_recommendation_of_five_minutes_holds_on_the_way_down() -> None:
    numbers = replayed(spec(10.0), 10, [100.0, 100.0, *[10.0] * 22])
    assert numbers[:21] == [10] * 21  # the last hundred was recommended 15 s after the first decision
    assert numbers[21:] == [1, 1, 1]


def test_without_a_window_everything_may_go_at_once() -> None:
    assert replayed(with_behavior(FAST, least=0), 10, [10.0, 10.0]) == [1, 1]


def test_a_restarted_strategy_does_not_scale_down_for_the_length_of_the_window() -> None:
    assert decided(spec(10.0), 10, {"concurrency": 10.0}).replicas == 10


# -- windows --------------------------------------------------------------------------------------------


def test_a_window_on_the_way_up_waits_for_a_load_that_stays() -> None:
    behavior = {"scaleUp": {"stabilizationWindowSeconds": 30}}
    assert replayed(with_behavior(behavior), 1, [20.0, 20.0, 20.0]) == [1, 1, 2]
    assert replayed(with_behavior(behavior), 1, [20.0, 10.0, 20.0, 20.0]) == [1, 1, 1, 2]


def test_the_window_on_the_way_down_is_as_long_as_it_says() -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 30}}
    assert replayed(with_behavior(behavior), 3, [30.0, 10.0, 10.0]) == [3, 3, 1]


# -- policies -------------------------------------------------------------------------------------------


def policies(*given: tuple[str, int, int], **more: Any) -> dict[str, Any]:
    return {
        "policies": [{"type": kind, "value": value, "periodSeconds": period} for kind, value, period in given],
        **more,
    }


def test_a_policy_of_pods_bounds_what_comes_within_its_period() -> None:
    behavior = {"scaleUp": policies(("Pods", 2, 60))}
    assert replayed(with_behavior(behavior), 1, [1000.0] * 6) == [3, 3, 3, 3, 5, 5]


def test_a_policy_of_percent_bounds_what_comes_within_its_period_rounded_up() -> None:
    behavior = {"scaleUp": policies(("Percent", 10, 15))}
    assert replayed(with_behavior(behavior), 5, [1000.0] * 3) == [6, 7, 8]


def test_policies_bound_what_goes_as_well() -> None:
    pods = {"scaleDown": policies(("Pods", 2, 30), stabilizationWindowSeconds=0)}
    assert replayed(with_behavior(pods), 10, [10.0] * 4) == [8, 8, 6, 6]
    percent = {"scaleDown": policies(("Percent", 50, 15), stabilizationWindowSeconds=0)}
    assert replayed(with_behavior(percent), 9, [10.0] * 4) == [4, 2, 1, 1]


def test_of_several_policies_the_one_with_the_largest_change_holds_by_default() -> None:
    behavior = {"scaleUp": policies(("Pods", 1, 15), ("Pods", 3, 15))}
    assert replayed(with_behavior(behavior), 1, [1000.0]) == [4]
    down = {"scaleDown": policies(("Pods", 1, 15), ("Pods", 3, 15), stabilizationWindowSeconds=0)}
    assert replayed(with_behavior(down), 9, [10.0]) == [6]


def test_min_selects_the_policy_with_the_smallest_change() -> None:
    behavior = {"scaleUp": policies(("Pods", 1, 15), ("Pods", 3, 15), selectPolicy="Min")}
    assert replayed(with_behavior(behavior), 1, [1000.0]) == [2]
    down = {"scaleDown": policies(("Pods", 1, 15), ("Pods", 3, 15), selectPolicy="Min", stabilizationWindowSeconds=0)}
    assert replayed(with_behavior(down), 9, [10.0]) == [8]


def test_disabled_switches_a_direction_off() -> None:
    assert replayed(with_behavior({"scaleUp": {"selectPolicy": "Disabled"}}), 2, [1000.0, 1000.0]) == [2, 2]
    down = {"scaleDown": {"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0}}
    assert replayed(with_behavior(down), 9, [0.0, 0.0]) == [9, 9]


def test_a_change_that_did_not_come_about_uses_up_no_policy() -> None:
    asked = with_behavior({"scaleUp": policies(("Pods", 2, 60))})
    first = decided(asked, 1, {"concurrency": 100.0})
    assert first.replicas == 3
    again = decided(asked, 1, {"concurrency": 100.0}, memory=first.memory, now=NOW + 15)
    assert again.replicas == 3


def test_a_percentage_of_nothing_lets_one_come() -> None:
    asked = with_behavior({"scaleUp": policies(("Percent", 100, 15))}, least=0)
    assert replayed(asked, 0, [100.0, 100.0, 100.0]) == [1, 2, 4]


# -- bounds ---------------------------------------------------------------------------------------------


def test_the_bounds_hold_whatever_the_metrics_say() -> None:
    asked = dataclasses.replace(spec(10.0, least=2, most=6), behavior=FAST)
    assert replayed(asked, 4, [1000.0, 1000.0, 0.0]) == [6, 6, 2]


def test_a_number_out_of_bounds_is_corrected_at_once_and_without_metrics() -> None:
    assert decided(spec(10.0, least=2, most=6), 9).replicas == 6
    assert decided(spec(10.0, least=2, most=6), 0, {"concurrency": 1000.0}).replicas == 2


def test_it_scales_to_zero_where_that_is_allowed_and_the_window_is_over() -> None:
    assert replayed(with_behavior(FAST, least=0), 1, [0.0, 0.0]) == [0, 0]
    assert replayed(spec(10.0, least=0), 1, [0.0] * 22)[-3:] == [1, 0, 0]


# -- memory ---------------------------------------------------------------------------------------------


def test_a_memory_of_another_strategy_counts_as_none() -> None:
    assert decided(spec(10.0), 10, {"concurrency": 10.0}, memory={"another": 1}).replicas == 10


def test_what_no_window_and_no_period_needs_is_forgotten() -> None:
    memory: object = None
    for number in range(200):
        memory = decided(spec(10.0), 5, {"concurrency": 50.0}, memory=memory, now=NOW + 15 * number).memory
    assert isinstance(memory, Memory)
    assert len(memory.recommendations) == 20
    assert memory.changes == ()


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (1000.0, "They call for 100; the policies allow 5 now."),
        (0.0, "They call for 0; the stabilisation window holds 1."),
    ],
)
def test_the_reason_says_what_held_the_replicas_back(load: float, said: str) -> None:
    assert said in decided(spec(10.0, least=0), 1, {"concurrency": load}).reason
