"""Takes over what KServe's controller made for a service: the fields that it holds become those of this operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead import errors
from fairlead_operator.cluster.client import MANAGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.desired.model import Manifest

__all__ = ["adopt", "inherited"]


async def adopt(cluster: Cluster, live: Manifest) -> None:
    """Have this operator hold what the maker of an object holds.

    What is applied leaves alone what others hold: a variable that KServe set would stay for ever, whatever becomes of
    the service. What this operator holds goes as soon as it is not applied any more.

    Args:
        cluster: the API server.
        live: the object; it belongs to a service.

    Raises:
        ClusterError: the API server cannot be asked, or refuses.
    """
    kind, metadata = cluster.kinds.of(live), live["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace")
    found = (await cluster.get(kind, name, namespace))["metadata"]
    fields = inherited(found.get("managedFields") or [])
    if fields is None:
        return
    patch = {"metadata": {"managedFields": fields, "resourceVersion": found["resourceVersion"]}}
    try:
        await cluster.patch(kind, name, namespace, patch)
    except errors.ObjectConflict as error:
        raise errors.ClusterUnavailable(f"{live['kind']} {name} was changed while it was taken over.") from error


def inherited(entries: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The entries of ``managedFields`` with the maker's in the name of this operator; None where it is that already.

    Its maker is who wrote the reference to the owner.
    """
    for index, each in enumerate(entries):
        if each.get("operation") == "Update" and not each.get("subresource") and _owns(each.get("fieldsV1") or {}):
            return [*entries[:index], {**each, "manager": MANAGER, "operation": "Apply"}, *entries[index + 1 :]]
    return None


def _owns(fields: Mapping[str, Any]) -> bool:
    return "f:ownerReferences" in (fields.get("f:metadata") or {})
