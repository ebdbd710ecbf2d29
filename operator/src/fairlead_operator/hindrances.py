"""What keeps pods from running, and what to do about it: remedies by the words that Kubernetes has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["REMEDIES", "told"]

_IMAGE: Final = "Check the name and tag of the image, and the imagePullSecrets of the service or of its ServiceAccount."
_CONTAINER: Final = "Check its command, its volumes, and the Secrets and ConfigMaps that its environment names."

REMEDIES: Final[Mapping[str, str]] = {
    "ErrImagePull": _IMAGE,
    "ImagePullBackOff": _IMAGE,
    "InvalidImageName": _IMAGE,
    "ImageInspectError": _IMAGE,
    "ErrImageNeverPull": "Set imagePullPolicy to IfNotPresent, or bring the image to the node.",
    "CreateContainerConfigError": _CONTAINER,
    "CreateContainerError": _CONTAINER,
    "RunContainerError": _CONTAINER,
    "Unschedulable": "Ask for less in resources, or give the cluster a node that fits.",
    "OOMKilled": "It used more memory than its limit: raise resources.limits.memory.",
    "Evicted": "Its node ran out of a resource: ask for what it needs in resources.requests.",
    "Unhealthy": "Look at its log.",
    "ProgressDeadlineExceeded": "Look at the events of its pods, or give it longer: progressDeadlineSeconds.",
}
"""What to do, by the reason that Kubernetes gives."""

_IN_MESSAGES: Final[Mapping[str, str]] = {
    "exceeded quota": "Raise the ResourceQuota of the namespace, or ask for less in resources.",
    "failed quota": "Set requests and limits for what the ResourceQuota of the namespace counts.",
    "violates PodSecurity": "Set the securityContext that the namespace asks for, or label it with another level.",
    "serviceaccount": "Make the ServiceAccount that serviceAccountName names.",
    "admission webhook": "Ask whoever runs that webhook, or change what it denies.",
    "LimitRange": "Ask for resources within the LimitRange of the namespace.",
    "maximum memory usage": "Ask for resources within the LimitRange of the namespace.",
    "maximum cpu usage": "Ask for resources within the LimitRange of the namespace.",
}


def told(message: str, reason: str) -> str:
    """What Kubernetes says of something, and after it what to do, where that is known."""
    remedy = next((each for part, each in _IN_MESSAGES.items() if part in message), REMEDIES.get(reason, ""))
    sentence = message.strip()
    if sentence and sentence[-1] not in ".!?":
        sentence += "."
    return f"{sentence} {remedy}".strip()
