"""The strategy hpa: decides as the HorizontalPodAutoscaler of Kubernetes does, or delegates to one.

One decision: each target proposes a number of replicas (`proposals`), the highest proposal is the recommendation,
and stabilisation windows, policies (`pacing`) and bounds make of it what is asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead import Autoscaler, Decision, MetricsWindow, ScalingSpec, TargetKind
from fairlead_autoscaler_hpa import objects, pacing, proposals
from fairlead_autoscaler_hpa.pacing import Recommendation
from fairlead_autoscaler_hpa.proposals import Proposal, Readiness, Tolerance
from fairlead_autoscaler_hpa.settings import RESOURCES, Settings

__all__ = ["HpaAutoscaler"]


class HpaAutoscaler(Autoscaler):
    """Holds each target's metric, with the rules and the defaults of autoscaling/v2."""

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:
        """Decide; see `Autoscaler.decide`."""
        settings = Settings.of(spec)
        current = window.desired_replicas
        memory = pacing.recalled(window.memory, current, now, settings.behavior)
        made = [_proposal(settings, target, window, now) for target in settings.targets]
        figures = _figures(settings, made)
        numbers = [each.replicas for each in made if each.replicas is not None]
        reason = _reason(settings, made)
        silent = len(numbers) < len(made)
        wanted = max(numbers, default=current)
        if not numbers or (silent and wanted < current):
            # What one metric does not tell might be that more is needed.
            asked = _bounded(current, spec)
            kept = dataclasses.replace(memory, at=now, current=current, asked=asked)
            if asked != current:
                return Decision(replicas=asked, reason=_bounds_reason(spec), figures=figures, memory=kept)
            return Decision(replicas=None, reason=reason, figures=figures, memory=kept)
        if _bounded(current, spec) != current:
            asked, reason = _bounded(current, spec), _bounds_reason(spec)
        else:
            stable = pacing.stabilised(wanted, current, now, settings.behavior, memory.recommendations)
            asked = _bounded(pacing.limited(stable, current, now, settings.behavior, memory.changes), spec)
            reason += _held(wanted, stable, asked, spec)
        kept = dataclasses.replace(
            memory,
            at=now,
            current=current,
            asked=asked,
            recommendations=(*memory.recommendations, Recommendation(now, wanted)),
        )
        return Decision(replicas=asked, reason=reason, recommended=wanted, figures=figures, memory=kept)

    def manifests(self, spec: ScalingSpec, target: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The HorizontalPodAutoscaler; see `Autoscaler.manifests`."""
        return [objects.horizontal(spec, target)]


def _proposal(settings: Settings, target: tuple[str, float, TargetKind], window: MetricsWindow, now: float) -> Proposal:
    metric, value, kind = target
    current = window.desired_replicas
    tolerance = Tolerance(settings.behavior.up.tolerance, settings.behavior.down.tolerance)
    total = None if metric in RESOURCES else _total(metric, window)
    if total is not None and kind is TargetKind.VALUE:
        return proposals.for_value(total, value, current, window.ready_replicas, tolerance)
    if total is not None:
        return proposals.for_component(total, value, current, tolerance)
    if kind is TargetKind.VALUE or not window.replicas:
        return Proposal(None, "there is no measurement")
    readiness = Readiness(now, settings.cpu_initialization, settings.readiness_delay)
    percent = kind is TargetKind.UTILIZATION
    return proposals.for_replicas(metric, window.replicas, value, current, tolerance, readiness, percent=percent)


def _total(metric: str, window: MetricsWindow) -> float | None:
    """What was measured of the whole component since the decision before; None when nothing was."""
    samples = window.samples.get(metric, ())
    if not samples:
        return None if window.measured or window.replicas else 0.0
    if window.desired_replicas == 0:
        # The request that wakes a component came just now; on the average of the idle time before, there is none.
        return max(sample.value for sample in samples)
    return proposals.average(samples)


def _bounded(replicas: int, spec: ScalingSpec) -> int:
    most = replicas if spec.max_replicas is None else spec.max_replicas
    return max(spec.min_replicas, min(replicas, most))


def _bounds_reason(spec: ScalingSpec) -> str:
    most = "" if spec.max_replicas is None else f" and at most {spec.max_replicas}"
    return f"There are to be at least {spec.min_replicas}{most} replicas."


def _reason(settings: Settings, made: Sequence[Proposal]) -> str:
    parts = [f"{metric}: {each.reason}" for (metric, _, _), each in zip(settings.targets, made, strict=True)]
    return f"{'; '.join(parts)}."


def _held(wanted: int, stable: int, asked: int, spec: ScalingSpec) -> str:
    """What kept the number of replicas from being what the metrics call for."""
    if asked == wanted:
        return ""
    if stable != wanted:
        return f" They call for {wanted}; the stabilisation window holds {stable}."
    if asked == spec.max_replicas or asked == spec.min_replicas:
        return f" They call for {wanted}, which is out of bounds."
    return f" They call for {wanted}; the policies allow {asked} now."


def _figures(settings: Settings, made: Sequence[Proposal]) -> dict[str, float]:
    return {
        f"{metric}_ratio": each.ratio
        for (metric, _, _), each in zip(settings.targets, made, strict=True)
        if each.ratio is not None
    }
