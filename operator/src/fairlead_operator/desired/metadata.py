"""Names, labels, annotations and owner of the objects of an InferenceService."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.resolve.labels import SERVICE_LABEL
from fairlead.resolve.metadata_rules import LONGEST_LABEL
from fairlead_operator.desired.model import APP_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.resolve.service import ResolvedComponent, ResolvedService
    from fairlead_operator.desired.model import Owner, Surroundings

__all__ = ["app", "of", "of_service", "owner_reference", "selector"]

_APP: Final = "isvc."


def app(name: str) -> str:
    """The value of the label ``app`` of the pods of a component.

    Args:
        name: the name of the component's Deployment.

    Raises:
        Unresolvable: the name is too long for it.
    """
    value = f"{_APP}{name}"
    if len(value) > LONGEST_LABEL:
        raise errors.Unresolvable(
            "InvalidName",
            f"The objects of the component would be called {name}, which has {len(name)} characters. In a cluster it"
            f" may have {LONGEST_LABEL - len(_APP)}, because the label {APP_LABEL}: {_APP}<name> has at most"
            f" {LONGEST_LABEL}.",
            remedy="Choose a shorter name for the InferenceService or for its predictor.",
        )
    return value


def selector(name: str) -> dict[str, str]:
    """What selects the pods of a Deployment of that name."""
    return {APP_LABEL: app(name)}


def of(
    component: ResolvedComponent,
    surroundings: Surroundings,
    name: str | None = None,
    *,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The metadata of an object of a component.

    Args:
        component: the component.
        surroundings: whose it is.
        name: the name of the object; by default the component's.
        labels: labels beside those of the component, which win over them.

    Raises:
        Unresolvable: a name is too long.
    """
    return _metadata(
        name or component.name,
        surroundings.owner,
        {**component.labels, **selector(component.name), **(labels or {})},
        component.annotations,
    )


def of_service(
    service: ResolvedService,
    surroundings: Surroundings,
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The metadata of an object of a whole InferenceService: its labels and annotations, without what is disallowed.

    Args:
        service: the InferenceService.
        surroundings: whose it is.
        name: the name of the object.
        labels: labels beside those.
        annotations: annotations beside those.

    Raises:
        Unresolvable: the name is too long.
    """
    declared, config = service.declared.metadata, surroundings.config.resolve
    handed_on = {key: text for key, text in (declared.labels or {}).items() if key not in config.disallowed_labels}
    noted = {
        key: text for key, text in (declared.annotations or {}).items() if key not in config.disallowed_annotations
    }
    return _metadata(
        name,
        surroundings.owner,
        {**handed_on, SERVICE_LABEL: service.name, **(labels or {})},
        {**noted, **(annotations or {})},
    )


def owner_reference(owner: Owner) -> dict[str, Any]:
    """The reference by which an object belongs to its InferenceService, and is deleted with it."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _metadata(name: str, owner: Owner, labels: Mapping[str, str], annotations: Mapping[str, str]) -> dict[str, Any]:
    if len(name) > LONGEST_LABEL:
        raise errors.Unresolvable(
            "InvalidName",
            f"An object would be called {name}, which has {len(name)} characters and may have {LONGEST_LABEL}.",
            remedy="Choose a shorter name for the InferenceService or for its predictor.",
        )
    found: dict[str, Any] = {"name": name, "namespace": owner.namespace, "labels": dict(labels)}
    if annotations:
        found["annotations"] = dict(annotations)
    return {**found, "ownerReferences": [owner_reference(owner)]}
