"""What the watches have told of the cluster, object by object, and which services each object bears on.

Objects are kept as JSON: as text they take a tenth of the memory, and few of them are looked at in one pass.
"""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead_operator.cluster import kinds

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest
    from fairlead_operator.queue import Key

__all__ = ["CONFIG_MAP", "Identity", "World"]

CONFIG_MAP: Final = "inferenceservice-config"
"""The name of the ConfigMaps that configure the operator."""

Identity: TypeAlias = tuple[str, str, str]
"""Kind, namespace (empty where there is none) and name."""

_SERVICE: Final = "InferenceService"
_OF_ALL: Final = frozenset({"ClusterServingRuntime", "ClusterStorageContainer", "CustomResourceDefinition"})
_NOT_KEPT: Final = ("managedFields",)
_OF_VERSIONS: Final = ("managedFields", "resourceVersion")
_TOLD_BY_STATUS: Final = frozenset({"Deployment", "HTTPRoute"})
_REMEMBERED: Final = 10_000
"""How many objects that went away are remembered: as many as may go while one request is answered."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Held:
    uid: str
    version: int
    owner: Key | None
    content: str


class World:
    """The objects that there are.

    Args:
        namespace: the operator's own, whose ConfigMap counts for all.
        touched: called with each service that a change bears on.
        known: the kinds of the operator; None for those that are always known.
    """

    def __init__(self, namespace: str, touched: Callable[[Key], None], known: kinds.Kinds | None = None) -> None:
        self._namespace = namespace
        self._touched = touched
        self._owned = frozenset(each.name for each in (known or kinds.Kinds()).labelled)
        self._held: dict[Identity, _Held] = {}
        self._by_kind: dict[str, dict[tuple[str, str], None]] = {}
        self._children: dict[Key, dict[Identity, None]] = {}
        self._parsed: dict[str, tuple[Manifest, ...]] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()

    # -- changes ------------------------------------------------------------------------------------

    def put(self, manifest: Mapping[str, Any], *, quiet: bool = False) -> bool:
        """Take an object as it is now; returns whether that is news.

        Args:
            manifest: the object.
            quiet: whether nobody is told, because whoever put it there knows.
        """
        identity = _identity(manifest)
        metadata = manifest["metadata"]
        version = _number(metadata.get("resourceVersion"))
        before = self._held.get(identity)
        uid = str(metadata.get("uid", ""))
        if before is not None and before.uid == uid and version <= before.version:
            return False
        if version <= self._gone.get(uid, -1):
            return False  # an answer, or a list, that is older than the word of its end
        owner = self._owner(manifest)
        if before is not None and before.owner != owner:
            self._unlink(identity, before)
        self._held[identity] = _Held(uid, version, owner, _text(manifest))
        self._by_kind.setdefault(identity[0], {})[identity[1:]] = None
        if owner is not None:
            self._children.setdefault(owner, {})[identity] = None
        if not quiet:
            self._tell(identity, owner)
        return True

    def wrote(self, manifest: Mapping[str, Any]) -> bool:
        """Take what the API server made of something that was written; returns whether that is news.

        Whoever wrote it knows of that. What others have changed just before is in it as well, and no watch tells of it
        any more: its word comes later, and is older.
        """
        before = self.get(*_identity(manifest))
        return self.put(manifest, quiet=_of_others(manifest) == _of_others(before or {}))

    def drop(self, manifest: Mapping[str, Any]) -> bool:
        """Take note that an object is gone; returns whether that is news."""
        identity = _identity(manifest)
        metadata = manifest["metadata"]
        uid = str(metadata.get("uid", ""))
        self._bury(uid, _number(metadata.get("resourceVersion")))
        before = self._held.get(identity)
        if before is None or before.uid != uid:
            return False
        self._remove(identity, before)
        return True

    def replace(self, kind: str, manifests: Iterable[Mapping[str, Any]], version: str) -> None:
        """Take all objects of a kind from a list of them.

        Args:
            kind: the kind.
            manifests: the objects.
            version: the version of the list: objects that are newer were made after it.
        """
        found = set()
        for each in manifests:
            found.add(_identity(each))
            self.put(each)
        newest = _number(version)
        for identity in [(kind, *each) for each in self._by_kind.get(kind, {})]:
            before = self._held[identity]
            if identity not in found and before.version <= newest:
                self._bury(before.uid, before.version)
                self._remove(identity, before)

    # -- questions ----------------------------------------------------------------------------------

    def services(self) -> list[Key]:
        """All InferenceServices."""
        return list(self._by_kind.get(_SERVICE, ()))

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """An object as it is known; None where there is none."""
        held = self._held.get((kind, namespace, name))
        return None if held is None else _read(kind, held)

    def service(self, key: Key) -> Manifest | None:
        """An InferenceService; None where there is none."""
        return self.get(_SERVICE, *key)

    def children(self, key: Key) -> dict[tuple[str, str], Manifest]:
        """What belongs to a service, without its pods, by kind and name."""
        return {
            (identity[0], identity[2]): _read(identity[0], self._held[identity])
            for identity in self._children.get(key, ())
            if identity[0] != kinds.POD.name
        }

    def pods(self, key: Key) -> list[Manifest]:
        """The pods of a service."""
        owned = self._children.get(key, ())
        return [_read(each[0], self._held[each]) for each in owned if each[0] == kinds.POD.name]

    def every(self, kind: str) -> tuple[Manifest, ...]:
        """All objects of a kind that few of exist: they are read once, until one of them changes."""
        known = self._parsed.get(kind)
        if known is None:
            known = tuple(_read(kind, self._held[kind, *each]) for each in self._by_kind.get(kind, ()))
            self._parsed[kind] = known
        return known

    def settings(self, namespace: str) -> tuple[dict[str, str] | None, dict[str, str] | None]:
        """What the ConfigMaps of the cluster and of a namespace say; None where there is none."""
        whole, own = (self.get("ConfigMap", each, CONFIG_MAP) for each in (self._namespace, namespace))
        if namespace == self._namespace:
            own = None
        return _data(whole), _data(own)

    def apis(self) -> frozenset[str]:
        """The kinds that definitions add to Kubernetes' own, as ``group/Kind``."""
        found = set()
        for each in self.every("CustomResourceDefinition"):
            spec = each.get("spec") or {}
            found.add(f"{spec.get('group')}/{(spec.get('names') or {}).get('kind')}")
        return frozenset(found)

    # -- within -------------------------------------------------------------------------------------

    def _remove(self, identity: Identity, held: _Held) -> None:
        del self._held[identity]
        self._by_kind[identity[0]].pop(identity[1:], None)
        self._unlink(identity, held)
        self._tell(identity, held.owner)

    def _owner(self, manifest: Mapping[str, Any]) -> Key | None:
        if manifest["kind"] not in self._owned:
            return None
        metadata = manifest["metadata"]
        name = (metadata.get("labels") or {}).get(kinds.SELECTOR)
        return None if not name else (metadata.get("namespace") or "", name)

    def _bury(self, uid: str, version: int) -> None:
        """Remember that an object was gone at a version; it may come back when its label does."""
        if not uid:
            return
        self._gone[uid] = max(version, self._gone.pop(uid, 0))
        if len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)

    def _unlink(self, identity: Identity, held: _Held) -> None:
        if held.owner is None:
            return
        owned = self._children.get(held.owner, {})
        owned.pop(identity, None)
        if not owned:
            self._children.pop(held.owner, None)

    def _tell(self, identity: Identity, owner: Key | None) -> None:
        kind, namespace, name = identity
        self._parsed.pop(kind, None)
        if kind == _SERVICE:
            self._touched((namespace, name))
        elif kind in self._owned:
            if owner is not None:
                self._touched(owner)
        elif kind in _OF_ALL or (kind == "ConfigMap" and namespace == self._namespace):
            for each in self.services():
                self._touched(each)
        else:  # a ServingRuntime, or the ConfigMap of a namespace
            for each in self.services():
                if each[0] == namespace:
                    self._touched(each)


def _identity(manifest: Mapping[str, Any]) -> Identity:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace") or "", metadata["name"]


def _of_others(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What of an object others write than this operator, as far as it is looked at."""
    metadata = manifest.get("metadata") or {}
    if manifest.get("kind") == _SERVICE:
        kept = {key: value for key, value in metadata.items() if key not in _OF_VERSIONS}
        return {"metadata": kept, "spec": manifest.get("spec")}
    found = {"end": metadata.get("deletionTimestamp")}
    return {**found, "status": manifest.get("status") or {}} if manifest.get("kind") in _TOLD_BY_STATUS else found


def _number(version: object) -> int:
    return int(version) if isinstance(version, str) and version.isdigit() else 0


def _text(manifest: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in manifest["metadata"].items() if key not in _NOT_KEPT}
    whole: dict[str, Any] = {**manifest, "metadata": kept}
    if manifest["kind"] == "CustomResourceDefinition":  # schemas are large, and only names are asked for
        spec = manifest.get("spec") or {}
        whole["spec"] = {"group": spec.get("group"), "names": spec.get("names")}
        whole.pop("status", None)
    return json.dumps(whole, separators=(",", ":"))


def _read(kind: str, held: _Held) -> Manifest:
    found: Manifest = json.loads(held.content)
    found["kind"] = kind
    return found


def _data(manifest: Manifest | None) -> dict[str, str] | None:
    return None if manifest is None else dict(manifest.get("data") or {})
