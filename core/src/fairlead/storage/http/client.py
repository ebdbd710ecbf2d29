"""Requests over http(s), redirects followed by hand so that every hop is judged."""

from __future__ import annotations

import functools
import http.client
import socket
import ssl
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage.http import addresses, headers
from fairlead.storage.http.answers import Answer
from fairlead.storage.http.connections import STALE, TRANSPORT, Connection, Trust, unavailable
from fairlead.storage.http.locations import Location
from fairlead.storage.http.pool import Pool
from fairlead.storage.policy import Policy

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Reach, Resolve
    from fairlead.storage.settings import NetworkPolicy

__all__ = ["Answer", "Client", "failure"]

_MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REPEATING: Final = frozenset({307, 308})
"""Redirects that keep the method; with 301 and 302, clients differ in what they make of a POST."""

_TRANSIENT: Final = frozenset({408, 425, 429})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_IDEMPOTENT: Final = _SAFE | {"PUT", "DELETE"}
_BASE: Final = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "fairlead"}


class Client:
    """Sends requests to addresses that were judged, and keeps their connections; safe to use from several threads.

    Each new connection goes to an address that was judged after its name was resolved for it. A kept one goes on to
    that address, whatever the name resolves to by then, and is judged again for each redirect that leads to it.

    Args:
        timeout: seconds that a single network operation may take.
        network: which addresses may be connected to; what ``credentials`` or the environment say by default.
        credentials: where the headers of a host, and the policy (`Policy.of`), are looked for first.
        resolve: resolves names.
        admit: judges the URL of each request, redirects included, and raises; by default the list of hosts of the
            policy does (`Policy.admit_connection`).
        tls: what certificates are verified with, where it is not what the environment names.
    """

    def __init__(
        self,
        *,
        timeout: float,
        network: NetworkPolicy | None = None,
        credentials: Mapping[str, str] | None = None,
        resolve: Resolve = socket.getaddrinfo,
        admit: Callable[[str], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout = timeout
        self._credentials = credentials or {}
        policy = Policy.of(self._credentials)
        self._network = policy.network if network is None else network
        self._admit = policy.admit_connection if admit is None else admit
        self._resolve = resolve
        self._tls = tls
        self._trust = Trust()
        self._pool = Pool()
        weakref.finalize(self, self._pool.abandon)

    def close(self) -> None:
        """Break what is under way, from any thread; whoever waits for it gets `StorageUnavailable`."""
        self._pool.close()

    def send(
        self,
        method: str,
        url: str,
        fields: Mapping[str, str] | None = None,
        *,
        secret: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send a request and follow its redirects; the answer is to be closed.

        Args:
            method: for example ``GET``. An idempotent one is sent anew if a kept connection turns out to be closed.
            url: where to.
            fields: headers that are sent on every hop.
            secret: headers that go to the first origin (scheme, host and port) only; once a redirect leaves it, they
                are not sent again. None stands for those that the user sets for the host (`headers.of_host`).
            body: what to send. Another origin gets none: a redirect that leads there is an error.

        Raises:
            UnsafeArtifact: an address or a redirect that is not allowed.
            StorageUnavailable: nobody answers, or the client is closed.
            StorageError: too many redirects, or a certificate that is not trusted.
            ConfigurationError: a header that is none.
        """
        location = Location.parse(url)
        if secret is None:
            secret = headers.of_host(location.host, self._credentials)
        headers.checked({**secret, **(fields or {})}, f"The request to {location}")
        came_from: Reach | None = None
        for _ in range(_MAX_REDIRECTS + 1):
            self._admit(str(location))
            sent = headers.joined(_BASE, fields or {}, secret, {"Host": location.authority})
            answer = self._exchange(method, location, sent, body, came_from)
            target = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or target is None:
                return answer
            answer.close()
            came_from = answer.reach
            before, location = location, location.follow(target)
            if location.origin != before.origin:
                secret = {}
            if answer.status == http.HTTPStatus.SEE_OTHER and method != "HEAD":
                method, body = "GET", None
            elif method not in _SAFE and (location.origin != before.origin or answer.status not in _REPEATING):
                raise errors.StorageError(f"{before} redirects a {method} request to {location}, where it is not sent.")
        raise errors.StorageError(f"{Location.parse(url)} redirects more than {_MAX_REDIRECTS} times.")

    # -- one hop ----------------------------------------------------------------------------------------

    def _exchange(
        self, method: str, location: Location, fields: Mapping[str, str], body: bytes | None, came_from: Reach | None
    ) -> Answer:
        """The answer of one location, over a kept connection or else a new one to an address that is judged now."""
        if method in _IDEMPOTENT:
            may = functools.partial(addresses.may_reach, policy=self._network, came_from=came_from)
            kept = self._pool.take(location.origin, may)
            if kept is not None:
                try:
                    return self._ask(kept, method, location, fields, body)
                except STALE:
                    pass  # it was closed just now; a new one tells whether anybody is there
                except TRANSPORT as error:
                    raise self._unavailable(location, error) from error
        fault: errors.StorageError | None = None
        for address, reach in addresses.allowed(location.host, location.port, self._network, came_from, self._resolve):
            tls = (self._tls or self._trust.context()) if location.scheme == "https" else None
            connection = Connection(location, address, reach, self._timeout, tls)
            try:
                return self._ask(connection, method, location, fields, body)
            except TRANSPORT as error:
                fault = self._unavailable(location, error)
                fault.__cause__ = error
                if not isinstance(fault, errors.StorageUnavailable):
                    break
        assert fault is not None
        raise fault

    def _ask(
        self, connection: Connection, method: str, location: Location, fields: Mapping[str, str], body: bytes | None
    ) -> Answer:
        try:
            if connection.sock is None:
                connection.open(self._pool.enter)
            connection.request(method, location.path, body=body, headers=fields)
            return Answer(connection.getresponse(), connection, location, self._pool)
        except BaseException:
            self._pool.drop(connection)
            raise

    def _unavailable(self, location: Location, error: Exception) -> errors.StorageError:
        if self._pool.closed:
            return errors.StorageUnavailable(f"{location} was given up before it answered.")
        return unavailable(location, self._timeout, error)


def failure(answer: Answer) -> errors.StorageError:
    """The error that a status means; the body is not read, since it may repeat secrets."""
    status, location = answer.status, answer.location
    said = f"{location} answered {status} {http.client.responses.get(status, '')}".rstrip() + "."
    if status in (404, 410):
        return errors.ArtifactNotFound(said)
    if status in (401, 403):
        return errors.AccessDenied(
            said, remedy=f"Set the environment variable {location.host}-headers to a JSON object of headers."
        )
    if status in _TRANSIENT or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.StorageUnavailable(said, retry_after=headers.retry_after(answer.headers.get("Retry-After")))
    return errors.StorageError(said)
