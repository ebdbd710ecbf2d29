"""What tests declare, and what they look at: one namespace of a cluster, in the words of the operator's tests."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairlead_apiserver.cluster import Cluster

__all__ = ["HOME", "SERVING", "Services", "isvc", "runtime"]

HOME: Final = "fairlead-operator-tests"
"""The namespace of the operator."""

SERVING: Final = "serving.kserve.io/v1beta1"

_VERSIONS: Final = {
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "Event": "v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "InferenceService": SERVING,
    "Ingress": "networking.k8s.io/v1",
    "OpenTelemetryCollector": "opentelemetry.io/v1beta1",
    "Pod": "v1",
    "PodDisruptionBudget": "policy/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "ServingRuntime": "serving.kserve.io/v1alpha1",
}


def runtime(
    name: str, *, model_format: str = "sklearn", kind: str = "ClusterServingRuntime", **spec: Any
) -> dict[str, Any]:
    """A runtime of a format, chosen by itself."""
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "supportedModelFormats": [{"name": model_format, "version": "1", "autoSelect": True, "priority": 1}],
            "protocolVersions": ["v1", "v2"],
            "containers": [
                {"name": "kserve-container", "image": f"example/{name}:1", "args": ["--model-dir=/mnt/models"]}
            ],
            **spec,
        },
    }


def isvc(
    name: str, *, annotations: dict[str, str] | None = None, model: dict[str, Any] | None = None, **predictor: Any
) -> dict[str, Any]:
    """An InferenceService with a model."""
    default = {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://bucket/model"}
    metadata: dict[str, Any] = {"name": name}
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": SERVING,
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {"predictor": {"model": {**default, **(model or {})}, **predictor}},
    }


@dataclasses.dataclass
class Services:
    """One namespace of a cluster in which an operator works.

    Attributes:
        cluster: the cluster.
        namespace: the namespace.
    """

    cluster: Cluster
    namespace: str

    def declare(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Make an object in the namespace."""
        placed = copy.deepcopy(manifest)
        placed["metadata"]["namespace"] = self.namespace
        return self.cluster.create(placed)

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """An object of the namespace; None where there is none."""
        return self.cluster.get(_VERSIONS[kind], kind, name, self.namespace)

    def list(self, kind: str) -> list[dict[str, Any]]:
        """The objects of a kind in the namespace."""
        return self.cluster.list(_VERSIONS[kind], kind, self.namespace)

    def names(self, kind: str) -> set[str]:
        """The names of the objects of a kind in the namespace."""
        return {each["metadata"]["name"] for each in self.list(kind)}

    def change(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Lay fields over an InferenceService."""
        return self.cluster.patch(SERVING, "InferenceService", name, patch, self.namespace)

    def patch(self, kind: str, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Lay fields over an object of any kind."""
        return self.cluster.patch(_VERSIONS[kind], kind, name, patch, self.namespace)

    def annotate(self, name: str, **annotations: str | None) -> dict[str, Any]:
        """Set annotations of ``serving.kserve.io`` of an InferenceService; None takes one off."""
        given = {f"serving.kserve.io/{key.replace('_', '-')}": text for key, text in annotations.items()}
        return self.change(name, {"metadata": {"annotations": given}})

    def configure(self, **keys: Any) -> None:
        """Write the ConfigMap of the namespace: what each of its keys says."""
        data = {key: json.dumps(value) for key, value in keys.items()}
        metadata = {"name": "inferenceservice-config", "namespace": self.namespace}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        self.cluster.apply(manifest, force=True)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        self.cluster.delete(_VERSIONS[kind], kind, name, self.namespace)

    def appears(self, kind: str, name: str) -> dict[str, Any]:
        """An object, once it is there."""
        return self.cluster.eventually(lambda: self.get(kind, name)) or {}

    def disappears(self, kind: str, name: str) -> None:
        """Wait until an object is gone."""
        self.cluster.eventually(lambda: self.get(kind, name) is None)

    def becomes(self, kind: str, name: str, check: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """An object, once something holds of it."""

        def held() -> dict[str, Any] | None:
            found = self.get(kind, name)
            return found if found is not None and check(found) else None

        try:
            return self.cluster.eventually(held) or {}
        except TimeoutError as error:
            found = self.get(kind, name)
            shown = found and (found.get("status") if kind == "InferenceService" else found.get("spec"))
            raise AssertionError(f"{kind} {name} stays as it is: {json.dumps(shown)}") from error

    def status(self, name: str, check: Callable[[dict[str, Any]], Any] = bool) -> dict[str, Any]:
        """The status of an InferenceService, once something holds of it."""
        found: dict[str, Any] = self.becomes("InferenceService", name, lambda each: check(each.get("status") or {}))[
            "status"
        ]
        return found

    def condition(self, name: str, kind: str, status: str, reason: str | None = None) -> dict[str, Any]:
        """A condition of an InferenceService, once it has a status and a reason."""

        def held(found: dict[str, Any]) -> bool:
            return any(_is(each, kind, status, reason) for each in found.get("conditions") or ())

        conditions = self.status(name, held)["conditions"]
        return next(each for each in conditions if _is(each, kind, status, reason))

    def settled(self, name: str) -> dict[str, Any]:
        """The status of an InferenceService, once it is about the spec that there is now."""

        def held(each: dict[str, Any]) -> bool:
            seen = (each.get("status") or {}).get("observedGeneration", 0)
            return bool(seen == each["metadata"]["generation"])

        found: dict[str, Any] = self.becomes("InferenceService", name, held)["status"]
        return found

    def pod(self, deployment: str) -> dict[str, Any]:
        """The spec of the pods of a Deployment, once it is there."""
        found: dict[str, Any] = self.appears("Deployment", deployment)["spec"]["template"]["spec"]
        return found

    def follow(self, route: str, **condition: str) -> None:
        """Let a gateway say that it follows an HTTPRoute as it is now, or what else a condition says."""
        found = self.appears("HTTPRoute", route)
        said = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "observedGeneration": found["metadata"]["generation"],
            "lastTransitionTime": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **condition,
        }
        parent = {
            "parentRef": found["spec"]["parentRefs"][0],
            "controllerName": "example.com/gateway",
            "conditions": [said],
        }
        self.cluster.patch_status(_VERSIONS["HTTPRoute"], "HTTPRoute", route, {"parents": [parent]}, self.namespace)

    def roll_out(self, deployment: str, **how: Any) -> None:
        """Let the pods of a Deployment become ready."""
        self.appears("Deployment", deployment)
        self.cluster.roll_out(self.namespace, deployment, **how)


def _is(condition: dict[str, Any], kind: str, status: str, reason: str | None) -> bool:
    return condition["type"] == kind and condition["status"] == status and reason in (None, condition.get("reason"))
