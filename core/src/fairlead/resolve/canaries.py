"""The predictors of ``spec.canary``: copies of the stable predictor, with what each says over it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from fairlead.resolve import components, implementations
from fairlead.resolve.service import ResolvedCanary, ResolvedComponent

if TYPE_CHECKING:
    from fairlead.api import base
    from fairlead.api.inferenceservice import Canary
    from fairlead.api.predictor import ModelSpec, PredictorSpec
    from fairlead.resolve.context import Context

__all__ = ["canaries", "overlaid"]


def canaries(context: Context, stable: ResolvedComponent) -> tuple[tuple[ResolvedCanary, ...], tuple[str, ...]]:
    """The predictors of ``spec.canary``, and what their user should know: one sentence each.

    Args:
        context: the InferenceService, and what it is resolved with.
        stable: its predictor.

    Raises:
        Unresolvable: one of them cannot run as it stands.
    """
    spec = context.service.spec
    found: list[ResolvedCanary] = []
    warnings: list[str] = []
    for canary, declared in zip(spec.canary or (), implementations.canaries(context.service), strict=True):
        whole = dataclasses.replace(declared, spec=overlaid(spec.predictor, stable, canary))
        resolved, more = components.component(whole, context)
        found.append(
            ResolvedCanary(name=canary.predictor.name or "", traffic_percent=canary.traffic_percent, component=resolved)
        )
        warnings += more
    return tuple(found), tuple(warnings)


def overlaid(predictor: PredictorSpec, stable: ResolvedComponent, canary: Canary) -> PredictorSpec:
    """The stable predictor with the fields of a canary that are not empty over it.

    It scales to a fixed number of replicas: its own ``minReplicas``, or its percent of the stable predictor's, at
    least 1, because a canary without traffic may be there for copies of requests.

    Args:
        predictor: the stable predictor.
        stable: what it came to; the canary keeps its runtime and its protocol.
        canary: the canary.
    """
    over = canary.predictor
    update = _said(over)
    if over.model is not None:
        update["model"] = _model(predictor.model, over.model, stable)
        if over.model.storage_uri:
            update.setdefault("storage_uris", None)
    elif over.containers and any(each.get("name") == implementations.MAIN_CONTAINER for each in over.containers):
        update["model"] = None
    elif predictor.model is not None:
        update["model"] = _model(predictor.model, None, stable)
    if over.storage_uris and update.get("model") is not None:
        update["model"] = update["model"].model_copy(update={"storage_uri": None})
    whole = 1 if predictor.min_replicas is None else predictor.min_replicas
    replicas = max(1, -(-whole * canary.traffic_percent // 100)) if over.min_replicas is None else over.min_replicas
    fixed = {
        "min_replicas": replicas,
        "max_replicas": max(1, replicas),
        "scale_target": None,
        "scale_metric": None,
        "scale_metric_type": None,
        "auto_scaling": None,
        "canary_traffic_percent": None,
    }
    return predictor.model_copy(update={**update, **fixed})


def _model(lower: ModelSpec | None, over: ModelSpec | None, stable: ResolvedComponent) -> ModelSpec | None:
    """The stable model in the runtime that was chosen for it, with what the canary says of its own over it.

    A model of another format has its runtime chosen anew, unless the canary names one.
    """
    if lower is None or stable.model is None:
        return over
    model = lower.model_copy(update={"runtime": stable.model.runtime.name, "protocol_version": stable.model.protocol})
    if over is None:
        return model
    update = _said(over)
    if over.model_format is not None and over.model_format.name != stable.model.format:
        update = {"runtime": None, "protocol_version": lower.protocol_version, **update}
    elif over.model_format is not None and lower.model_format is not None:
        update["model_format"] = lower.model_format.model_copy(update=_said(over.model_format))
    if over.runtime and not over.protocol_version:
        update["protocol_version"] = lower.protocol_version
    return model.model_copy(update=update)


def _said(part: base.Part) -> dict[str, Any]:
    values = ((name, getattr(part, name)) for name in part.model_fields_set)
    return {name: value for name, value in values if value not in (None, "", [], {})}
