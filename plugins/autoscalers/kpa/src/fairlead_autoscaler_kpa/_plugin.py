"""What the core needs to know of this strategy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import AutoscalerMode, AutoscalerSpec, hookimpl

__all__ = ["SPEC", "fairlead_autoscalers"]

SPEC: Final = AutoscalerSpec(
    name="kpa",
    factory="fairlead_autoscaler_kpa.strategy:KpaAutoscaler",
    modes=frozenset({AutoscalerMode.DECIDES}),
    metrics=("concurrency", "rps"),
    interval=2.0,
)


@hookimpl
def fairlead_autoscalers() -> Iterable[AutoscalerSpec]:
    """Knative's strategy."""
    return (SPEC,)
