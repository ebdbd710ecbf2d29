"""The subresource ``scale``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fairlead_apiserver.failures import Failure

if TYPE_CHECKING:
    from fairlead_apiserver.resources import Resource
    from fairlead_apiserver.store import Object

__all__ = ["read", "written"]


def read(resource: Resource, given: Object) -> Object:
    """The Scale of an object."""
    paths = resource.subresources["scale"]
    metadata = {
        key: given["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    status: dict[str, Any] = {"replicas": _at(given, paths.get("statusReplicasPath", ".status.replicas")) or 0}
    if selector := _selector(resource, given):
        status["selector"] = selector
    replicas = _at(given, paths.get("specReplicasPath", ".spec.replicas"))
    spec = {"replicas": replicas} if replicas else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def written(resource: Resource, given: Object, scale: Any) -> Object:
    """The object with the replicas that a Scale asks for.

    Raises:
        Failure: It is no Scale.
    """
    if not isinstance(scale, Mapping) or scale.get("kind", "Scale") != "Scale":
        raise Failure.bad_request("the object provided is unrecognized (must be of type Scale)")
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    path = resource.subresources["scale"].get("specReplicasPath", ".spec.replicas")
    version = (scale.get("metadata") or {}).get("resourceVersion")
    metadata = {key: value for key, value in given["metadata"].items() if key != "resourceVersion"}
    metadata |= {"resourceVersion": version} if version else {}
    found: Object = _with({**given, "metadata": metadata}, path.strip(".").split("."), replicas)
    return found


def _selector(resource: Resource, given: Object) -> str:
    path = resource.subresources["scale"].get("labelSelectorPath")
    if path:
        return str(_at(given, path) or "")
    labels = ((given.get("spec") or {}).get("selector") or {}).get("matchLabels", {}) if resource.own else {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _at(given: Any, path: str) -> Any:
    for key in path.strip(".").split("."):
        given = given.get(key) if isinstance(given, Mapping) else None
    return given


def _with(given: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    here = dict(given) if isinstance(given, Mapping) else {}
    here[path[0]] = _with(here.get(path[0]), path[1:], value)
    return here
