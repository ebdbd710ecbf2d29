"""Webhooks: who has a word in what is written, called as an API server calls them."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import ssl
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from fairlead_apiserver import patches, selectors
from fairlead_apiserver.failures import Failure

if TYPE_CHECKING:
    from fairlead_apiserver.requests import Request
    from fairlead_apiserver.resources import Key
    from fairlead_apiserver.store import Object, Store

__all__ = ["Webhooks"]

_GROUP: Final = "admissionregistration.k8s.io"
_MUTATING: Final[Key] = (_GROUP, "mutatingwebhookconfigurations")
_VALIDATING: Final[Key] = (_GROUP, "validatingwebhookconfigurations")


class Webhooks:
    """Calls the webhooks that configurations in the store name.

    Args:
        store: Where the configurations and the namespaces are.
        services: Addresses of webhooks that are named by a Service, by ``namespace/name``: no network finds them.
    """

    def __init__(self, store: Store, services: Mapping[str, str]) -> None:
        self._store = store
        self._services = services
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def close(self) -> None:
        """Leave the connections."""
        if self._session is not None:
            await self._session.close()

    async def mutated(self, request: Request, operation: str, given: Object, old: Object | None) -> Object:
        """The object as the mutating webhooks leave it.

        Raises:
            Failure: One denies it, or cannot be asked and must be.
        """
        for hook in self._meant(_MUTATING, request, operation, given, old):
            answer = await self._asked(hook, request, operation, given, old)
            if answer.get("patch"):
                operations = json.loads(base64.b64decode(answer["patch"]))
                if operations:
                    given = patches.json_patch(given, operations)
        return given

    async def validated(self, request: Request, operation: str, given: Object | None, old: Object | None) -> None:
        """Ask the validating webhooks.

        Raises:
            Failure: One denies it, or cannot be asked and must be.
        """
        hooks = list(self._meant(_VALIDATING, request, operation, given, old))
        if hooks:
            await asyncio.gather(*(self._asked(hook, request, operation, given, old) for hook in hooks))

    def _meant(
        self, key: Key, request: Request, operation: str, given: Object | None, old: Object | None
    ) -> Iterator[dict[str, Any]]:
        if request.resource.group == _GROUP:
            return
        for configuration in self._store.all(key):
            for hook in configuration.get("webhooks", ()):
                ruled = any(_ruled(rule, request, operation) for rule in hook.get("rules", ()))
                if ruled and self._selected(hook, request, given, old):
                    yield hook

    def _selected(self, hook: Mapping[str, Any], request: Request, given: Object | None, old: Object | None) -> bool:
        space: Object | None = None
        if request.resource.key == ("", "namespaces"):
            space = given or old
        elif request.resource.namespaced:
            space = self._store.get(("", "namespaces"), ("", request.namespace))
        if space is not None and not _wanted(hook.get("namespaceSelector", {}), space):
            return False
        return any(_wanted(hook.get("objectSelector", {}), each) for each in (given, old) if each is not None)

    async def _asked(
        self, hook: Mapping[str, Any], request: Request, operation: str, given: Object | None, old: Object | None
    ) -> dict[str, Any]:
        name = hook["name"]
        question = _question(request, operation, given, old)
        try:
            answer = await self._called(hook, request, question)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, ssl.SSLError) as error:
            if hook.get("failurePolicy") == "Ignore":
                return {}
            why = str(error) or type(error).__name__
            text = f'Internal error occurred: failed calling webhook "{name}": failed to call webhook: {why}'
            raise Failure(500, "InternalError", text, {"causes": [{"message": text.partition(": ")[2]}]}) from error
        request.warnings.extend(answer.get("warnings") or ())
        if not answer.get("allowed"):
            raise _denied(name, answer.get("status") or {})
        return answer

    async def _called(self, hook: Mapping[str, Any], request: Request, question: dict[str, Any]) -> dict[str, Any]:
        client = hook["clientConfig"]
        url = client.get("url") or self._address(client["service"])
        if self._session is None:
            self._session = aiohttp.ClientSession()
        timeout = aiohttp.ClientTimeout(total=hook.get("timeoutSeconds", 10))
        context = self._context(client.get("caBundle", "")) if url.startswith("https") else True
        post = functools.partial(self._session.post, url, json=question, timeout=timeout, ssl=context)
        try:
            data = await _read(post)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            data = await _read(post)  # A connection that was kept may have been left by the webhook meanwhile.
        found: dict[str, Any] = data["response"]
        if found["uid"] != question["request"]["uid"]:
            raise ValueError(f"expected response.uid={question['request']['uid']}, got {found['uid']}")
        return found

    def _address(self, service: Mapping[str, Any]) -> str:
        where = f"{service['namespace']}/{service['name']}"
        if where not in self._services:
            raise ValueError(f'service "{service["name"]}" not found')
        return self._services[where].rstrip("/") + (service.get("path") or "/")

    def _context(self, bundle: str) -> ssl.SSLContext:
        if bundle not in self._contexts:
            data = base64.b64decode(bundle).decode() if bundle else None
            self._contexts[bundle] = ssl.create_default_context(cadata=data)
        return self._contexts[bundle]


async def _read(post: Callable[[], Any]) -> dict[str, Any]:
    async with post() as answer:
        if answer.status != 200:
            raise ValueError(f"an error on the server ({answer.status}) has prevented the request from succeeding")
        found: dict[str, Any] = await answer.json()
        return found


def _ruled(rule: Mapping[str, Any], request: Request, operation: str) -> bool:
    resource = request.resource
    scope = rule.get("scope", "*")
    if scope != "*" and (scope == "Namespaced") != resource.namespaced:
        return False
    full = f"{resource.plural}/{request.subresource}" if request.subresource else resource.plural
    meant = {full, "*/*", f"{resource.plural}/*", f"*/{request.subresource}" if request.subresource else "*"}
    return (
        not {operation, "*"}.isdisjoint(rule.get("operations", ()))
        and not {resource.group, "*"}.isdisjoint(rule.get("apiGroups", ()))
        and not {resource.version, "*"}.isdisjoint(rule.get("apiVersions", ()))
        and not meant.isdisjoint(rule.get("resources", ()))
    )


def _wanted(selector: Mapping[str, Any], given: Object) -> bool:
    return selectors.labels_match(selector, given["metadata"].get("labels", {}))


def _question(request: Request, operation: str, given: Object | None, old: Object | None) -> dict[str, Any]:
    resource = request.resource
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    what = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    metadata = (given or old or {})["metadata"]
    asked: dict[str, Any] = {"uid": str(uuid.uuid4()), "kind": kind, "resource": what, "requestKind": kind}
    asked |= {"requestResource": what, "name": request.name or metadata.get("name", ""), "operation": operation}
    if resource.namespaced:
        asked["namespace"] = request.namespace
    if request.subresource:
        asked |= {"subResource": request.subresource, "requestSubResource": request.subresource}
    asked |= {"userInfo": {"username": request.user.name, "groups": list(request.user.groups)}}
    asked |= {"object": given, "oldObject": old, "dryRun": request.dry, "options": None}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": asked}


def _denied(name: str, status: Mapping[str, Any]) -> Failure:
    why = status.get("message") or status.get("reason")
    text = f'admission webhook "{name}" denied the request' + (f": {why}" if why else " without explanation")
    code = max(status.get("code") or 0, 400)
    return Failure(code, status.get("reason") or "", text, dict(status.get("details") or {}))
