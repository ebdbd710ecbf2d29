"""Labels and annotations of a component's objects: who may say what, and what is not handed on.

Runtime, InferenceService, component and system may each set a label, and the later of them wins; annotations are the
same without the system's. Keys that the platform disallows are dropped from each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.resolve.config import Config
    from fairlead.resolve.service import ComponentKind

__all__ = ["COMPONENT_LABEL", "SERVICE_LABEL", "component_annotations", "component_labels"]

SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
"""Names the InferenceService that an object belongs to."""

COMPONENT_LABEL: Final = "component"
"""Names the component that an object belongs to."""

Texts = Mapping[str, str]


def component_labels(
    config: Config,
    *,
    runtime: Texts | None,
    service: Texts | None,
    component: Texts | None,
    name: str,
    kind: ComponentKind,
) -> dict[str, str]:
    """The labels of a component's objects.

    Args:
        config: what the platform disallows.
        runtime: labels of the runtime, where there is one.
        service: labels of the InferenceService.
        component: labels of the component.
        name: the name of the InferenceService.
        kind: the component.
    """
    system = {SERVICE_LABEL: name, COMPONENT_LABEL: kind.value}
    return {**_joined(config.disallowed_labels, runtime, service, component), **system}


def component_annotations(
    config: Config, *, runtime: Texts | None, service: Texts | None, component: Texts | None
) -> dict[str, str]:
    """The annotations of a component's objects; see `component_labels`."""
    return _joined(config.disallowed_annotations, runtime, service, component)


def _joined(disallowed: frozenset[str], *sources: Texts | None) -> dict[str, str]:
    return {key: value for source in sources for key, value in (source or {}).items() if key not in disallowed}
