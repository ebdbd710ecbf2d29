"""What the core needs to know of this strategy; importing it loads nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import AutoscalerMode, AutoscalerSpec, ObjectKind, hookimpl

__all__ = ["SPEC", "fairlead_autoscalers"]

SPEC: Final = AutoscalerSpec(
    name="keda",
    factory="fairlead_autoscaler_keda.strategy:KedaAutoscaler",
    modes=frozenset({AutoscalerMode.DELEGATES}),
    metrics=("cpu", "memory"),
    kinds=(
        ObjectKind(api_version="keda.sh/v1alpha1", kind="ScaledObject", plural="scaledobjects"),
        ObjectKind(
            api_version="opentelemetry.io/v1beta1", kind="OpenTelemetryCollector", plural="opentelemetrycollectors"
        ),
    ),
)


@hookimpl
def fairlead_autoscalers() -> Iterable[AutoscalerSpec]:
    """The strategy keda."""
    return (SPEC,)
