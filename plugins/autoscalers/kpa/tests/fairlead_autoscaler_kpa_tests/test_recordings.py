"""The strategy decides what Knative decided, in every recording and at every tick."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from fairlead import Decision, MetricsWindow, MetricTarget, Sample, ScalingSpec
from fairlead_autoscaler_kpa import settings
from fairlead_autoscaler_kpa.decider import micros
from fairlead_autoscaler_kpa.strategy import KpaAutoscaler, Memory
from fairlead_autoscaler_kpa_tests import recordings

NOT_IN_ANNOTATIONS = {"window_fractional"}
"""Recordings with windows of broken seconds, which no annotation can ask for."""


def spec_of(said: Mapping[str, Any]) -> ScalingSpec:
    """What a user would write to get the recorded spec; the bounds leave every decision as it is."""
    knative = "autoscaling.knative.dev/"
    annotations = {
        f"{knative}window": f"{said['stableWindow']}s",
        f"{knative}panic-window-percentage": repr(100 * said["panicWindow"] / said["stableWindow"]),
        f"{knative}panic-threshold-percentage": repr(100 * said["panicThreshold"]),
        f"{knative}target-utilization-percentage": f"{100 * said['targetValue'] / said['totalValue']:.9g}",
        f"{knative}target-burst-capacity": repr(said["targetBurstCapacity"]),
        f"{knative}metric-aggregation-algorithm": said["aggregationAlgorithm"],
        f"{knative}scale-down-delay": f"{said['scaleDownDelay']}s",
        f"{knative}activation-scale": str(said["activationScale"] or 1),
        f"{knative}initial-scale": str(said["initialScale"]),
        "kpa.autoscaling/max-scale-up-rate": repr(said["maxScaleUpRate"]),
        "kpa.autoscaling/max-scale-down-rate": repr(said["maxScaleDownRate"]),
    }
    target = MetricTarget(metric=said["metric"], value=float(said["totalValue"]))
    return ScalingSpec(min_replicas=0, targets=(target,), annotations=annotations)


class Playback:
    """A component whose strategy hears what Knative heard."""

    def __init__(self, recording: Any) -> None:
        self._epoch = recording["epoch_unix"]
        self._metric = recording["spec"]["metric"]
        self._spec = dict(recording["spec"])
        self._samples: list[Sample] = []
        self._told = 0
        self.decision = Decision(replicas=None, reason="")

    def change(self, fields: Mapping[str, Any]) -> None:
        self._spec |= fields

    def measured(self, sample: Sample) -> None:
        self._samples.append(sample)

    def decide(self, at: float, ready: int | None) -> tuple[Decision, Memory]:
        """One decision of a new instance."""
        window = MetricsWindow(
            samples={self._metric: tuple(self._samples)},
            ready_replicas=ready,
            desired_replicas=self._told,
            reachable=self._spec["reachable"],
            measured=self._spec["scrapeTarget"],
            memory=self.decision.memory,
        )
        self.decision = KpaAutoscaler().decide(spec_of(self._spec), window, self._epoch + at)
        self._samples.clear()
        self._told = self._told if self.decision.replicas is None else self.decision.replicas
        memory = self.decision.memory
        assert isinstance(memory, Memory)
        return self.decision, memory


@pytest.mark.parametrize("name", recordings.NAMES)
def test_every_recorded_decision_is_made_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = recordings.load(name)
    if name in NOT_IN_ANNOTATIONS:
        monkeypatch.setattr(settings, "read", lambda _: recordings.settings_of(recording["spec"]))
    playback = Playback(recording)
    created = recording["created"]
    decision, memory = playback.decide(created["t"], created["ready"])
    assert (memory.state.panic.at is not None, memory.state.panic.most) == (
        created["in_panic"],
        created["max_panic_pods"],
    )
    if "initial_status" in recording:
        assert (decision.recommended, decision.excess_burst_capacity) == (None, recording["initial_status"]["ebc"])
    for kind, row in recordings.events(recording):
        if kind == "change":
            playback.change(row["set"])
        elif kind == "sample":
            playback.measured(recordings.sample_of(recording, row))
        else:
            before = decision
            decision, memory = playback.decide(row["t"], row["ready"])
            check(row, decision, before, weighted=recording["spec"]["aggregationAlgorithm"] != "linear")
            panic = memory.state.panic
            assert (panic.at is not None, panic.most) == (row["in_panic"], row["max_panic_pods"]), row
            expected = None if row["panic_time"] is None else micros(recording["epoch_unix"] + row["panic_time"])
            assert panic.at == expected, row


def check(row: Mapping[str, Any], decision: Decision, before: Decision, *, weighted: bool) -> None:
    """The decision is the recorded one; where Knative made none, it is the one before."""
    status = (decision.recommended, decision.excess_burst_capacity)
    if row["valid"]:
        assert status == (row["desired"], row["ebc"]), row
    else:
        assert status == (before.recommended, before.excess_burst_capacity), row
    if "status_desired" in row:
        known = None if row["status_desired"] == -1 else row["status_desired"]
        assert status == (known, row["status_ebc"]), row
    assert ("stable" in decision.figures) == row["valid"], row
    for window in ("stable", "panic"):
        if row["valid"]:
            assert same(decision.figures[window], row[window], weighted=weighted), (window, row)


def same(average: float, recorded: float, *, weighted: bool) -> bool:
    """Equal; a weighted average is recorded with six decimals, and with six digits where it is small."""
    if not weighted:
        return average == recorded
    return math.isclose(average, recorded, rel_tol=1e-5 if abs(recorded) < 1e-3 else 0.0, abs_tol=5.1e-7)


@pytest.mark.parametrize("name", sorted({*recordings.NAMES} - NOT_IN_ANNOTATIONS))
def test_the_annotations_mean_what_was_recorded(name: str) -> None:
    said = recordings.load(name)["spec"]
    assert settings.read(spec_of(said)) == recordings.settings_of(said)
