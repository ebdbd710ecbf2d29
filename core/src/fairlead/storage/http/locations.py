"""http(s) URLs: reading them, and following a redirect from one to the next."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import urllib.parse
from typing import Final

from fairlead import errors
from fairlead.storage import uris

__all__ = ["Location"]

_PORTS: Final = {"http": 80, "https": 443}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where one request goes.

    Attributes:
        scheme: ``http`` or ``https``.
        host: a name or an address, in lower case, without brackets and without a dot at its end.
        port: the port.
        path: the path and the query, encoded for the request line.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Location:
        """Read a URL.

        Raises:
            UnsafeArtifact: it has user information, or is of another scheme.
            StorageError: it is not a URL.
        """
        from urllib3.exceptions import LocationParseError
        from urllib3.util import parse_url

        shown = uris.redact(url)
        if uris.scheme(url) not in _PORTS:
            raise errors.UnsafeArtifact(f"{shown} is neither http nor https.")
        if _CONTROL.search(url):
            raise errors.StorageError(f"The URL {shown!a} contains control characters.")
        try:
            parts = parse_url(url)
        except LocationParseError:
            # Its text holds the whole URL, query included, so it does not become a cause.
            raise errors.StorageError(f"{shown} is not a valid URL.") from None
        if parts.auth is not None:
            raise errors.UnsafeArtifact(
                f"{shown} is given with a user name or password, which would show in logs.",
                remedy="Put an Authorization header into the environment variable <hostname>-headers, as JSON.",
            )
        if parts.fragment is not None:
            raise errors.StorageError(
                f"{shown} is given with a fragment ('#…'), which means nothing here.",
                remedy="A digest is written #sha256=<hexadecimal>.",
            )
        host = (parts.host or "").strip("[]").rstrip(".").lower()
        if not host:
            raise errors.StorageError(f"{shown} names no host.")
        assert parts.scheme is not None
        port = parts.port if parts.port is not None else _PORTS[parts.scheme]
        return cls(scheme=parts.scheme, host=host, port=port, path=parts.request_uri)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what a credential belongs to."""
        return (self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """The host and, unless it is the scheme's own, the port; for the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """The URL without its query."""
        return f"{self.scheme}://{self.authority}{self.path.partition('?')[0]}"

    @property
    def file_name(self) -> str:
        """What the file is called: the last part of the path, or a value of the query when that has no suffix.

        Raises:
            StorageError: there is no name in the URL.
        """
        path, _, query = self.path.partition("?")
        last = urllib.parse.unquote(path.rpartition("/")[2], errors="surrogateescape")
        if not posixpath.splitext(last)[1]:
            named = [value for _, value in urllib.parse.parse_qsl(query) if re.fullmatch(r"[^/]+\.[A-Za-z0-9]+", value)]
            last = named[-1] if named else last
        if not last:
            raise errors.StorageError(
                f"{self} names no file.", remedy="Give the URL of one file; folders cannot be listed over http."
            )
        return last

    def follow(self, target: str) -> Location:
        """The location that a redirect leads to.

        Raises:
            UnsafeArtifact: it leads from https to http, or to another scheme.
        """
        url = urllib.parse.urljoin(f"{self.scheme}://{self.authority}{self.path}", target)
        location = Location.parse(urllib.parse.urldefrag(url).url)
        if self.scheme == "https" and location.scheme == "http":
            raise errors.UnsafeArtifact(f"{self} redirects from https to {location}, which is not encrypted.")
        return location
