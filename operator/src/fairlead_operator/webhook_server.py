"""The server that API servers ask about objects: HTTPS, with a certificate that is exchanged while it runs."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web

from fairlead import errors
from fairlead_operator import admission

if TYPE_CHECKING:
    from kopf import WebhookClientConfig, WebhookFn

    from fairlead_operator.certificates import Bundle

__all__ = ["HEALTH", "Certificates", "WebhookServer"]

HEALTH: Final = "/healthz"
"""The path that says whether the server answers."""

_MOST_BYTES: Final = 16 * 1024 * 1024  # an object and what it was before, three MiB each, written more widely
_CHECKED_EVERY: Final = 600.0
_VERSIONS: Final = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
_REFUSED: Final = 422

_log = logging.getLogger(__name__)


class Certificates(Protocol):
    """Where the certificate comes from; see `fairlead_operator.keeping.Keeper`."""

    async def current(self) -> Bundle:
        """The certificate that is to be used now."""
        ...


class WebhookServer:
    """Answers reviews; given to kopf as ``settings.admission.server``.

    Args:
        certificates: where its certificate comes from.
        client: how API servers come to it: ``service`` with namespace, name and port, or ``url``.
        host: the address that it listens at; empty for all.
        port: the port; 0 for one that is free.
        announce: called with what API servers need, when it listens, and when those who vouch for it change.
        pause: waits until the certificate is to be looked at again.
    """

    def __init__(
        self,
        certificates: Certificates,
        client: Mapping[str, Any],
        *,
        host: str = "",
        port: int = 9443,
        announce: Callable[[WebhookClientConfig], Awaitable[None]] | None = None,
        pause: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(_CHECKED_EVERY),
    ) -> None:
        self._certificates = certificates
        self._client = client
        self._host = host
        self._port = port
        self._announce = announce
        self._pause = pause

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return self._port

    async def __call__(self, answer: WebhookFn) -> AsyncIterator[WebhookClientConfig]:
        """Serve for as long as the iterator is asked; yields what API servers need, each time that it changes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        bundle = await self._certificates.current()
        _load(context, bundle)
        runner = web.AppRunner(_application(answer), handle_signals=False, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host or None, self._port, ssl_context=context)
            await site.start()
            # A port that is chosen by the system is another one for IPv6 than for IPv4, in any order.
            self._port = next((each[1] for each in runner.addresses if "." in each[0]), runner.addresses[0][1])
            yield await self._announced(bundle)
            while True:
                await self._pause()
                found = await self._exchanged(context, bundle)
                if found.authorities != bundle.authorities:
                    yield await self._announced(found)
                bundle = found
        finally:
            await _ended(runner)

    async def _exchanged(self, context: ssl.SSLContext, bundle: Bundle) -> Bundle:
        """The certificate that is used from now on; the same where there is no better one."""
        try:
            found = await self._certificates.current()
            if found != bundle:
                _load(context, found)
        except (errors.FairleadError, ssl.SSLError) as error:
            _log.warning("The certificate of the webhooks stays as it is: %s", error)
            return bundle
        return found

    async def _announced(self, bundle: Bundle) -> WebhookClientConfig:
        url = {"url": self._client["url"].format(port=self._port)} if "url" in self._client else {}
        client: Any = {**self._client, **url, "caBundle": bundle.ca_bundle}
        if self._announce is not None:
            await self._announce(client)
        found: WebhookClientConfig = client
        return found


async def _ended(runner: web.AppRunner) -> None:
    """Let answers that are on their way be sent, and then wait for no client to say goodbye."""
    connections = runner.server.connections if runner.server is not None else []
    transports = [each.transport for each in connections if each.transport is not None]
    await runner.cleanup()
    for each in transports:
        each.abort()
    await asyncio.sleep(0)  # the sockets are closed in the next turn


def _load(context: ssl.SSLContext, bundle: Bundle) -> None:
    """Let new connections have a certificate; its key is on no disk."""
    handle = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(bundle.certificate + bundle.key)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _application(answer: WebhookFn) -> web.Application:
    async def review(request: web.Request) -> web.Response:
        return await _review(answer, request)

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    application = web.Application(client_max_size=_MOST_BYTES)
    application.add_routes([web.get(HEALTH, health), web.post("/{webhook:.+}", review)])
    return application


async def _review(answer: WebhookFn, request: web.Request) -> web.Response:
    """The answer to one review: what cannot be read is told, and never fails on the way."""
    review = _read(await request.read())
    if review is None:
        raise web.HTTPBadRequest(text="This is no AdmissionReview of admission.k8s.io/v1 with a request.")
    problem = admission.malformed(review["request"].get("object"))
    if problem is not None:
        return web.json_response(_denied(review, problem))
    try:
        response = await answer(review, webhook=request.match_info["webhook"], headers=dict(request.headers))
    except Exception as error:  # kopf's own, which it does not export: about resources that it does not know
        _log.warning("A review of %s cannot be answered: %s", _named(review["request"]), error)
        raise web.HTTPBadRequest(text=f"This review cannot be answered: {error}") from error
    return web.json_response(response)


def _read(body: bytes) -> Any:
    """The review that a request carries; None where it carries none."""
    try:
        review = json.loads(body)
        known = review["apiVersion"] in _VERSIONS and isinstance(review["request"]["uid"], str)
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    return review if known else None


def _denied(review: Mapping[str, Any], problem: str) -> dict[str, Any]:
    uid = review["request"]["uid"]
    status = {"message": problem, "code": _REFUSED}
    return {
        "apiVersion": review["apiVersion"],
        "kind": "AdmissionReview",
        "response": {"uid": uid, "allowed": False, "status": status},
    }


def _named(asked: Mapping[str, Any]) -> str:
    return f"{asked.get('resource')} {asked.get('namespace')}/{asked.get('name')}"[:200]
