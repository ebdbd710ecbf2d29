"""An object between the wire and the store: read, completed, checked and given what only the server writes."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
import yaml

from fairlead_apiserver import checks, decoding, defaults, rules
from fairlead_apiserver.decoding import Findings
from fairlead_apiserver.failures import Cause, Failure

if TYPE_CHECKING:
    from fairlead_apiserver.requests import Request
    from fairlead_apiserver.resources import Resource
    from fairlead_apiserver.store import Object

__all__ = ["body", "changed", "check", "complete", "fresh", "kept", "now", "password", "read", "same_kind", "uid"]

_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_KEPT: Final = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "name",
    "namespace",
)


def now() -> str:
    """The time as objects have it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def body(request: Request) -> Any:
    """The body of a request as data.

    Raises:
        Failure: It cannot be read.
    """
    try:
        if "yaml" in request.content_type:
            text = request.body.decode()
            return orjson.loads(text) if text.lstrip()[:1] == "{" else yaml.safe_load(text)
        return orjson.loads(request.body)
    except (ValueError, yaml.YAMLError) as error:
        raise Failure.bad_request(
            f"the object provided is unrecognized (must be of type {request.resource.kind}): {error}"
        ) from error


def read(request: Request, data: Any, *, strict: bool = True) -> Object:
    """The object in a request, with what its kind does not know taken out and told.

    Raises:
        Failure: The object is of another kind, or has fields of the wrong type, or unknown ones that may not be.
    """
    resource = request.resource
    if not isinstance(data, dict):
        raise Failure.bad_request(f"json: cannot unmarshal into Go value of type {resource.kind}")
    same_kind(resource, data)
    findings = Findings()
    given: Object = decoding.decode(resource.node, data, "", findings, own=resource.own)
    given["metadata"] = {**(given.get("metadata") or {})}
    given |= {"apiVersion": resource.api_version, "kind": resource.kind}
    if findings.mistyped:
        _mistyped(resource, given, findings)
    if findings.unknown and strict:
        _unknown(request, findings.unknown)
    return given


def same_kind(resource: Resource, data: Mapping[str, Any]) -> None:
    """Hold an object to the kind that its address names.

    Raises:
        Failure: It says that it is of another kind or version.
    """
    version, kind = data.get("apiVersion", resource.api_version), data.get("kind", resource.kind)
    if version != resource.api_version and resource.own:
        raise Failure.bad_request(_unregistered(resource, kind, version))
    if version != resource.api_version:
        raise Failure.bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
        )
    if kind != resource.kind:
        raise Failure.bad_request(_unregistered(resource, kind, version))


def _unregistered(resource: Resource, kind: str, version: str) -> str:
    return (
        f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {resource.kind}: '
        f'no kind "{kind}" is registered for version "{version}"'
    )


def _mistyped(resource: Resource, given: Object, findings: Findings) -> None:
    path, expected, value = findings.mistyped[0]
    if resource.own or path.startswith("metadata"):
        raise Failure.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            + decoding.unmarshalling(resource.kind, path, expected, value)
        )
    causes = []
    for path, expected, value in findings.mistyped:
        found = decoding.named(value)
        wanted = "integer,string" if expected == "int-or-string" else expected
        text = f'{path} in body must be of type {wanted}: "{found}"'
        causes.append(Cause.of("FieldValueTypeInvalid", path, text, found))
    raise Failure.invalid(resource.group, resource.kind, given["metadata"].get("name", ""), causes)


def _unknown(request: Request, paths: list[str]) -> None:
    mode = request.query.get("fieldValidation", "Warn")
    texts = [f'unknown field "{path}"' for path in sorted(paths)]
    if mode == "Warn":
        request.warnings.extend(texts)
    elif mode == "Strict":
        kind, version = request.resource.kind, request.resource.version
        head = f'{kind} in version "{version}" cannot be handled as a {kind}: '
        raise Failure.bad_request(f"{head if request.resource.own else ''}strict decoding error: {', '.join(texts)}")


def complete(resource: Resource, given: Object) -> Object:
    """The object with its defaults; what was given may be changed."""
    if resource.own:
        defaults.fill(resource.group, resource.kind, given)
        return given
    found: Object = decoding.with_defaults(resource.node, given)
    return found


def check(resource: Resource, given: Object, old: Object | None) -> None:
    """Hold an object to the rules of its kind.

    Raises:
        Failure: With every field that is wrong.
    """
    causes = list(checks.metadata(resource, given))
    causes += rules.broken(resource.node, given) if old is None else rules.broken(resource.node, given, old)
    if resource.own and not causes:
        causes += checks.own(resource, given, old)
    if causes:
        raise Failure.invalid(resource.group, resource.kind, given["metadata"].get("name", ""), causes)


def fresh(resource: Resource, given: Object) -> Object:
    """A new object with what only the server writes."""
    metadata = {key: value for key, value in given["metadata"].items() if key not in ("generation", "selfLink")}
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:58] + "".join(random.choices(_LETTERS, k=5))
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"):
        metadata.pop(key, None)
    metadata |= {"uid": uid(), "creationTimestamp": now()}
    if resource.counted:
        metadata["generation"] = 1
    found = {**given, "metadata": metadata}
    if "status" in resource.subresources:
        found.pop("status", None)
    return found


def kept(resource: Resource, old: Object, given: Object, subresource: str) -> Object:
    """What an update may change, laid over the object as it is."""
    if subresource:
        found = {**old, subresource: given[subresource]} if subresource in given else _less(old, subresource)
        if resource.own and resource.group == "apps":
            # The controller writes the revision of a Deployment along with its status.
            return _noted(found, given)
        return found
    metadata = dict(given["metadata"])
    for key in _KEPT:
        metadata.pop(key, None)
        if key in old["metadata"]:
            metadata[key] = old["metadata"][key]
    found = {**given, "metadata": metadata}
    if "status" in resource.subresources:
        found.pop("status", None)
        if "status" in old:
            found["status"] = old["status"]
    return found


def _noted(found: Object, given: Object) -> Object:
    metadata = _less(found["metadata"], "annotations")
    if "annotations" in given["metadata"]:
        metadata["annotations"] = given["metadata"]["annotations"]
    return {**found, "metadata": metadata}


def _less(given: Object, key: str) -> Object:
    return {name: value for name, value in given.items() if name != key}


def changed(resource: Resource, old: Object, new: Object) -> bool:
    """Whether what the author wants became another: what ``metadata.generation`` counts."""
    barred = {"metadata", "status"} if resource.own or "status" in resource.subresources else {"metadata"}
    keys = (old.keys() | new.keys()) - barred
    if resource.key == ("apps", "deployments") and old["metadata"].get("annotations") != new["metadata"].get(
        "annotations"
    ):
        return True
    return any(old.get(key) != new.get(key) for key in keys)


def uid() -> str:
    """What no other object ever has."""
    return str(uuid.uuid4())


def password() -> str:
    """A token."""
    return uuid.uuid4().hex
