"""What the core needs to know of this strategy; importing it loads nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import AutoscalerMode, AutoscalerSpec, ObjectKind, hookimpl

__all__ = ["SPEC", "fairlead_autoscalers"]

SPEC: Final = AutoscalerSpec(
    name="hpa",
    factory="fairlead_autoscaler_hpa.strategy:HpaAutoscaler",
    modes=frozenset({AutoscalerMode.DECIDES, AutoscalerMode.DELEGATES}),
    metrics=("concurrency", "rps", "cpu", "memory"),
    interval=15.0,
    kinds=(
        ObjectKind(api_version="autoscaling/v2", kind="HorizontalPodAutoscaler", plural="horizontalpodautoscalers"),
    ),
)


@hookimpl
def fairlead_autoscalers() -> Iterable[AutoscalerSpec]:
    """The strategy hpa."""
    return (SPEC,)
