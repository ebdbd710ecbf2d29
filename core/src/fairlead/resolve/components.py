"""The components of an InferenceService as they are to run: predictor, transformer and explainer."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.api.inferenceservice import ExplainerSpec
from fairlead.api.predictor import PredictorSpec
from fairlead.resolve import access, art, containers, labels, modelling, multinode, placeholders, scaling, storage
from fairlead.resolve.context import Context, Parts
from fairlead.resolve.service import ComponentKind, ResolvedComponent

if TYPE_CHECKING:
    from fairlead.api.component import LoggerSpec
    from fairlead.resolve.implementations import ComponentSpec, Declared
    from fairlead.resolve.secrets import ServiceAccount

__all__ = ["NAME_VARIABLE", "component"]

NAME_VARIABLE: Final = "INFERENCE_SERVICE_NAME"
"""Tells the containers of predictors and transformers whose they are."""

_HTTP_PORT: Final = "8080"
_LOGGER_ACCOUNT: Final = "logger-sa"


def component(declared: Declared, context: Context) -> tuple[ResolvedComponent, tuple[str, ...]]:
    """A component as it is to run, and what its user should know: one sentence each.

    Args:
        declared: the component, where its InferenceService declares it.
        context: that InferenceService, and what it is resolved with.

    Raises:
        Unresolvable: it cannot run as it stands.
    """
    spec, metadata = declared.spec, context.service.metadata
    parts = _parts(declared, context)
    annotations = {**(metadata.annotations or {}), **(spec.annotations or {})}
    scaled, scaling_warnings = scaling.scaling(
        spec, annotations, mode=context.mode, catalogue=context.catalogue, place=declared.path
    )
    if parts.workers is not None and (scaled.strategy is not None or scaled.external):
        raise errors.Unresolvable(
            "UnsupportedAutoscaler",
            f"{declared.path} is of several nodes, whose replicas are not scaled.",
            remedy=f"Set the annotation {scaling.CLASS}: none.",
        )
    sources, access_warnings = access.granted(parts.sources, parts.pod, annotations, declared.path, context)
    resolved = ResolvedComponent(
        kind=declared.kind,
        name=declared.object_name,
        pod=parts.pod,
        labels=labels.component_labels(
            context.config,
            runtime=parts.labels,
            service={**(metadata.labels or {}), **parts.service_labels},
            component=spec.labels,
            name=context.name,
            kind=declared.kind,
        ),
        annotations=labels.component_annotations(
            context.config, runtime=parts.annotations, service=metadata.annotations, component=spec.annotations
        ),
        sources=sources,
        scaling=scaled,
        model=parts.model,
        timeout=None if spec.timeout is None else float(spec.timeout),
        container_concurrency=spec.container_concurrency or 0,
        canary_traffic_percent=spec.canary_traffic_percent,
        logger=spec.logger,
        logger_account=_logger_account(spec.logger, context),
        batcher=spec.batcher,
        storage_container=spec.storage_container_name if isinstance(spec, PredictorSpec) else None,
        deployment_strategy=spec.deployment_strategy,
        workers=parts.workers,
    )
    unfetched = storage.unfetched(sources, declared.path, context.catalogue)
    return resolved, (*parts.warnings, *scaling_warnings, *access_warnings, *unfetched)


def _logger_account(logger: LoggerSpec | None, context: Context) -> ServiceAccount | None:
    """Whose Secrets lead to where payloads are kept, if they are: the account of the component itself does not."""
    if logger is None:
        return None
    name = (logger.storage.service_account_name if logger.storage is not None else None) or _LOGGER_ACCOUNT
    return context.catalogue.vault.accounts.get((context.namespace, name))


def _parts(declared: Declared, context: Context) -> Parts:
    spec, path = declared.spec, declared.path
    if isinstance(spec, PredictorSpec):
        return _predictor(spec, path, context)
    told = _arguments(declared, context)
    if isinstance(spec, ExplainerSpec) and spec.art is not None:
        annotations = {**(context.service.metadata.annotations or {}), **(spec.annotations or {})}
        made = art.parts(spec, spec.art, path, annotations, context)
        told += art.arguments(spec.art)
    else:
        made = _own(spec, path, context)
    first, *others = made.pod["containers"]
    for flag, value in told:
        first = containers.with_argument(first, flag, value)
    if declared.kind is ComponentKind.TRANSFORMER:
        first = containers.with_variable(first, NAME_VARIABLE, context.name)
    return made.with_pod({**made.pod, "containers": [first, *others]})


def _predictor(spec: PredictorSpec, path: str, context: Context) -> Parts:
    made = modelling.parts(spec, spec.model, path, context) if spec.model else _own(spec, path, context)
    if made.workers is None and spec.worker_spec is not None:
        first, *others = made.pod["containers"]
        workers, head = multinode.resolved(spec, None, first, path, context)
        made = dataclasses.replace(made, pod={**made.pod, "containers": [head, *others]}, workers=workers)
    named = [containers.with_variable(each, NAME_VARIABLE, context.name) for each in made.pod["containers"]]
    return made.with_pod({**made.pod, "containers": named})


def _own(spec: ComponentSpec, path: str, context: Context) -> Parts:
    """Containers of one's own."""
    if not spec.containers:
        raise errors.Unresolvable(
            f"Invalid{type(spec).__name__}",
            f"{path} has no model and no containers.",
            remedy="Give it a model, or a container that answers requests.",
        )
    asked, sources = storage.of_containers(copy.deepcopy(spec.containers), path, context.catalogue)
    pod: dict[str, Any] = {**containers.own_pod(spec), "containers": containers.in_order(asked)}
    return Parts(pod=pod, sources=(*sources, *storage.of_component(spec, path, context.catalogue)))


def _arguments(declared: Declared, context: Context) -> list[tuple[str, str]]:
    """What transformers and explainers are told on their command line, unless they say it themselves."""
    host = placeholders.rendered(
        context.config.predictor_host,
        placeholders.scope(context.predictor, context.namespace),
        "The predictor's host",
        "InvalidTemplate",
    )
    concurrency = declared.spec.container_concurrency
    return [
        ("--model_name", context.name),
        ("--predictor_host", host),
        ("--http_port", _HTTP_PORT),
        *([("--workers", str(concurrency))] if concurrency else []),
    ]
