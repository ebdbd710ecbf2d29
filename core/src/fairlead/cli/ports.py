"""A port that several processes listen on, each with a socket of its own."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from fairlead import errors

__all__ = ["hold"]


@contextlib.contextmanager
def hold(host: str, port: int) -> Iterator[int]:
    """Keep a port for processes that will listen there with SO_REUSEPORT, without listening.

    As long as it is held, the system gives the port to no process of another user, and to none that would not share it.

    Args:
        host: the address.
        port: the port; 0 lets the system choose.

    Returns:
        The port.

    Raises:
        ConfigurationError: it cannot be had, and why.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((host, port))
        except OSError as error:
            raise errors.ConfigurationError(
                f"Cannot listen on {host}:{port} for gRPC: {error.strerror or error}.",
                remedy="Choose another port with --grpc-port (0 lets the system choose), "
                "or serve REST alone with --enable-grpc false.",
            ) from error
        yield sock.getsockname()[1]
