"""The kinds that are served: Kubernetes' own, and those of CustomResourceDefinitions."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead_apiserver import schemas

if TYPE_CHECKING:
    from fairlead_apiserver.schemas import Node

__all__ = ["Key", "Registry", "Resource", "defined"]

Key = tuple[str, str]
"""Group and plural: where objects of a kind are kept, whatever their version."""

_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

# What each group has: kind, plural, whether in a namespace, subresources, short names.
_CORE: Final = """
ConfigMap configmaps yes - cm
Endpoints endpoints yes - ep
Event events yes - ev
LimitRange limitranges yes - limits
Namespace namespaces no status ns
Node nodes no status no
PersistentVolume persistentvolumes no status pv
PersistentVolumeClaim persistentvolumeclaims yes status pvc
Pod pods yes status po
ResourceQuota resourcequotas yes status quota
Secret secrets yes - -
Service services yes status svc
ServiceAccount serviceaccounts yes - sa
"""
_GROUPS: Final = {
    "v1": _CORE,
    "apps/v1": """
ControllerRevision controllerrevisions yes - -
DaemonSet daemonsets yes status ds
Deployment deployments yes status,scale deploy
ReplicaSet replicasets yes status,scale rs
StatefulSet statefulsets yes status,scale sts
""",
    "batch/v1": "Job jobs yes status -\nCronJob cronjobs yes status cj",
    "autoscaling/v2": "HorizontalPodAutoscaler horizontalpodautoscalers yes status hpa",
    "policy/v1": "PodDisruptionBudget poddisruptionbudgets yes status pdb",
    "networking.k8s.io/v1": """
Ingress ingresses yes status ing
IngressClass ingressclasses no - -
NetworkPolicy networkpolicies yes - netpol
""",
    "rbac.authorization.k8s.io/v1": """
ClusterRole clusterroles no - -
ClusterRoleBinding clusterrolebindings no - -
Role roles yes - -
RoleBinding rolebindings yes - -
""",
    "coordination.k8s.io/v1": "Lease leases yes - -",
    "discovery.k8s.io/v1": "EndpointSlice endpointslices yes - -",
    "scheduling.k8s.io/v1": "PriorityClass priorityclasses no - pc",
    "storage.k8s.io/v1": "StorageClass storageclasses no - sc",
    "admissionregistration.k8s.io/v1": """
MutatingWebhookConfiguration mutatingwebhookconfigurations no - -
ValidatingWebhookConfiguration validatingwebhookconfigurations no - -
""",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition customresourcedefinitions no status crd,crds",
}
# The kinds whose changes are counted in metadata.generation.
_COUNTED: Final = frozenset(
    [
        *("deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs", "pods", "endpointslices"),
        *("ingresses", "ingressclasses", "networkpolicies", "poddisruptionbudgets", "priorityclasses"),
        *("customresourcedefinitions", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
    ]
)
# The kinds that an update must name the version of.
_CONDITIONAL: Final = frozenset(
    [
        *("leases", "customresourcedefinitions", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
        *("endpointslices", "poddisruptionbudgets"),
    ]
)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """A kind in one version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    node: Node
    subresources: Mapping[str, Mapping[str, Any]]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    singular: str = ""
    list_kind: str = ""
    own: bool = True
    counted: bool = False
    conditional: bool = False
    stored: str = ""

    @property
    def key(self) -> Key:
        """Where its objects are kept."""
        return self.group, self.plural

    @property
    def api_version(self) -> str:
        """Group and version in one text."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def entries(self) -> Iterator[dict[str, Any]]:
        """What discovery says of it."""
        yield {
            "name": self.plural,
            "singularName": self.singular or self.kind.lower(),
            "namespaced": self.namespaced,
            "kind": self.kind,
            "verbs": _VERBS,
            **({"shortNames": list(self.short_names)} if self.short_names else {}),
            **({"categories": list(self.categories)} if self.categories else {}),
            "storageVersionHash": "",
        }
        for name in self.subresources:
            scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            yield {
                "name": f"{self.plural}/{name}",
                "singularName": "",
                "namespaced": self.namespaced,
                **(scale if name == "scale" else {"kind": self.kind}),
                "verbs": ["get", "patch", "update"],
            }


@functools.cache
def _own() -> tuple[Resource, ...]:
    found = []
    for api_version, table in _GROUPS.items():
        group, _, version = api_version.rpartition("/")
        for line in table.strip().splitlines():
            kind, plural, namespaced, below, short = line.split()
            found.append(
                Resource(
                    group, version, kind, plural, namespaced == "yes", schemas.built_in(group, version, kind),
                    {name: {} for name in below.split(",") if name != "-"},
                    tuple(short.split(",")) if short != "-" else (),
                    ("all",) if plural in ("pods", "services", "deployments", "replicasets") else (),
                    list_kind=f"{kind}List", counted=plural in _COUNTED, conditional=plural in _CONDITIONAL,
                )
            )  # fmt: skip
    return tuple(found)


def defined(definition: Mapping[str, Any]) -> Iterable[Resource]:
    """The kind that a CustomResourceDefinition defines, in each version that is served."""
    spec = definition["spec"]
    names = spec["names"]
    stored = next((each["name"] for each in spec["versions"] if each["storage"]), "")
    for version in spec["versions"]:
        if version["served"]:
            yield Resource(
                spec["group"], version["name"], names["kind"], names["plural"], spec["scope"] == "Namespaced",
                schemas.structural(version.get("schema", {}).get("openAPIV3Schema", {})),
                version.get("subresources", {}), tuple(names.get("shortNames", ())), tuple(names.get("categories", ())),
                names["singular"], names["listKind"], own=False, counted=True, conditional=True, stored=stored,
            )  # fmt: skip


class Registry:
    """What is served now."""

    def __init__(self) -> None:
        self._resources = {(each.group, each.version, each.plural): each for each in _own()}

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The kind at a path, if there is one."""
        return self._resources.get((group, version, plural))

    def any_version(self, group: str, plural: str) -> Resource | None:
        """The kind in some version that is served."""
        return next((each for each in self._resources.values() if each.key == (group, plural)), None)

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The kind that an object says it is of."""
        found = (each for each in self._resources.values() if each.kind == kind and each.api_version == api_version)
        return next(found, None)

    def install(self, definition: Mapping[str, Any]) -> None:
        """Serve what a CustomResourceDefinition defines, and no other version of it."""
        self.uninstall(definition)
        self._resources |= {(each.group, each.version, each.plural): each for each in defined(definition)}

    def uninstall(self, definition: Mapping[str, Any]) -> None:
        """Serve it no longer."""
        key = definition["spec"]["group"], definition["spec"]["names"]["plural"]
        self._resources = {name: each for name, each in self._resources.items() if each.key != key}

    def everything(self) -> list[Resource]:
        """All of it."""
        return list(self._resources.values())

    def groups(self) -> dict[str, Any]:
        """``/apis``."""
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self.group(name) for name in self._names()]}

    def group(self, name: str) -> dict[str, Any] | None:
        """``/apis/<group>``."""
        versions = list(dict.fromkeys(each.version for each in self._resources.values() if each.group == name))
        if not versions or not name:
            return None
        entries = [{"groupVersion": f"{name}/{each}", "version": each} for each in versions]
        return {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": name,
            "versions": entries,
            "preferredVersion": entries[0],
        }

    def version(self, group: str, version: str) -> dict[str, Any] | None:
        """``/apis/<group>/<version>`` and ``/api/v1``."""
        found = [each for each in self._resources.values() if (each.group, each.version) == (group, version)]
        if not found:
            return None
        entries = [entry for each in found for entry in each.entries()]
        name = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": entries}

    def _names(self) -> list[str]:
        return list(dict.fromkeys(each.group for each in self._resources.values() if each.group))
