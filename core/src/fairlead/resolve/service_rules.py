"""The rules about an InferenceService, in the order in which KServe has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.resolve import (
    canary_rules,
    component_rules,
    findings,
    implementations,
    metadata_rules,
    pod_rules,
    scaling_rules,
    storage_rules,
)
from fairlead.resolve.defaults import MODE_ANNOTATION, current_mode_name

if TYPE_CHECKING:
    from fairlead.api.inferenceservice import InferenceService
    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.config import Config

__all__ = ["check_service"]


def check_service(
    found: findings.Findings,
    service: InferenceService,
    config: Config,
    catalogue: Catalogue,
    previous: InferenceService | None,
) -> None:
    """An InferenceService after defaulting; see `fairlead.resolve.validation.validate`."""
    if service.metadata.deletion_timestamp is not None:
        return
    annotations = service.metadata.annotations or {}
    components, canaries = implementations.components(service), implementations.canaries(service)
    metadata_rules.check_metadata(found, service.metadata)
    metadata_rules.check_object_name(found, service.metadata.name, strict=True)
    scaling_rules.check_mode(found, annotations)
    scaling_rules.check_class(found, "metadata.annotations", annotations, catalogue)
    for component in (*components, *canaries):
        _check_objects(found, component, catalogue)
        pod_rules.check_pods(found, component)
        pod_rules.check_names(found, component)
        storage_rules.check_storage(found, component, catalogue)
        component_rules.check_implementation(found, component, is_canary=component in canaries)
        component_rules.check_bounds(found, component)
        component_rules.check_logger(found, component)
        component_rules.warn_of_dead_fields(found, component)
    pod_rules.check_worker(found, components[0], annotations, config.gpu_resources)
    for component in components:
        scaling_rules.check_scaling(found, component, annotations)
    canary_rules.check_traffic_percents(found, service)
    canary_rules.check_canaries(found, service)
    canary_rules.check_mirror(found, service)
    if previous is not None:
        _check_change(found, service, previous)


def _check_objects(found: findings.Findings, component: implementations.Declared, catalogue: Catalogue) -> None:
    """What the objects of a component are called, and the labels and annotations that they get."""
    spec, path = component.spec, component.path
    name, most = component.object_name, metadata_rules.LONGEST_LABEL
    if len(name) > most:  # it is the name of a Service
        found.problem(
            "metadata.name",
            f"the objects of {path} would be called {findings.shown(name)}, which has {len(name)} characters and may "
            f"have {most}. Choose a shorter name.",
        )
    metadata_rules.check_labels(found, f"{path}.labels", spec.labels or {})
    metadata_rules.check_annotations(found, f"{path}.annotations", spec.annotations or {})
    scaling_rules.check_class(found, f"{path}.annotations", spec.annotations or {}, catalogue)


def _check_change(found: findings.Findings, service: InferenceService, previous: InferenceService) -> None:
    mode = (service.metadata.annotations or {}).get(MODE_ANNOTATION)
    running = previous.status.deployment_mode if previous.status is not None else None
    if mode is not None and running and current_mode_name(mode) != current_mode_name(running):
        found.problem(
            "metadata.annotations",
            f"the service runs in the mode {running}, which cannot be changed to {mode}. Take the change of "
            f"{MODE_ANNOTATION} back, or delete the service first.",
        )
    new, old = service.spec.predictor, previous.spec.predictor
    if new.name != old.name and _artefacts(service) == _artefacts(previous):
        found.problem(
            "spec.predictor.name",
            "it changes, and the model stays the same. A name stands for a version of the model: change storageUri "
            "too, or leave the name.",
        )


def _artefacts(service: InferenceService) -> tuple[object, ...]:
    """Where the model of the predictor comes from."""
    spec = service.spec.predictor
    return spec.storage_uris, *((block.storage_uri, block.storage) for _, block in implementations.blocks(spec))
