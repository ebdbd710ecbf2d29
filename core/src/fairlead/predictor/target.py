"""Where a predictor is, and how it is asked."""

from __future__ import annotations

import dataclasses
import os
import ssl
import urllib.parse
from collections.abc import Mapping
from typing import Final

from fairlead import errors

__all__ = ["Target", "authorities", "trust"]

_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name a file with certificates of authorities, the first one that is set, as in KServe."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A predictor's address.

    Attributes:
        authority: what was given, ``host`` or ``host:port``.
        host: the host, without brackets.
        port: the port; 80, or 443 with TLS, where none was given.
        tls: whether TLS is spoken.
        protocol: ``v1``, ``v2`` or ``grpc-v2``.
        timeout: seconds within which it must answer; 0 for any.
    """

    authority: str
    host: str
    port: int
    tls: bool
    protocol: str
    timeout: float

    @classmethod
    def parse(cls, authority: str, *, protocol: str = "v1", tls: bool = False, timeout: float = 600.0) -> Target:
        """Read an address.

        Raises:
            ConfigurationError: it is no ``host`` or ``host:port``, or the timeout is negative.
        """
        try:
            parts = urllib.parse.urlsplit(f"//{authority}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or port == 0 or any(letter in authority for letter in "/@?#") or not authority.isprintable():
            raise errors.ConfigurationError(
                f"--predictor_host: {authority!r} is no host.",
                remedy="Write HOST or HOST:PORT, for example iris-predictor.default; TLS is --predictor_use_ssl true.",
            )
        if timeout < 0:
            raise errors.ConfigurationError(f"--predictor_request_timeout_seconds: {timeout:g} is negative.")
        return cls(authority, host, port or (443 if tls else 80), tls, protocol, timeout)

    @property
    def address(self) -> str:
        """The host and the port, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def authorities(environ: Mapping[str, str] = os.environ) -> str | None:
    """The file with the certificates of authorities that are trusted; None for those of the system."""
    return next((environ[name] for name in _BUNDLES if environ.get(name)), None)


def trust() -> ssl.SSLContext:
    """How certificates are checked.

    Raises:
        ConfigurationError: the file with the authorities cannot be read.
    """
    bundle = authorities()
    try:
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        raise errors.ConfigurationError(f"The certificates in {bundle} cannot be read: {error}.") from error
