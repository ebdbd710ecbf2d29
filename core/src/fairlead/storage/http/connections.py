"""One connection to an address that was judged, and what it means when it breaks."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Reach
    from fairlead.storage.http.locations import Location

__all__ = ["STALE", "TRANSPORT", "Connection", "Trust", "unavailable"]

TRANSPORT: Final = (http.client.HTTPException, OSError)
"""What a broken connection raises."""

STALE: Final = (http.client.BadStatusLine, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""What a request raises whose kept connection the server had given up."""


class Connection(http.client.HTTPConnection):
    """A connection to one address; it is opened once, and never by itself.

    Args:
        location: whose host it is for.
        address: the address to connect to.
        reach: how far that address reaches.
        timeout: seconds that a single operation may take.
        tls: the trust of a ``https`` connection.
    """

    auto_open = 0  # the base class would connect anew

    def __init__(
        self, location: Location, address: str, reach: Reach, timeout: float, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(location.host, location.port, timeout=timeout)
        self.origin = location.origin
        self.address = address
        self.reach = reach
        self.idle_since = 0.0
        self._tls = tls
        self._wire: socket.socket | None = None

    def open(self, began: Callable[[Connection], None]) -> None:
        """Connect; what fails leaves a connection that is to be closed.

        Args:
            began: called when there is a socket that `shut` can break, and before anything is sent: when it is to be
                connected, and once more when it is, because `shut` breaks nothing in between. It may raise.
        """
        family, _, _, _, place = socket.getaddrinfo(
            self.address, self.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        wire = self._wire = socket.socket(family, socket.SOCK_STREAM)
        wire.settimeout(self.timeout)
        began(self)
        wire.connect(place)
        began(self)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            secure = self._tls.wrap_socket(wire, server_hostname=self.host, do_handshake_on_connect=False)
            wire = self._wire = secure
            secure.do_handshake()
        self.sock = wire

    def close(self) -> None:
        """Close it, also half-way to its opening."""
        super().close()
        if self._wire is not None:
            self._wire.close()

    def shut(self) -> None:
        """Break what is under way, from any thread; who reads it sees the end."""
        if self._wire is not None:
            with contextlib.suppress(OSError):  # it has ended
                # Past the TLS layer, which another thread may be reading.
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)

    def wait(self, seconds: float) -> None:
        """Set how long a single operation may take."""
        if self.sock is not None:
            self.sock.settimeout(seconds)

    def is_usable(self, oldest: float) -> bool:
        """Whether it was used after a moment, and nothing has come since: no end, and nothing that nobody asked for."""
        from urllib3.util.wait import wait_for_read

        return self.sock is not None and self.idle_since >= oldest and not wait_for_read(self.sock, timeout=0.0)

    def rest(self) -> None:
        """Note that it is idle from now on."""
        self.idle_since = time.monotonic()


class Trust:
    """The authorities that certificates are verified with, read anew when the environment names others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._named: tuple[str | None, ...] | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """The context of a connection.

        Raises:
            StorageError: the file that the environment names holds no certificates.
        """
        named = tuple(os.environ.get(name) or None for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"))
        with self._lock:
            if self._context is None or named != self._named:
                self._named, self._context = named, _context(named[0])
            return self._context


def _context(bundle: str | None) -> ssl.SSLContext:
    folder = bundle is not None and os.path.isdir(bundle)  # noqa: PTH112  # a setting that is passed on as text
    try:
        context = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    except OSError as error:
        raise errors.StorageError(
            f"REQUESTS_CA_BUNDLE names {bundle}, and no certificates can be read there: "
            f"{error.strerror or type(error).__name__}.",
            remedy="Name a file of certificates in PEM form, or unset it for those of the system.",
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def unavailable(location: Location, timeout: float, error: BaseException) -> errors.StorageError:
    """The error that a broken connection means.

    Args:
        location: where the request went.
        timeout: seconds that an operation may take.
        error: what was raised; one of `TRANSPORT`.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return errors.StorageError(
            f"The certificate of {location.host} is not trusted: {error.verify_message}.",
            remedy="Name a file of trusted certificates in SSL_CERT_FILE or REQUESTS_CA_BUNDLE.",
        )
    if isinstance(error, TimeoutError) and error.errno is None:  # ours; the system's own has a number
        return errors.StorageUnavailable(f"{location} did not answer within {timeout:g} s.")
    reason = getattr(error, "strerror", None) or type(error).__name__
    return errors.StorageUnavailable(f"{location} did not answer: {reason}.")
