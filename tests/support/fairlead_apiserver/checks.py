"""What Kubernetes asks of its own kinds beyond their schemas, as far as an operator meets it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead_apiserver.failures import Cause
from fairlead_apiserver.selectors import labels_match

if TYPE_CHECKING:
    from fairlead_apiserver.resources import Resource
    from fairlead_apiserver.store import Object

__all__ = ["metadata", "own"]

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVICE: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY: Final = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)"
)
_VALUE: Final = re.compile(r"([A-Za-z0-9]([-\w.]*[A-Za-z0-9])?)?")
_LIMIT: Final = 262144


def metadata(resource: Resource, given: Object) -> Iterator[Cause]:
    """Names, labels, annotations, owners and finalizers."""
    found = given["metadata"]
    name = found.get("name", "")
    if not name:
        text = "name or generateName is required"
        yield Cause.of("FieldValueRequired", "metadata.name", text)
    elif resource.group != "rbac.authorization.k8s.io":
        form, most = _form(resource.plural)
        if not form.fullmatch(name) or len(name) > most:
            yield Cause.of("FieldValueInvalid", "metadata.name", _wording(form, name, most), name)
    yield from _labels(found.get("labels", {}), "metadata.labels")
    if sum(len(key) + len(value) for key, value in found.get("annotations", {}).items()) > _LIMIT:
        text = f"Too long: may not be more than {_LIMIT} bytes"
        yield Cause("metadata.annotations", "FieldValueTooLong", text)
    controllers = [each for each in found.get("ownerReferences", ()) if each.get("controller")]
    if len(controllers) > 1:
        text = "Only one reference can have Controller set to true"
        yield Cause.of("FieldValueInvalid", "metadata.ownerReferences", text, found["ownerReferences"])
    for index, owner in enumerate(found.get("ownerReferences", ())):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                yield Cause.of("FieldValueInvalid", f"metadata.ownerReferences[{index}].{key}", "must not be empty", "")


def _form(plural: str) -> tuple[re.Pattern[str], int]:
    if plural == "services":
        return _SERVICE, 63
    return (_LABEL, 63) if plural == "namespaces" else (_SUBDOMAIN, 253)


def _wording(form: re.Pattern[str], name: str, most: int) -> str:
    if len(name) > most:
        return f"must be no more than {most} characters"
    if form is _SERVICE:
        return (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character"
        )
    kind = "a lowercase RFC 1123 label" if form is _LABEL else "a lowercase RFC 1123 subdomain"
    return f"{kind} must consist of lower case alphanumeric characters, '-' or '.'"


def _labels(labels: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            yield Cause.of("FieldValueInvalid", path, "name part must consist of alphanumeric characters", key)
        if not _VALUE.fullmatch(value):
            text = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
            yield Cause.of("FieldValueInvalid", path, text, value)
        elif len(value) > 63:
            yield Cause.of("FieldValueInvalid", path, "must be no more than 63 characters", value)


def own(resource: Resource, given: Object, old: Object | None) -> Iterator[Cause]:
    """The rules of single kinds; ``old`` is the object before the write, where there was one."""
    if resource.plural in ("deployments", "replicasets", "statefulsets", "daemonsets"):
        yield from _workload(resource, given, old)
    elif resource.plural == "pods":
        yield from _pod(given["spec"], "spec")
    elif resource.plural == "services":
        yield from _service(given, old)
    elif resource.plural == "horizontalpodautoscalers":
        yield from _autoscaler(given["spec"])
    elif resource.plural in ("secrets", "configmaps"):
        yield from _data(given, old)
    elif resource.plural in ("rolebindings", "clusterrolebindings") and old and old["roleRef"] != given["roleRef"]:
        yield Cause.of("FieldValueInvalid", "roleRef", "cannot change roleRef", given["roleRef"])
    elif resource.plural == "customresourcedefinitions":
        yield from _definition(given)


def _workload(resource: Resource, given: Object, old: Object | None) -> Iterator[Cause]:
    spec = given.get("spec", {})
    selector, template = spec.get("selector", {}), spec.get("template", {})
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield Cause.of("FieldValueInvalid", "spec.selector", "empty selector is invalid for deployment", selector)
    elif not labels_match(selector, template.get("metadata", {}).get("labels", {})):
        labels = template.get("metadata", {}).get("labels", {})
        text = "`selector` does not match template `labels`"
        yield Cause.of("FieldValueInvalid", "spec.template.metadata.labels", text, labels)
    if old is not None and old["spec"].get("selector") != selector:
        yield Cause.of("FieldValueInvalid", "spec.selector", "field is immutable", selector)
    if spec.get("replicas", 0) < 0:
        text = "must be greater than or equal to 0"
        yield Cause.of("FieldValueInvalid", "spec.replicas", text, spec["replicas"])
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        text = "may not be specified when strategy `type` is 'Recreate'"
        yield Cause.of("FieldValueForbidden", "spec.strategy.rollingUpdate", text)
    yield from _labels(template.get("metadata", {}).get("labels", {}), "spec.template.labels")
    yield from _pod(template.get("spec", {}), "spec.template.spec")
    if resource.plural == "statefulsets" and old is not None:
        mutable = {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                   "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}  # fmt: skip
        if any(old["spec"].get(key) != spec.get(key) for key in (old["spec"].keys() | spec.keys()) - mutable):
            text = (
                "updates to statefulset spec for fields other than 'replicas', 'template' and a few more are forbidden"
            )
            yield Cause.of("FieldValueForbidden", "spec", text)


def _pod(spec: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield Cause.of("FieldValueRequired", f"{path}.containers")
    volumes = {each.get("name") for each in spec.get("volumes", ())}
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field, ())):
            here, name = f"{path}.{field}[{index}]", container.get("name", "")
            if not _LABEL.fullmatch(name) or len(name) > 63:
                yield Cause.of("FieldValueInvalid", f"{here}.name", _wording(_LABEL, name, 63), name)
            if name in seen:
                yield Cause.of("FieldValueDuplicate", f"{here}.name", value=name)
            seen.add(name)
            if not container.get("image"):
                yield Cause.of("FieldValueRequired", f"{here}.image")
            yield from _container(container, volumes, here)


def _container(container: Mapping[str, Any], volumes: set[Any], path: str) -> Iterator[Cause]:
    for index, mount in enumerate(container.get("volumeMounts", ())):
        if mount.get("name") not in volumes:
            yield Cause(f"{path}.volumeMounts[{index}].name", "FieldValueNotFound", f'Not found: "{mount.get("name")}"')
    for index, port in enumerate(container.get("ports", ())):
        number = port.get("containerPort", 0)
        if not 0 < number < 65536:
            text = "must be between 1 and 65535, inclusive"
            yield Cause.of("FieldValueInvalid", f"{path}.ports[{index}].containerPort", text, number)
        if len(port.get("name", "")) > 15:
            text = "must be no more than 15 characters"
            yield Cause.of("FieldValueInvalid", f"{path}.ports[{index}].name", text, port["name"])
    for index, variable in enumerate(container.get("env", ())):
        if variable.get("value") and "valueFrom" in variable:
            text = "may not be specified when `value` is not empty"
            yield Cause.of("FieldValueInvalid", f"{path}.env[{index}].valueFrom", text, "")


def _service(given: Object, old: Object | None) -> Iterator[Cause]:
    spec = given["spec"]
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and spec["type"] != "ExternalName":
        yield Cause.of("FieldValueRequired", "spec.ports")
    names: set[str] = set()
    for index, port in enumerate(spec.get("ports", ())):
        name = port.get("name", "")
        if not name and len(spec["ports"]) > 1:
            yield Cause.of("FieldValueRequired", f"spec.ports[{index}].name")
        if name and name in names:
            yield Cause.of("FieldValueDuplicate", f"spec.ports[{index}].name", value=name)
        names.add(name)
    before = (old or {}).get("spec", {})
    if before.get("clusterIP") and before.get("type") == spec["type"] and before["clusterIP"] != spec.get("clusterIP"):
        yield Cause.of("FieldValueInvalid", "spec.clusterIPs[0]", "may not change once set", [spec.get("clusterIP")])


def _autoscaler(spec: Mapping[str, Any]) -> Iterator[Cause]:
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        yield Cause.of("FieldValueInvalid", "spec.minReplicas", "must be greater than or equal to 1", least)
    if most < 1:
        yield Cause.of("FieldValueInvalid", "spec.maxReplicas", "must be greater than 0", most)
    elif most < least:
        text = "must be greater than or equal to `minReplicas`"
        yield Cause.of("FieldValueInvalid", "spec.maxReplicas", text, most)


def _data(given: Object, old: Object | None) -> Iterator[Cause]:
    if (
        old
        and old.get("immutable")
        and any(old.get(key) != given.get(key) for key in ("data", "binaryData", "immutable"))
    ):
        yield Cause.of("FieldValueForbidden", "data", "field is immutable when `immutable` is set")
    if old and old.get("type") != given.get("type"):
        yield Cause.of("FieldValueInvalid", "type", "field is immutable", given.get("type", ""))
    for key in given.get("data", {}):
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
            text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            yield Cause.of("FieldValueInvalid", f"data[{key}]", text, key)


def _definition(given: Object) -> Iterator[Cause]:
    spec = given["spec"]
    wanted = f"{spec['names'].get('plural', '')}.{spec.get('group', '')}"
    if given["metadata"].get("name") != wanted:
        text = 'must be spec.names.plural+"."+spec.group'
        yield Cause.of("FieldValueInvalid", "metadata.name", text, given["metadata"].get("name", ""))
    stored = [each for each in spec.get("versions", ()) if each.get("storage")]
    if len(stored) != 1:
        text = "must have exactly one version marked as storage version"
        yield Cause.of("FieldValueInvalid", "spec.versions", text, spec.get("versions", []))
    for index, version in enumerate(spec.get("versions", ())):
        if "openAPIV3Schema" not in version.get("schema", {}):
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            yield Cause.of("FieldValueRequired", path, "schemas are required")
