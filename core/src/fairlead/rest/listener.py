"""The listening socket of a server; it needs no web framework, so that it can be opened by who only hands it on."""

from __future__ import annotations

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
            remedy="Choose another port with --http-port; 0 lets the system choose.",
        ) from error
    sock.listen(2048)
    return sock


def url_of(sock: socket.socket) -> str:
    """The address of a listening socket, as a URL."""
    host, port, *_ = sock.getsockname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
