"""The listening socket of a server; it needs no web framework, so that it can be opened by who only hands it on."""

from __future__ import annotations

import errno
import socket

from fairlead import errors

__all__ = ["listen", "url_of"]


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: the address.
        port: the port; 0 lets the system choose.

    Raises:
        ConfigurationError: the address cannot be listened on, and why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise errors.ConfigurationError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}.",
            remedy=_remedy(error),
        ) from error
    sock.listen(2048)
    return sock


def url_of(sock: socket.socket) -> str:
    """The address of a listening socket, as a URL."""
    host, port, *_ = sock.getsockname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _remedy(error: OSError) -> str:
    """What helps against the reason for which an address cannot be listened on."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Choose another --host: an address of this machine, or 0.0.0.0 for all of them."
    if error.errno == errno.EACCES:
        return "Choose a port above 1023 with --http-port; those below are for privileged users."
    return "Choose another port with --http-port; 0 lets the system choose."
