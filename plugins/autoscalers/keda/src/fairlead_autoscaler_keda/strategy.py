"""The strategy keda: it decides nothing itself, and has KEDA scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead import Autoscaler, Decision, MetricsWindow, ScalingSpec, errors
from fairlead_autoscaler_keda import collector, scaledobject

__all__ = ["KedaAutoscaler"]


class KedaAutoscaler(Autoscaler):
    """Delegates to a ScaledObject, and to an OpenTelemetryCollector where metrics of pods are to be collected."""

    def decide(self, spec: ScalingSpec, window: MetricsWindow, now: float) -> Decision:  # noqa: ARG002 -- it never does
        """Refuse: KEDA decides, in a cluster.

        Raises:
            ConfigurationError: always.
        """
        raise errors.ConfigurationError(
            "The strategy keda does not decide: it has KEDA scale, in a cluster.",
            remedy="Here, name kpa or hpa with the annotation serving.kserve.io/autoscalerClass.",
        )

    def manifests(self, spec: ScalingSpec, target: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The ScaledObject, and what measures for it; see `Autoscaler.manifests`."""
        collecting = collector.collector(spec, target)
        scaling = scaledobject.scaled_object(spec, target)
        return [scaling] if collecting is None else [collecting, scaling]
