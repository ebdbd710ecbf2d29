"""The status of an InferenceService as it is stored: the mode that it keeps, and what is to be written of a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead.api.status import InferenceServiceStatus
from fairlead.resolve.defaults import MODE_ANNOTATION

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest

__all__ = ["changed", "sticky"]

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


def sticky(manifest: Manifest) -> Manifest:
    """A service with the mode that it has run in, where it names none: the default of the platform may change."""
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    mode = (manifest.get("status") or {}).get("deploymentMode")
    if not isinstance(mode, str) or not mode or MODE_ANNOTATION in annotations:
        return manifest
    return {**manifest, "metadata": {**metadata, "annotations": {**annotations, MODE_ANNOTATION: mode}}}
