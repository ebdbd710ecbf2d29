"""What a URI of HDFS names: namenodes, and a path."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage import uris
from fairlead.storage.http.locations import Location

if TYPE_CHECKING:
    from fairlead_storage_hdfs.configuration import Configuration

__all__ = ["Place", "parse"]

_SCHEMES: Final = {"hdfs": "http", "webhdfs": "http", "swebhdfs": "https"}
_PORTS: Final = {"http": 9870, "https": 9871}
"""Where namenodes of Hadoop 3 answer."""

_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@]+)(?::(?P<port>[0-9]{1,5}))?")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is.

    Attributes:
        server: the scheme and, unless namenodes are configured, the namenode of the URI: ``hdfs://namenode:9870``.
        namenodes: base URLs, the preferred first.
        path: the path, from ``/``, or from the home folder where it does not begin so; without ``/`` at its end.
        folder: whether only a folder may be meant, since the URI ends with ``/``.
    """

    server: str
    namenodes: tuple[str, ...]
    path: str
    folder: bool

    def uri(self, path: str) -> str:
        """The URI of a path, from ``/``, on the same namenodes."""
        return f"{self.server}{path}"


def parse(uri: str, configuration: Configuration) -> Place:
    """Read a URI.

    Where namenodes are configured, what follows the scheme is a path, as in KServe: ``hdfs://models/iris`` is
    ``models/iris`` below the root folder. It starts with a host all the same if that is one of those namenodes, or if
    there is a port, which no path of HDFS can hold. Nothing in the path is decoded.

    Raises:
        StorageError: it names no namenode and none is configured, or the path is none of HDFS.
        UnsafeArtifact: it names another namenode than the one that the configuration is for.
    """
    scheme = uris.scheme(uri)
    assert scheme in _SCHEMES
    rest = uri.partition("://")[2]
    authority, _, path = rest.partition("/")
    found = _AUTHORITY.fullmatch(authority)
    if not authority:
        namenodes, path = configuration.namenodes, f"/{path}"
    elif not configuration.namenodes:
        namenodes, path = (_base(uri, _SCHEMES[scheme], found),), f"/{path}"
    elif found and _is_configured(scheme, found, configuration):
        namenodes, path = configuration.namenodes, f"/{path}"
    elif found and found["port"]:
        raise errors.UnsafeArtifact(
            f"{uri} names the namenode {authority}, and HDFS_NAMENODE another one, which the credentials are for.",
            remedy="Leave the namenode out of the URI (hdfs:///path), or name the same one in both.",
        )
    else:
        namenodes, path = configuration.namenodes, _below(configuration.root, rest)
    if not namenodes:
        raise errors.StorageError(
            f"{uri} names no namenode.",
            remedy="Set HDFS_NAMENODE, for example to http://namenode:9870, or write hdfs://namenode:9870/path.",
        )
    server = f"{scheme}://{'' if configuration.namenodes else authority}"
    return Place(server=server, namenodes=namenodes, path=_normal(uri, path), folder=uri.endswith("/"))


def _base(uri: str, scheme: str, found: re.Match[str] | None) -> str:
    if found is None:
        raise errors.UnsafeArtifact(
            f"{uris.redact(uri)} does not start with a host and a port.",
            remedy="Write hdfs://namenode:9870/path; a user is named in USER_PROXY or HADOOP_USER_NAME.",
        )
    return f"{scheme}://{found['host']}:{found['port'] or _PORTS[scheme]}"


def _is_configured(scheme: str, found: re.Match[str], configuration: Configuration) -> bool:
    host, port = found["host"].strip("[]").lower(), found["port"]
    for location in map(Location.parse, configuration.namenodes):
        # The port of an hdfs:// address is, everywhere else, that of Hadoop's own protocol.
        if location.host == host and (scheme == "hdfs" or port is None or int(port) == location.port):
            return True
    return False


def _below(root: str, path: str) -> str:
    return f"{root.rstrip('/')}/{path}"


def _normal(uri: str, path: str) -> str:
    parts = [part for part in path.split("/") if part]
    if "." in parts or ".." in parts or "\0" in path:
        raise errors.StorageError(f"{uri!r} holds a part that no path of HDFS can have: `.`, `..` or a zero byte.")
    return ("/" if path.startswith("/") else "") + "/".join(parts)
