"""The HTTP face: addresses, answers and streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web
from multidict import CIMultiDict

from fairlead_apiserver.failures import Failure
from fairlead_apiserver.reading import Reader, shown
from fairlead_apiserver.requests import Record, Request, User

if TYPE_CHECKING:
    from fairlead_apiserver.access import Access
    from fairlead_apiserver.faults import Faults
    from fairlead_apiserver.resources import Registry
    from fairlead_apiserver.store import Store
    from fairlead_apiserver.writing import Writer

__all__ = ["Face"]

_MOST: Final = 3 * 1024 * 1024
_VERSION: Final = {
    "major": "1", "minor": "34", "gitVersion": "v1.34.0", "gitCommit": "", "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "memory",
}  # fmt: skip
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Face:
    """Answers requests.

    Args:
        registry: The kinds.
        store: The objects.
        reader: Who reads.
        writer: Who writes.
        access: Who may do what.
        faults: What is to go wrong.
        record: Told of every request that was answered.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        reader: Reader,
        writer: Writer,
        access: Access,
        faults: Faults,
        record: Callable[[Record], None],
    ) -> None:
        self._registry = registry
        self._store = store
        self._reader = reader
        self._writer = writer
        self._access = access
        self._faults = faults
        self._record = record

    def application(self) -> web.Application:
        """What an HTTP server runs."""
        application = web.Application(client_max_size=_MOST)
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    async def _answer(self, http: web.Request) -> web.StreamResponse:
        if http.path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        try:
            user = self._access.user(http.headers)
            parts = [each for each in http.path.split("/") if each]
            special = self._special(parts)
            if special is not None:
                return _json(special)
            request = self._read(http, parts, user)
        except Failure as failure:
            return _failed(failure)
        try:
            request.body = await http.read()
        except web.HTTPRequestEntityTooLarge:
            text = f"Request entity too large: limit is {_MOST}"
            return _failed(Failure(413, "RequestEntityTooLarge", text))
        try:
            await self._faults.meet(request, http.transport)
            self._access.check(request)
            if request.verb == "watch":
                return await self._streamed(http, request)
            code, answer = await self._done(request)
        except Failure as failure:
            self._note(request, failure.code)
            return _failed(failure, request)
        self._note(request, code)
        return _json(answer, code, request)

    def _note(self, request: Request, code: int) -> None:
        resource = request.resource
        self._record(
            Record(
                request.user.name, request.verb, resource.group, resource.plural, request.subresource,
                request.namespace, request.name, code, request.agent,
            )
        )  # fmt: skip

    def _special(self, parts: list[str]) -> Any:
        """Discovery and what else is no object."""
        if parts == ["version"]:
            return _VERSION
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        if parts == ["apis"]:
            return self._registry.groups()
        if len(parts) == 2 and parts[0] == "apis":
            return self._registry.group(parts[1]) or _absent()
        if parts == ["api", "v1"]:
            return self._registry.version("", "v1")
        if len(parts) == 3 and parts[0] == "apis":
            return self._registry.version(parts[1], parts[2]) or _absent()
        return None

    def _read(self, http: web.Request, parts: list[str], user: User) -> Request:
        group, version, rest = "", "", parts
        if parts[:1] == ["api"]:
            version, rest = "".join(parts[1:2]), parts[2:]
        elif parts[:1] == ["apis"] and len(parts) > 2:
            group, version, rest = parts[1], parts[2], parts[3:]
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        resource = self._registry.find(group, version, rest[0]) if rest else None
        if resource is None or len(rest) > 3 or (namespace and not resource.namespaced):
            raise Failure.no_such_path()
        request = Request(user, "", resource, namespace, "".join(rest[1:2]), "".join(rest[2:3]))
        if request.subresource and request.subresource not in resource.subresources:
            raise Failure.no_such_path()
        request.query = http.query
        request.content_type = http.headers.get("Content-Type", "application/json")
        request.agent = http.headers.get("User-Agent", "")
        request.verb = _verb(http.method, request)
        return request

    async def _done(self, request: Request) -> tuple[int, Any]:
        verb, resource = request.verb, request.resource
        if verb == "get":
            return 200, self._reader.get(request)
        if verb == "list":
            return 200, self._reader.page(request)
        if verb == "create":
            return 201, shown(resource, await self._writer.create(request))
        if verb == "update":
            return 200, self._shown(request, await self._writer.update(request))
        if verb == "patch":
            given, new = await self._writer.patch(request)
            return 201 if new else 200, self._shown(request, given)
        if verb == "delete":
            return 200, await self._writer.delete(request)
        return 200, await self._collection(request)

    def _shown(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        if request.subresource == "scale":
            from fairlead_apiserver import scaling

            return scaling.read(request.resource, given)
        return shown(request.resource, given)

    async def _collection(self, request: Request) -> Any:
        listed = self._reader.page(request)
        for each in listed["items"]:
            metadata = each["metadata"]
            one = Request(
                request.user, "delete", request.resource, metadata.get("namespace", ""), metadata["name"],
                query=request.query, body=request.body, content_type=request.content_type,
            )  # fmt: skip
            with contextlib.suppress(Failure):
                await self._writer.delete(one)
        return listed

    async def _streamed(self, http: web.Request, request: Request) -> web.StreamResponse:
        events = self._reader.watch(request)
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        first = asyncio.ensure_future(anext(events, None))
        try:
            await asyncio.sleep(0)
            if first.done() and (error := first.exception()) is not None:
                raise error
            await answer.prepare(http)
            self._note(request, 200)
            await self._sent(answer, first, events)
        except ConnectionError:
            pass  # The client left while an event was written.
        finally:
            if not first.done():
                first.cancel()
                await asyncio.wait([first])
            await events.aclose()
        return answer

    @staticmethod
    async def _sent(
        answer: web.StreamResponse, first: asyncio.Future[Any], events: AsyncIterator[dict[str, Any]]
    ) -> None:
        event = await first
        while event is not None:
            await answer.write(orjson.dumps(event) + b"\n")
            event = await anext(events, None)
        await answer.write_eof()


def _verb(method: str, request: Request) -> str:
    watched = request.query.get("watch") in ("true", "1")
    if method == "GET":
        if watched and not request.subresource:
            return "watch"
        return "get" if request.name else "list"
    if method == "DELETE" and not request.name:
        return "deletecollection"
    if method not in _VERBS or (method == "POST") == bool(request.name):
        raise Failure.method_not_allowed()
    if method == "POST" and request.resource.namespaced and not request.namespace:
        raise Failure.method_not_allowed()
    return _VERBS[method]


def _absent() -> Any:
    raise Failure.no_such_path()


def _json(answer: Any, code: int = 200, request: Request | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(answer), status=code, headers=_headers(request))


def _failed(failure: Failure, request: Request | None = None) -> web.Response:
    headers = _headers(request)
    headers.update(failure.headers)
    return web.Response(body=orjson.dumps(failure.status()), status=failure.code, headers=headers)


def _headers(request: Request | None) -> Any:

    headers = CIMultiDict({"Content-Type": "application/json"})
    for text in request.warnings if request is not None else ():
        headers.add("Warning", f"299 - {json.dumps(' '.join(text.split()))}")
    return headers
