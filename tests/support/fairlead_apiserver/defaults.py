"""What the server writes into objects of Kubernetes' own kinds that their authors left open."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

__all__ = ["fill"]

_Object = dict[str, Any]


def fill(group: str, kind: str, given: _Object) -> None:
    """Write the defaults of a kind into an object, in place."""
    writer = _KINDS.get((group, kind))
    if writer is not None:
        writer(given)


def _deployment(given: _Object) -> None:
    spec = given.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    given.setdefault("status", {})
    _template(spec)


def _replica_set(given: _Object) -> None:
    spec = given.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    given.setdefault("status", {}).setdefault("replicas", 0)
    _template(spec)


def _stateful_set(given: _Object) -> None:
    spec = given.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    retained = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retained.setdefault("whenDeleted", "Retain")
    retained.setdefault("whenScaled", "Retain")
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    _template(spec)


def _job(given: _Object) -> None:
    spec = given.setdefault("spec", {})
    for key, value in (
        ("parallelism", 1), ("completions", 1), ("backoffLimit", 6), ("completionMode", "NonIndexed"),
        ("suspend", False), ("podReplacementPolicy", "TerminatingOrFailed"),
    ):  # fmt: skip
        spec.setdefault(key, value)
    _template(spec)


def _template(spec: _Object) -> None:
    template = spec.get("template")
    if template is not None:
        template.setdefault("metadata", {})
        _pod_spec(template.setdefault("spec", {}))


def _pod(given: _Object) -> None:
    spec = given.setdefault("spec", {})
    _pod_spec(spec)
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        if limits := container["resources"].get("limits"):
            container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    status = given.setdefault("status", {})
    status.setdefault("phase", "Pending")
    status.setdefault("qosClass", "BestEffort")


def _pod_spec(spec: _Object) -> None:
    for key, value in (
        ("restartPolicy", "Always"), ("terminationGracePeriodSeconds", 30), ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
    ):  # fmt: skip
        spec.setdefault(key, value)
    spec.setdefault("securityContext", {})
    if "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif "serviceAccount" in spec:
        spec["serviceAccountName"] = spec["serviceAccount"]
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        _container(container)
    for volume in spec.get("volumes", ()):
        _volume(volume)


def _container(container: _Object) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    image = container.get("image", "")
    if image:
        tag = image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[2]
        latest = "@" not in image and tag in ("", "latest")
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    container.setdefault("resources", {})
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", ()):
        source = variable.get("valueFrom", {})
        if "fieldRef" in source:
            source["fieldRef"].setdefault("apiVersion", "v1")
        if "resourceFieldRef" in source:
            source["resourceFieldRef"].setdefault("divisor", "0")
    hooks = container.get("lifecycle", {})
    for hook in (hooks.get("postStart", {}), hooks.get("preStop", {})):
        if "httpGet" in hook:
            _http(hook["httpGet"])
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _probe(container[name])


def _probe(probe: _Object) -> None:
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not probe.get(key):
            probe[key] = value
    if "httpGet" in probe:
        _http(probe["httpGet"])
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _http(action: _Object) -> None:
    action.setdefault("path", "/")
    action.setdefault("scheme", "HTTP")


def _volume(volume: _Object) -> None:
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", 420)
    for each in volume.get("projected", {}).get("sources", ()):
        if "serviceAccountToken" in each:
            each["serviceAccountToken"].setdefault("expirationSeconds", 3600)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}


def _service(given: _Object) -> None:
    spec = given.setdefault("spec", {})
    kind = spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {}).setdefault("timeoutSeconds", 10800)
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    given.setdefault("status", {}).setdefault("loadBalancer", {})


def _autoscaler(given: _Object) -> None:
    spec = given.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    spec.setdefault(
        "metrics",
        [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    )
    if "behavior" not in spec:
        return
    up = spec["behavior"].setdefault("scaleUp", {})
    up.setdefault("stabilizationWindowSeconds", 0)
    up.setdefault("selectPolicy", "Max")
    up.setdefault(
        "policies",
        [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}],
    )
    down = spec["behavior"].setdefault("scaleDown", {})
    down.setdefault("selectPolicy", "Max")
    down.setdefault("policies", [{"type": "Percent", "value": 100, "periodSeconds": 15}])


def _secret(given: _Object) -> None:
    given.setdefault("type", "Opaque")
    plain = given.pop("stringData", None)
    if plain:
        data = given.setdefault("data", {})
        data.update({key: base64.b64encode(value.encode()).decode() for key, value in plain.items()})


def _namespace(given: _Object) -> None:
    labels = given["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = given["metadata"].get("name", "")
    given.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    given.setdefault("status", {}).setdefault("phase", "Active")


def _network_policy(given: _Object) -> None:
    spec = given.setdefault("spec", {})
    spec.setdefault("policyTypes", ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def _binding(given: _Object) -> None:
    given.setdefault("roleRef", {}).setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in given.get("subjects", ()):
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def _webhooks(given: _Object) -> None:
    for hook in given.get("webhooks", ()):
        for key, value in (
            ("failurePolicy", "Fail"), ("matchPolicy", "Equivalent"), ("namespaceSelector", {}),
            ("objectSelector", {}), ("timeoutSeconds", 10),
        ):  # fmt: skip
            hook.setdefault(key, value)
        if given["kind"].startswith("Mutating"):
            hook.setdefault("reinvocationPolicy", "Never")
        if "service" in hook.get("clientConfig", {}):
            hook["clientConfig"]["service"].setdefault("port", 443)
        for rule in hook.get("rules", ()):
            rule.setdefault("scope", "*")


def _definition(given: _Object) -> None:
    spec = given.setdefault("spec", {})
    spec.setdefault("conversion", {"strategy": "None"})
    names = spec.setdefault("names", {})
    names.setdefault("singular", names.get("kind", "").lower())
    names.setdefault("listKind", f"{names.get('kind', '')}List")


def _claim(given: _Object) -> None:
    given.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    given.setdefault("status", {}).setdefault("phase", "Pending")


_REGISTRATION: Final = "admissionregistration.k8s.io"
_RBAC: Final = "rbac.authorization.k8s.io"
_KINDS: Final[dict[tuple[str, str], Callable[[_Object], None]]] = {
    ("", "Namespace"): _namespace,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "Secret"): _secret,
    ("", "Service"): _service,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    (_RBAC, "RoleBinding"): _binding,
    (_RBAC, "ClusterRoleBinding"): _binding,
    (_REGISTRATION, "ValidatingWebhookConfiguration"): _webhooks,
    (_REGISTRATION, "MutatingWebhookConfiguration"): _webhooks,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
