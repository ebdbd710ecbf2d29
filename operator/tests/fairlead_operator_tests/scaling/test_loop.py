"""A component that a strategy scales in process."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead_operator_tests.scaling.clusters import Ground, pod, subject

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Problem
    from fairlead_operator.scaling.loop import Loop
    from fairlead_operator.scaling.reach import Subject


def ran(ground: Ground, seconds: int = 10, scaled: Subject | None = None) -> Loop:
    loop = ground.loop(scaled)
    asyncio.run(ground.pass_time(loop, seconds))
    return loop


def reasons(ground: Ground) -> list[str]:
    return [each.reason for each in ground.told]


def problem(loop: Loop) -> Problem:
    assert loop.problem is not None
    assert loop.problem.condition == "AutoscalerReady"
    return loop.problem


def test_it_scales_by_what_the_pods_say_and_tells_of_it() -> None:
    ground = Ground(deployed=2).with_pods(20, 15)
    loop = ran(ground)
    assert ground.scaled == [("models", "iris-predictor", 4)]
    (told,) = ground.told
    assert (told.namespace, told.service, told.reason, told.bad) == ("models", "iris", "ScaledUp", False)
    assert told.message == "iris-predictor goes from 2 to 4 replicas. The load is 35."
    assert loop.problem is None


def test_it_scales_down_too() -> None:
    ground = Ground(deployed=4).with_pods(3, 2, 0, 0)
    ran(ground)
    assert ground.scaled == [("models", "iris-predictor", 1)]
    assert ground.told[0].message.startswith("iris-predictor goes from 4 to 1 replica. ")


def test_what_nobody_can_ask_is_no_reason_to_scale_down() -> None:
    ground = Ground(deployed=3).with_pods(None, None, None)
    loop = ran(ground, 20)
    assert (ground.scaled, ground.told, loop.problem) == ([], [], None)  # it may pass
    asyncio.run(ground.pass_time(loop, 20))
    assert ground.scaled == []
    assert reasons(ground) == ["NothingMeasured"]
    assert "refused" in problem(loop).message
    assert "NetworkPolicy" in problem(loop).message
    ground.with_pods(20, 1, 1)
    asyncio.run(ground.pass_time(loop, 5))
    assert reasons(ground) == ["NothingMeasured", "AutoscalerRecovered"]
    assert loop.problem is None


def test_one_pod_that_cannot_be_asked_counts_as_the_others() -> None:
    ground = Ground(deployed=3).with_pods(10, 10, None)
    ran(ground, 20)
    assert ground.scaled == []


def test_a_server_that_tells_nothing_of_requests_is_named() -> None:
    ground = Ground(deployed=2).with_pods(1, 1)
    ground.pages = dict.fromkeys(ground.pages, "request_predict_seconds_count 5\n")
    loop = ran(ground, 40)
    assert ground.scaled == []
    assert "no metric for concurrency" in problem(loop).message


def test_pods_that_are_not_ready_are_not_asked_and_none_is_taken_away_for_them() -> None:
    ground = Ground(deployed=3, there=[pod(ready=False), pod(phase="Pending", ready=False), pod(deleted=True)])
    loop = ran(ground, 40)
    assert (ground.scaled, ground.asked, loop.problem) == ([], [], None)


def test_the_bounds_hold_from_the_first_decision_on() -> None:
    ground = Ground(deployed=1).with_pods(5)
    ran(ground, 3, subject(least=4, most=6))
    assert ground.scaled == [("models", "iris-predictor", 4)]
    ground = Ground(deployed=5).with_pods(900, 0, 0, 0, 0)
    ran(ground, 5, subject(most=6))
    assert ground.deployed == 6


def test_one_replica_is_kept_where_zero_are_asked_for_and_that_is_told_once() -> None:
    ground = Ground(deployed=2).with_pods(0, 0)
    ran(ground, 20, subject(least=0, most=5))
    assert ground.deployed == 1
    assert reasons(ground) == ["MinReplicasRaised", "ScaledDown"]
    assert "1 is kept" in ground.told[0].message


def test_a_deployment_that_is_not_there_is_waited_for() -> None:
    ground = Ground(deployed=None).with_pods(50)
    loop = ran(ground)
    assert (ground.scaled, ground.asked) == ([], [])
    ground.deployed = 1
    asyncio.run(ground.pass_time(loop, 5))
    assert ground.deployed == 5


def test_a_restart_takes_nothing_away_before_something_is_measured() -> None:
    ground = Ground(deployed=9).with_pods(*[10] * 9)
    ran(ground)
    ran(ground)
    assert ground.scaled == []


def test_a_number_that_the_watch_has_not_told_of_yet_is_not_written_again() -> None:
    ground = Ground(deployed=1).with_pods(30)

    class Late(Ground):
        def replicas(self, subject: Subject) -> int | None:
            return 1

    late = Late(deployed=1, there=ground.there, pages=ground.pages)
    loop = ran(late, 8)
    assert late.scaled == [("models", "iris-predictor", 3)]
    asyncio.run(late.pass_time(loop, 10))
    assert late.scaled == [("models", "iris-predictor", 3)] * 2  # nobody told of it: it may be lost


def test_a_deployment_that_cannot_be_scaled_is_a_problem_until_it_can() -> None:
    ground = Ground(deployed=1, refuses=errors.ObjectRefused("You may not.")).with_pods(30)
    loop = ran(ground, 12)
    assert problem(loop).reason == "ScalingFailed"
    assert "cannot be scaled to 3: You may not." in problem(loop).message
    ground.refuses = None
    asyncio.run(ground.pass_time(loop, 4))
    assert loop.problem is None
    assert reasons(ground) == ["ScalingFailed", "ScaledUp", "AutoscalerRecovered"]


@pytest.mark.parametrize(
    ("annotation", "reason", "said"),
    [
        ("refuse", "InvalidAutoscaling", "There is no such thing. Take it out."),
        ("break", "AutoscalerFailed", "The strategy per-replica raised ZeroDivisionError"),
    ],
)
def test_a_strategy_that_fails_changes_nothing_and_is_named(
    annotation: str, reason: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    ground = Ground(deployed=4).with_pods(0, 0, 0, 0)
    with caplog.at_level(logging.WARNING):
        loop = ran(ground, 10, subject(annotations={annotation: "yes"}))
    assert ground.scaled == []
    assert reasons(ground) == [reason]
    assert said in problem(loop).message


def test_what_is_declared_anew_holds_at_once() -> None:
    ground = Ground(deployed=2).with_pods(10, 10)
    loop = ran(ground)
    assert ground.scaled == []
    loop.renew(subject(least=6))
    asyncio.run(ground.pass_time(loop, 1))
    assert ground.deployed == 6


def test_a_round_that_fails_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    ground = Ground(deployed=1).with_pods(30)
    pages, ground.pages = ground.pages, {}
    loop = ran(ground, 1)
    assert "a round of scaling failed" in caplog.text
    ground.pages = pages
    asyncio.run(ground.pass_time(loop, 5))
    assert ground.deployed == 3


@pytest.mark.parametrize(("interval", "period"), [(0.5, 1.0), (2.0, 1.0), (6.0, 3.0), (60.0, 5.0)])
def test_it_looks_at_pods_as_often_as_its_strategy_needs(interval: float, period: float) -> None:
    scaled = subject()
    said = dataclasses.replace(scaled.strategy.spec, interval=interval)
    strategy = dataclasses.replace(scaled.strategy, spec=said)
    assert Ground().loop(dataclasses.replace(scaled, strategy=strategy)).period == period


# -- cpu and memory -------------------------------------------------------------------------------------


def used(cpu: str, timestamp: str = "t0", name: str = "iris-predictor-0") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "timestamp": timestamp,
        "window": "15s",
        "containers": [{"usage": {"cpu": cpu, "memory": "1Gi"}}],
    }


def test_cpu_is_what_the_cluster_measures() -> None:
    ground = Ground(deployed=1, used=[used("45")]).with_pods(0)
    loop = ran(ground, 8, subject("cpu"))
    assert ground.scaled[0] == ("models", "iris-predictor", 5)
    assert loop.problem is None
    assert ground.asked.count("podmetrics") == 1  # it measures no more often


@pytest.mark.parametrize(
    ("answer", "said"),
    [(None, "Install metrics-server"), (errors.ObjectRefused("You may not."), "what the pods use: You may not.")],
)
def test_a_cluster_that_does_not_measure_cpu_is_named(answer: errors.ClusterError | None, said: str) -> None:
    ground = Ground(deployed=2, used=answer).with_pods(0, 0)
    loop = ran(ground, 8, subject("cpu"))
    assert ground.scaled == []
    assert problem(loop).reason == "NothingMeasured"
    assert said in problem(loop).message


def test_measurements_that_are_published_once_do_not_scale_down_for_ever() -> None:
    ground = Ground(deployed=2, used=[used("20")]).with_pods(0, 0)
    loop = ran(ground, 4, subject("cpu"))
    assert ground.deployed == 2
    ground.used = [used("1")]  # of the same moment: not news
    asyncio.run(ground.pass_time(loop, 20))
    assert ground.deployed == 2
    ground.used = [used("1", "t1")]
    asyncio.run(ground.pass_time(loop, 20))
    assert ground.deployed == 1
