"""Reading storage URIs: scheme, local path, pinned digest, and the form that may be shown."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path
from typing import Final

from fairlead import errors

__all__ = ["authority", "last_part", "local_path", "redact", "scheme", "split_digest"]

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_PIN: Final = "#sha256="
_AUTHORITY: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")


def scheme(uri: str) -> str | None:
    """The scheme in lower case, or None for a bare path."""
    found = _SCHEME.match(uri)
    return found.group(1).lower() if found else None


def redact(uri: str) -> str:
    """The URI without what may be secret: user information, query and fragment."""
    kind = scheme(uri)
    if kind is None or kind == "file":
        return uri
    head, _, rest = uri.partition("://")
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    if not _AUTHORITY.fullmatch(host):
        return f"{head}://…"  # a password with an unquoted `/`, `?` or `#` looks like a port, and its end like a path
    return f"{head}://{host}{slash}{path}"


def authority(uri: str) -> str:
    """Scheme, host and port, or scheme and bucket: what answers for a URI. The scheme alone where it names none."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.\-]*):(?://(?:[^/?#]*@)?([^/?#]*))?", uri)
    return f"{found.group(1).lower()}://{(found.group(2) or '').lower()}" if found else ""


def split_digest(uri: str) -> tuple[str, str | None]:
    """Split ``<uri>#sha256=<hexadecimal>`` into the URI and ``sha256:<hexadecimal>``."""
    address, pin, hexadecimal = uri.rpartition(_PIN)
    return (address, f"sha256:{hexadecimal}") if pin else (uri, None)


def last_part(uri: str) -> str:
    """The last component of the path, as a file would be named."""
    last = uri.rstrip("/").rpartition("/")[2]
    return last if scheme(uri) is None else urllib.parse.unquote(last)


def local_path(uri: str) -> Path:
    """The absolute path that a ``file://`` URI or a bare path names.

    Raises:
        StorageError: the URI names another machine, or no path.
    """
    if scheme(uri) is None:
        path = uri
    else:
        _, _, rest = uri.partition("://")
        host, slash, path = rest.partition("/")
        if host not in ("", "localhost"):
            raise errors.StorageError(
                f"{uri} names a file of the machine {host!r}; only files of this machine can be read.",
                remedy=f"A path on this machine has three slashes: file:///{host}/{path}",
            )
        path = slash + urllib.parse.unquote(path)
    if not path or "\0" in path:
        raise errors.StorageError(f"{uri!r} does not name a path.")
    return Path(path).absolute()
