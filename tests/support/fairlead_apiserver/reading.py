"""Getting, listing and watching."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final

from fairlead_apiserver import scaling, selectors
from fairlead_apiserver.failures import Failure

if TYPE_CHECKING:
    from fairlead_apiserver.requests import Request
    from fairlead_apiserver.resources import Resource
    from fairlead_apiserver.selectors import Selector
    from fairlead_apiserver.store import Change, Object, Store

__all__ = ["Reader"]

_GONE: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter."
)


class Reader:
    """Everything that is read.

    Args:
        store: Where objects are.
        bookmarks: The seconds between bookmarks.
    """

    def __init__(self, store: Store, bookmarks: float) -> None:
        self._store = store
        self._bookmarks = bookmarks
        self._snapshots = itertools.count(1)

    def get(self, request: Request) -> Object:
        """One object."""
        resource = request.resource
        found = self._store.get(resource.key, request.where)
        if found is None:
            raise Failure.not_found(resource.group, resource.plural, request.name)
        return scaling.read(resource, found) if request.subresource == "scale" else shown(resource, found)

    def page(self, request: Request) -> dict[str, Any]:
        """The objects of a kind, or a page of them."""
        resource, query = request.resource, request.query
        metadata: dict[str, Any] = {}
        if token := query.get("continue"):
            version, found = self._continued(token)
        else:
            version, found = self._listed(request)
        limit = int(query.get("limit") or 0)
        if limit and len(found) > limit:
            name = base64.b64encode(
                json.dumps({"v": "meta.k8s.io/v1", "rv": version, "at": next(self._snapshots)}).encode()
            )
            metadata["continue"] = name.decode()
            self._store.snapshots[name.decode()] = version, found[limit:]
            if not (query.get("labelSelector") or query.get("fieldSelector")):
                metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        items = [shown(resource, each) for each in found]
        if resource.own:
            items = [{key: value for key, value in each.items() if key not in ("kind", "apiVersion")} for each in items]
        kind = resource.list_kind or f"{resource.kind}List"
        head = {"kind": kind, "apiVersion": resource.api_version}
        return head | {"metadata": {"resourceVersion": str(version), **metadata}, "items": items}

    def _listed(self, request: Request) -> tuple[int, list[Object]]:
        wanted = _number(request.query.get("resourceVersion", ""))
        exact = request.query.get("resourceVersionMatch") == "Exact"
        if exact and wanted and wanted < self._store.compacted:
            raise Failure.expired(f"The provided resource version is too old: {wanted}")
        selector = _selector(request)
        found = self._store.all(request.resource.key, request.namespace)
        return self._store.version, [each for each in found if selector.matches(each)]

    def _continued(self, token: str) -> tuple[int, list[Object]]:
        if token in self._store.snapshots:
            return self._store.snapshots[token]
        try:
            json.loads(base64.b64decode(token, validate=True))
        except ValueError as error:
            raise Failure.bad_request(f"continue key is not valid: {error}") from error
        raise Failure.expired(_GONE)

    async def watch(self, request: Request) -> AsyncGenerator[dict[str, Any]]:
        """The changes of a kind, without an end but for a timeout or a cut."""
        resource, query, key = request.resource, request.query, request.resource.key
        selector = _selector(request)
        since = _number(query.get("resourceVersion", ""))
        initial = query.get("sendInitialEvents") == "true"
        first = [] if since and not initial else self._store.all(key, request.namespace)
        version = self._store.version
        try:
            watcher = self._store.watch(key, since if since and not initial else None)
        except Failure as gone:
            yield {"type": "ERROR", "object": gone.status()}
            return
        bookmarks = query.get("allowWatchBookmarks") == "true"
        try:
            for each in first:
                if selector.matches(each):
                    yield {"type": "ADDED", "object": shown(resource, each)}
            if initial and bookmarks:
                yield _bookmark(resource, version, {"k8s.io/initial-events-end": "true"})
            async for change in self._changes(request, watcher.changes, bookmarks=bookmarks):
                if isinstance(change, int):
                    yield _bookmark(resource, change)
                elif event := _event(request, selector, change):
                    yield event
        finally:
            self._store.unwatch(key, watcher)

    async def _changes(
        self, request: Request, queue: asyncio.Queue[Change | None], *, bookmarks: bool
    ) -> AsyncGenerator[Change | int]:
        """What comes, with a number where a bookmark of that version is due."""
        clock = asyncio.get_running_loop().time
        timeout = float(request.query.get("timeoutSeconds") or random.uniform(1800, 3600))
        ends, marks = clock() + timeout, clock() + self._bookmarks
        while True:
            due = min(ends, marks) if bookmarks else ends
            try:
                async with asyncio.timeout_at(due):
                    change = await queue.get()
            except TimeoutError:
                if bookmarks and queue.empty():
                    yield self._store.version
                if clock() >= ends:
                    return
                marks = clock() + self._bookmarks
                continue
            if change is None:
                return
            yield change


def shown(resource: Resource, given: Object) -> Object:
    """The object in the version that is asked for."""
    if given.get("apiVersion") == resource.api_version:
        return given
    return {**given, "apiVersion": resource.api_version}


def _event(request: Request, selector: Selector, change: Change) -> dict[str, Any] | None:
    metadata = change.object["metadata"]
    if request.namespace and metadata.get("namespace") != request.namespace:
        return None
    was = change.before is not None and selector.matches(change.before)
    now = change.type != "DELETED" and selector.matches(change.object)
    if not was and not now:
        return None
    kind = "MODIFIED" if was and now else "ADDED" if now else "DELETED"
    found = change.object
    if kind == "DELETED" and change.type != "DELETED" and change.before is not None:
        # The last form that was selected, with the version of the change that took it out.
        last = {**change.before["metadata"], "resourceVersion": metadata["resourceVersion"]}
        found = {**change.before, "metadata": last}
    return {"type": kind, "object": shown(request.resource, found)}


def _bookmark(resource: Resource, version: int, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    metadata |= {"annotations": annotations} if annotations else {}
    empty = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return {"type": "BOOKMARK", "object": empty}


def _selector(request: Request) -> Selector:
    query, resource = request.query, request.resource
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if request.name:
        fields = f"metadata.name={request.name}"
    return selectors.parse(labels, fields, resource.plural, own=resource.own)


def _number(text: str) -> int:
    try:
        return int(text or 0)
    except ValueError as error:
        raise Failure.bad_request(f"invalid resource version: {text!r}") from error
