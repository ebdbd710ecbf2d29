"""The Deployment of a component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fairlead_operator.desired import autoscaling, metadata, pods

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.resolve.service import ResolvedComponent
    from fairlead_operator.configuration.model import Rollout
    from fairlead_operator.desired.model import Manifest, Surroundings

__all__ = ["HISTORY", "PROGRESS_SECONDS", "made", "of", "rolling"]

HISTORY: Final = 10
"""How many revisions a Deployment remembers."""

PROGRESS_SECONDS: Final = 600
"""Seconds within which a rollout has to come on; Kubernetes tells where it does not."""


def of(component: ResolvedComponent, surroundings: Surroundings, template: Mapping[str, Any] | None = None) -> Manifest:
    """The Deployment of a component.

    Args:
        component: the component.
        surroundings: what it is rendered in.
        template: its pods, where they are others than `fairlead_operator.desired.pods.template` makes.

    Raises:
        Unresolvable: its pods cannot be made; see `fairlead_operator.desired.pods.template`.
    """
    return made(
        metadata.of(component, surroundings),
        template or pods.template(component, surroundings),
        selector=metadata.selector(component.name),
        replicas=autoscaling.replicas(component, surroundings),
        strategy=component.deployment_strategy or rolling(surroundings.config.rollout),
    )


def made(
    described: Mapping[str, Any],
    template: Mapping[str, Any],
    *,
    selector: Mapping[str, str],
    replicas: int | None,
    strategy: Mapping[str, Any],
) -> Manifest:
    """A Deployment of these pods.

    Args:
        described: its metadata.
        template: its pods.
        selector: what selects them.
        replicas: how many there are; None where an autoscaler says, so that the field is left to it.
        strategy: how they are replaced.
    """
    spec: dict[str, Any] = {
        "selector": {"matchLabels": dict(selector)},
        "template": dict(template),
        "strategy": dict(strategy),
        "revisionHistoryLimit": HISTORY,
        "progressDeadlineSeconds": PROGRESS_SECONDS,
    }
    if replicas is not None:
        spec = {"replicas": replicas, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": dict(described), "spec": spec}


def rolling(rollout: Rollout) -> dict[str, Any]:
    """The strategy that replaces pods one after the other."""
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {
            "maxSurge": _amount(rollout.max_surge),
            "maxUnavailable": _amount(rollout.max_unavailable),
        },
    }


def _amount(text: str) -> int | str:
    """A number of pods, or a percentage as it is."""
    return int(text) if text.isascii() and text.isdigit() else text
