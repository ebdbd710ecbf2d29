"""The objects, their versions and those who watch them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from fairlead_apiserver.failures import Failure

if TYPE_CHECKING:
    from fairlead_apiserver.resources import Key

__all__ = ["Change", "Name", "Object", "Store", "Watcher"]

Object = dict[str, Any]
"""An object as JSON. What is in the store is never changed in place."""

Name = tuple[str, str]
"""Namespace and name; the namespace of objects that lie in none is empty."""

_KEPT: Final = 20_000


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """Something that became of an object."""

    version: int
    type: str
    object: Object
    before: Object | None


class Watcher:
    """Somebody who waits for changes of one kind."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[Change | None] = asyncio.Queue()

    def drop(self) -> None:
        """Tell the watcher that its connection is cut."""
        self.changes.put_nowait(None)


class Store:
    """All objects of the server, with the one counter that numbers their versions."""

    def __init__(self) -> None:
        self.version = 1
        self.compacted = 0
        self.snapshots: dict[str, tuple[int, list[Object]]] = {}
        self.listeners: list[Callable[[Key, Change], None]] = []
        self._objects: dict[Key, dict[Name, Object]] = defaultdict(dict)
        self._history: dict[Key, deque[Change]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._watchers: dict[Key, set[Watcher]] = defaultdict(set)
        self._owned: dict[str, set[tuple[Key, Name]]] = defaultdict(set)
        self._uids: dict[str, tuple[Key, Name]] = {}

    def get(self, key: Key, name: Name) -> Object | None:
        """One object, if it is there."""
        return self._objects[key].get(name)

    def all(self, key: Key, namespace: str = "") -> list[Object]:
        """The objects of a kind, in the order of their names."""
        found = self._objects[key]
        return [found[name] for name in sorted(found) if not namespace or name[0] == namespace]

    def of_uid(self, uid: str) -> tuple[Key, Name] | None:
        """Where the object of a uid is."""
        return self._uids.get(uid)

    def owned(self, uid: str) -> list[tuple[Key, Name]]:
        """Where the objects are that name an owner."""
        return sorted(self._owned.get(uid, ()))

    def inside(self, namespace: str) -> Iterator[tuple[Key, Name]]:
        """Where everything is that lies in a namespace."""
        for key, objects in list(self._objects.items()):
            yield from ((key, name) for name in list(objects) if name[0] == namespace)

    def put(self, key: Key, name: Name, given: Object) -> Object:
        """Write an object that has its next version put into it."""
        before = self._objects[key].get(name)
        self.version += 1
        given["metadata"]["resourceVersion"] = str(self.version)
        self._objects[key][name] = given
        self._index(key, name, before, given)
        self._tell(key, Change(self.version, "ADDED" if before is None else "MODIFIED", given, before))
        return given

    def remove(self, key: Key, name: Name) -> Object:
        """Take an object out; the answer is its last form."""
        before = self._objects[key].pop(name)
        self.version += 1
        last = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.version)}}
        self._index(key, name, before, None)
        self._tell(key, Change(self.version, "DELETED", last, before))
        return last

    def forget(self, key: Key) -> None:
        """Cut the watches of a kind that is no longer served."""
        for watcher in list(self._watchers[key]):
            watcher.drop()

    def watch(self, key: Key, since: int | None) -> Watcher:
        """Wait for what comes after a version; None is now.

        Raises:
            Failure: The version lies before what is remembered.
        """
        watcher = Watcher()
        if since is not None:
            history = self._history[key]
            forgotten = len(history) == _KEPT and history[0].version > since + 1
            if since < self.compacted or forgotten:
                raise Failure.expired(f"too old resource version: {since} ({self.compacted or history[0].version})")
            for change in reversed(list(_after(history, since))):
                watcher.changes.put_nowait(change)
        self._watchers[key].add(watcher)
        return watcher

    def unwatch(self, key: Key, watcher: Watcher) -> None:
        """Wait no longer."""
        self._watchers[key].discard(watcher)

    def compact(self) -> None:
        """Forget the past: whoever continues from it is told that it is gone."""
        self.version += 1
        self.compacted = self.version
        self._history.clear()
        self.snapshots.clear()

    def drop_watches(self) -> None:
        """Cut every watch."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.drop()

    def _tell(self, key: Key, change: Change) -> None:
        self._history[key].append(change)
        for watcher in self._watchers[key]:
            watcher.changes.put_nowait(change)
        for listener in self.listeners:
            listener(key, change)

    def _index(self, key: Key, name: Name, before: Object | None, after: Object | None) -> None:
        for owner in _owners(before) - _owners(after):
            self._owned[owner].discard((key, name))
            if not self._owned[owner]:
                del self._owned[owner]
        for owner in _owners(after):
            self._owned[owner].add((key, name))
        if before is not None and after is None:
            self._uids.pop(before["metadata"]["uid"], None)
        elif before is None and after is not None:
            self._uids[after["metadata"]["uid"]] = key, name


def _after(history: deque[Change], since: int) -> Iterator[Change]:
    for change in reversed(history):
        if change.version <= since:
            return
        yield change


def _owners(given: Object | None) -> set[str]:
    return {each["uid"] for each in given["metadata"].get("ownerReferences", ())} if given else set()
