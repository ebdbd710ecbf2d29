"""What happens by itself: garbage is collected, namespaces are emptied, definitions of kinds are served."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from fairlead_apiserver import preparing

if TYPE_CHECKING:
    from fairlead_apiserver.resources import Key, Registry
    from fairlead_apiserver.store import Change, Name, Object, Store

__all__ = ["Controllers"]

_NAMESPACES: Final[Key] = ("", "namespaces")
_DEFINITIONS: Final[Key] = ("apiextensions.k8s.io", "customresourcedefinitions")
_FOREGROUND: Final = "foregroundDeletion"


class Controllers:
    """Follows the store and tidies it.

    Args:
        store: What is followed.
        registry: Where new kinds are served from.
    """

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._waiting: deque[tuple[Key, Change]] = deque()
        self._due = False
        store.listeners.append(self._heard)

    def _heard(self, key: Key, change: Change) -> None:
        if key == _DEFINITIONS:
            self._definition(change)
        self._waiting.append((key, change))
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        self._due = False
        while self._waiting:
            key, change = self._waiting.popleft()
            self._followed(key, change)

    def _followed(self, key: Key, change: Change) -> None:
        metadata = change.object["metadata"]
        name = metadata.get("namespace", ""), metadata["name"]
        if change.type == "DELETED":
            for dependent in self._store.owned(metadata["uid"]):
                self._orphaned(*dependent)
            for reference in metadata.get("ownerReferences", ()):
                owner = self._store.of_uid(reference["uid"])
                if owner is not None:
                    self._leaving(*owner)
            if name[0]:
                self._emptied(name[0])
            return
        if key == _NAMESPACES:
            self._namespace(change, name[1])
        if metadata.get("ownerReferences"):
            self._orphaned(key, name)
        if "deletionTimestamp" in metadata:
            self._leaving(key, name)

    # Owners.

    def _orphaned(self, key: Key, name: Name) -> None:
        """Delete an object all of whose owners are gone; take those that are gone from one that has others."""
        given = self._store.get(key, name)
        if given is None:
            return
        owners = given["metadata"].get("ownerReferences", [])
        left = [each for each in owners if self._present(each, name[0])]
        if owners and not left:
            self.delete(key, name)
        elif len(left) < len(owners):
            self._store.put(key, name, {**given, "metadata": {**given["metadata"], "ownerReferences": left}})
        for each in left:
            owner = self._store.of_uid(each["uid"])
            if owner is not None:
                self._leaving(*owner)

    def _present(self, owner: dict[str, Any], namespace: str) -> bool:
        found = self._store.of_uid(owner["uid"])
        return found is not None and found[1] in ((namespace, owner["name"]), ("", owner["name"]))

    def _leaving(self, key: Key, name: Name) -> None:
        """Let an object go that waits for what depends on it."""
        given = self._store.get(key, name)
        if given is None or "deletionTimestamp" not in given["metadata"]:
            return
        uid, finalizers = given["metadata"]["uid"], given["metadata"].get("finalizers", ())
        if "orphan" in finalizers:
            for dependent in self._store.owned(uid):
                self._released(*dependent, uid)
            self._finalized(key, name, "orphan")
        elif _FOREGROUND in finalizers:
            blocking = False
            for dependent in self._store.owned(uid):
                blocking = self._blocked(*dependent, uid) or blocking
            if not blocking:
                self._finalized(key, name, _FOREGROUND)

    def _blocked(self, key: Key, name: Name, uid: str) -> bool:
        """Delete a dependent; the answer is whether its owner has to wait for it."""
        given = self._store.get(key, name)
        if given is None:
            return False
        references = given["metadata"]["ownerReferences"]
        if all(each["uid"] == uid for each in references) and "deletionTimestamp" not in given["metadata"]:
            self.delete(key, name)
        still = self._store.get(key, name) is not None
        return still and any(each["uid"] == uid and each.get("blockOwnerDeletion") for each in references)

    def _released(self, key: Key, name: Name, uid: str) -> None:
        given = self._store.get(key, name)
        if given is not None:
            metadata = dict(given["metadata"])
            metadata["ownerReferences"] = [each for each in metadata["ownerReferences"] if each["uid"] != uid]
            if not metadata["ownerReferences"]:
                del metadata["ownerReferences"]
            self._store.put(key, name, {**given, "metadata": metadata})

    def _finalized(self, key: Key, name: Name, finalizer: str) -> None:
        given = self._store.get(key, name)
        if given is None:
            return
        metadata = dict(given["metadata"])
        metadata["finalizers"] = [each for each in metadata["finalizers"] if each != finalizer]
        if metadata["finalizers"]:
            self._store.put(key, name, {**given, "metadata": metadata})
        else:
            self._store.remove(key, name)

    def delete(self, key: Key, name: Name) -> None:
        """Delete an object, or say that it is to go where it has finalizers."""
        given = self._store.get(key, name)
        if given is None:
            return
        if not given["metadata"].get("finalizers"):
            self._store.remove(key, name)
        elif "deletionTimestamp" not in given["metadata"]:
            metadata = {**given["metadata"], "deletionTimestamp": preparing.now(), "deletionGracePeriodSeconds": 0}
            if "generation" in metadata:
                metadata["generation"] += 1
            self._store.put(key, name, {**given, "metadata": metadata})

    # Namespaces.

    def _namespace(self, change: Change, namespace: str) -> None:
        if "deletionTimestamp" in change.object["metadata"]:
            for key, name in list(self._store.inside(namespace)):
                self.delete(key, name)
            self._emptied(namespace)
        elif change.type == "ADDED":
            self._made("v1", "ServiceAccount", ("", "serviceaccounts"), namespace, "default", {})
            data = {"ca.crt": ""}
            self._made("v1", "ConfigMap", ("", "configmaps"), namespace, "kube-root-ca.crt", {"data": data})

    def _made(self, version: str, kind: str, key: Key, namespace: str, name: str, rest: Object) -> None:
        if self._store.get(key, (namespace, name)) is None:
            metadata = {
                "name": name,
                "namespace": namespace,
                "uid": preparing.uid(),
                "creationTimestamp": preparing.now(),
            }
            self._store.put(key, (namespace, name), {"apiVersion": version, "kind": kind, "metadata": metadata, **rest})

    def _emptied(self, namespace: str) -> None:
        """Let a namespace go that is to go, once nothing lies in it."""
        given = self._store.get(_NAMESPACES, ("", namespace))
        if given is None or "deletionTimestamp" not in given["metadata"]:
            return
        if next(self._store.inside(namespace), None) is None:
            self._store.remove(_NAMESPACES, ("", namespace))

    # Definitions.

    def _definition(self, change: Change) -> None:
        given = change.object
        key = given["spec"]["group"], given["spec"]["names"]["plural"]
        if change.type == "DELETED":
            self._registry.uninstall(given)
            for each in self._store.all(key):
                self._store.remove(key, (each["metadata"].get("namespace", ""), each["metadata"]["name"]))
            self._store.forget(key)
            return
        if change.type == "ADDED":
            name = "", given["metadata"]["name"]
            self._store.put(_DEFINITIONS, name, {**given, "status": _accepted(given)})
        elif change.before is None or change.before["spec"] != given["spec"] or "status" not in change.before:
            self._registry.install(given)


def _accepted(given: Object) -> Object:
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": preparing.now()}
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    stored = [each["name"] for each in given["spec"]["versions"] if each["storage"]]
    return {"conditions": conditions, "acceptedNames": given["spec"]["names"], "storedVersions": stored}
