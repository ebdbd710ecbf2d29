"""The status of an InferenceService as it is stored: the mode that it keeps, and what is to be written of a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead.api.status import InferenceServiceStatus
from fairlead.resolve.defaults import MODE_ANNOTATION, current_mode_name

if TYPE_CHECKING:
    from fairlead.api.inferenceservice import InferenceService

__all__ = ["changed", "mode", "sticky"]

_OF_OTHERS: Final = "annotations"
_OURS: Final = frozenset(
    field.alias or name for name, field in InferenceServiceStatus.model_fields.items() if name != _OF_OTHERS
)


def changed(before: Mapping[str, Any], after: InferenceServiceStatus) -> dict[str, Any] | None:
    """The merge patch of the subresource ``status`` that makes one status of another.

    Args:
        before: the status as the API server has it.
        after: the status that is to be.

    Returns:
        What differs, with null for what is gone; None where nothing differs. What others have written beside the
        fields of a status is left alone.
    """
    wanted = after.model_dump(by_alias=True, exclude_none=True, mode="json")
    known = {key: value for key, value in before.items() if key in _OURS}
    patch = _difference(known, wanted)
    return {"status": patch} if patch else None


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: None for key, value in before.items() if key not in after and value is not None}
    for key, value in after.items():
        known = before.get(key)
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            if below := _difference(known, value):
                found[key] = below
        elif key not in before or known != value:
            found[key] = value
    return found


def mode(service: InferenceService, default: str) -> str:
    """The deployment mode of a service: the one that it runs in, else the one that it names, else the platform's."""
    running = service.status.deployment_mode if service.status is not None else None
    named = (service.metadata.annotations or {}).get(MODE_ANNOTATION)
    return current_mode_name(running or named or default)


def sticky(service: InferenceService) -> InferenceService:
    """The same service in the mode that it already runs in, whatever its annotation says now.

    That the annotation differs is what validation says, where the service is also given as what it was before.
    """
    running = service.status.deployment_mode if service.status is not None else None
    annotations = dict(service.metadata.annotations or {})
    if not running or current_mode_name(annotations.get(MODE_ANNOTATION, "")) == current_mode_name(running):
        return service
    annotations[MODE_ANNOTATION] = current_mode_name(running)
    metadata = service.metadata.model_copy(update={"annotations": annotations})
    return service.model_copy(update={"metadata": metadata})
