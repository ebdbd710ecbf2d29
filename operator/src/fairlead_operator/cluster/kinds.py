"""The kinds that the operator knows, and the paths at which an API server has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["BY_KIND", "CHILDREN", "DECLARED", "POD", "SELECTOR", "Kind", "of"]

SELECTOR: Final = "serving.kserve.io/inferenceservice"
"""The label that every object of an InferenceService has, with its name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """A kind of objects.

    Attributes:
        name: the kind, such as ``Deployment``.
        group: its group; empty for the core's.
        version: the version of the group that is spoken.
        plural: its name in paths.
        namespaced: whether its objects are in namespaces.
    """

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def served_as(self) -> str:
        """How `fairlead_operator.desired.model.Surroundings.apis` names it."""
        return f"{self.group}/{self.name}"

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of an object, or of all objects where no name is given."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts += [each for each in (self.plural, name, subresource) if each is not None]
        return "/" + "/".join(parts)


_SERVING: Final = "serving.kserve.io"

DECLARED: Final = (
    Kind("InferenceService", _SERVING, "v1beta1", "inferenceservices"),
    Kind("ServingRuntime", _SERVING, "v1alpha1", "servingruntimes"),
    Kind("ClusterServingRuntime", _SERVING, "v1alpha1", "clusterservingruntimes", namespaced=False),
    Kind("ClusterStorageContainer", _SERVING, "v1alpha1", "clusterstoragecontainers", namespaced=False),
)
"""What users declare."""

CHILDREN: Final = (
    Kind("Deployment", "apps", "v1", "deployments"),
    Kind("Service", "", "v1", "services"),
    Kind("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers"),
    Kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets"),
    Kind("Ingress", "networking.k8s.io", "v1", "ingresses"),
    Kind("HTTPRoute", "gateway.networking.k8s.io", "v1", "httproutes"),
    Kind("ScaledObject", "keda.sh", "v1alpha1", "scaledobjects"),
    Kind("OpenTelemetryCollector", "opentelemetry.io", "v1beta1", "opentelemetrycollectors"),
)
"""What an InferenceService comes to; the last three only where the cluster serves them."""

POD: Final = Kind("Pod", "", "v1", "pods")

_OTHERS: Final = (
    Kind("ConfigMap", "", "v1", "configmaps"),
    Kind("CustomResourceDefinition", "apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False),
    Kind("Event", "", "v1", "events"),
    Kind("Lease", "coordination.k8s.io", "v1", "leases"),
    Kind(
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        namespaced=False,
    ),
    Kind(
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        namespaced=False,
    ),
    Kind("PodMetrics", "metrics.k8s.io", "v1beta1", "pods"),
    Kind("Secret", "", "v1", "secrets"),
    Kind("ServiceAccount", "", "v1", "serviceaccounts"),
)

BY_KIND: Final[Mapping[str, Kind]] = {each.name: each for each in (*DECLARED, *CHILDREN, POD, *_OTHERS)}
"""Every kind that is known, by its name."""


def of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of an object; one that is not known is taken for what its name suggests, and to be in a namespace.

    Plugins may scale by kinds of their own.
    """
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    name = str(manifest["kind"])
    known = BY_KIND.get(name)
    if known is not None and known.group == group:
        return known if known.version == version else dataclasses.replace(known, version=version)
    lower = name.lower()
    ending = "ies" if lower.endswith("y") else "es" if lower.endswith(("s", "x", "ch")) else "s"
    return Kind(name, group, version, (lower[:-1] if ending == "ies" else lower) + ending)
