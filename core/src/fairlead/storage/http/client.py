"""One request over http(s), redirects followed by hand so that every hop is judged."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage.http import addresses, headers
from fairlead.storage.http.locations import Location

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection
    from urllib3.response import BaseHTTPResponse

    from fairlead.storage.http.addresses import Reach, Resolve
    from fairlead.storage.settings import NetworkPolicy

__all__ = ["Answer", "Client"]

_MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({408, 425, 429})


class Answer:
    """A response whose body is still to be read, and the connection that it comes from.

    Args:
        response: the response.
        connection: its connection, of its own.
        location: where the last redirect led to.
    """

    def __init__(self, response: BaseHTTPResponse, connection: HTTPConnection, location: Location) -> None:
        self.status = response.status
        self.headers = response.headers
        self.location = location
        self._response = response
        self._connection = connection

    def read(self, size: int) -> bytes:
        """Read what has arrived, at most ``size`` bytes; empty at the end.

        Raises:
            StorageUnavailable: the connection broke.
        """
        try:
            # One read from the socket at most, so that a slow server cannot hold the caller past its deadline.
            return self._response.read1(size, decode_content=False)
        except _transport_errors() as error:
            raise _unavailable(self.location, self._connection, error) from error

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._connection.close()


class Client:
    """Sends requests, each on a connection of its own to an address that was judged.

    Args:
        timeout: seconds that a single network operation may take.
        network: which addresses may be connected to.
        credentials: where the headers of a host are looked for first.
        resolve: resolves names.
    """

    def __init__(
        self,
        *,
        timeout: float,
        network: NetworkPolicy,
        credentials: Mapping[str, str],
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._timeout = timeout
        self._network = network
        self._credentials = credentials
        self._resolve = resolve
        self._socket: socket.socket | None = None
        self._closed = False

    def close(self) -> None:
        """Break what is under way, from any thread; whoever waits for it gets `StorageUnavailable`."""
        self._closed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it has ended
                # Past the TLS layer, which another thread may be reading.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def send(self, method: str, url: str, fields: Mapping[str, str] | None = None) -> Answer:
        """Send a request and follow its redirects.

        A user's headers go to the first host only; once a redirect leaves it, they are not sent again.

        Raises:
            UnsafeArtifact: an address or a redirect that is not allowed.
            StorageUnavailable: nobody answers.
            StorageError: too many redirects, or a certificate that is not trusted.
        """
        location = Location.parse(url)
        secret = headers.of_host(location.host, self._credentials)
        came_from: Reach | None = None
        for _ in range(_MAX_REDIRECTS + 1):
            answer, came_from = self._hop(method, location, {**secret, **(fields or {})}, came_from)
            target = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or target is None:
                return answer
            answer.close()
            before, location = location, location.follow(target)
            if location.origin != before.origin:
                secret = {}
        raise errors.StorageError(f"{Location.parse(url)} redirects more than {_MAX_REDIRECTS} times.")

    def _hop(
        self, method: str, location: Location, fields: Mapping[str, str], came_from: Reach | None
    ) -> tuple[Answer, Reach]:
        usable = addresses.allowed(location.host, location.port, self._network, came_from, self._resolve)
        failure: errors.StorageUnavailable | None = None
        for address, reach in usable:
            connection = self._connection(location, address)
            try:
                connection.connect()
                self._socket = connection.sock
                if self._closed:
                    raise ConnectionAbortedError
                connection.request(
                    method,
                    location.path,
                    headers={
                        "Host": location.authority,
                        "Accept": "*/*",
                        "Accept-Encoding": "identity",
                        "Connection": "close",
                        **fields,
                    },
                    preload_content=False,
                    decode_content=False,
                )
                response = connection.getresponse()
            except ssl.SSLCertVerificationError as error:
                connection.close()
                raise errors.StorageError(
                    f"The certificate of {location.host} is not trusted: {error.verify_message}.",
                    remedy="Name a file of trusted certificates in SSL_CERT_FILE or REQUESTS_CA_BUNDLE.",
                ) from error
            except _transport_errors() as error:
                connection.close()
                failure = _unavailable(location, connection, error)
                continue
            return Answer(response, connection, location), reach
        assert failure is not None
        raise failure

    def _connection(self, location: Location, address: str) -> HTTPConnection:
        from urllib3.connection import HTTPConnection, HTTPSConnection

        if location.scheme == "http":
            return HTTPConnection(address, location.port, timeout=self._timeout)
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or None
        folder = bundle is not None and os.path.isdir(bundle)  # noqa: PTH112  # a setting that is passed on as text
        return HTTPSConnection(
            address,
            location.port,
            timeout=self._timeout,
            server_hostname=location.host,
            ca_certs=None if folder else bundle,
            ca_cert_dir=bundle if folder else None,
        )


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


def _transport_errors() -> tuple[type[Exception], ...]:
    from urllib3.exceptions import HTTPError

    return (HTTPError, http.client.HTTPException, OSError)


def _unavailable(location: Location, connection: HTTPConnection, error: BaseException) -> errors.StorageUnavailable:
    inner = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(inner, TimeoutError) and inner.errno is None:  # ours; the system's own has a number
        return errors.StorageUnavailable(f"{location} did not answer within {connection.timeout:g} s.")
    reason = getattr(inner, "strerror", None) or type(inner).__name__
    return errors.StorageUnavailable(f"{location} did not answer: {reason}.")
