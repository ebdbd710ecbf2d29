"""The kinds that the operator knows, and the paths at which an API server has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import ObjectKind

__all__ = ["BY_KIND", "CHILDREN", "DECLARED", "POD", "SELECTOR", "Kind", "Kinds"]

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

    @classmethod
    def declared(cls, said: ObjectKind) -> Kind:
        """A kind as a plugin declares it."""
        group, _, version = said.api_version.rpartition("/")
        return cls(said.kind, group, version, said.plural)

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


_OPTIONAL: Final = frozenset({"HTTPRoute", "ScaledObject", "OpenTelemetryCollector"})


class Kinds:
    """The kinds of one operator: those above, and those that plugins scale by.

    Args:
        others: kinds of plugins; one that is known already changes nothing.

    Attributes:
        others: those of them that are not known already.
        children: what an InferenceService comes to.
        labelled: what is watched by the label of its service.
        listed: everything that is watched but definitions, which are large and hardly ever go away.
    """

    def __init__(self, others: Iterable[Kind] = ()) -> None:
        self.others: Final = tuple(dict.fromkeys(each for each in others if each.name not in BY_KIND))
        self.children: Final = (*CHILDREN, *self.others)
        self.labelled: Final = (*self.children, POD)
        self.listed: Final = (*DECLARED, *self.labelled, BY_KIND["ConfigMap"])
        self._by_kind = {**{each.name: each for each in self.others}, **BY_KIND}

    def is_optional(self, kind: Kind) -> bool:
        """Whether a cluster may lack a kind, so that it is asked for only where a definition says that it is served."""
        return kind.name in _OPTIONAL or kind in self.others

    def of(self, manifest: Mapping[str, Any]) -> Kind:
        """The kind of an object, in the version that the object is in.

        Raises:
            KeyError: it is of no kind that is known.
        """
        known = self._by_kind[manifest["kind"]]
        version = str(manifest["apiVersion"]).rpartition("/")[2]
        return known if known.version == version else dataclasses.replace(known, version=version)
