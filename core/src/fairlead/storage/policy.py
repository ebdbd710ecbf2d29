"""What may be fetched from where: the one place that judges addresses of models and the connections made for them.

Two lists of whoever runs the server, both without limit unless they are set:

- ``FAIRLEAD_STORAGE_SCHEMES``: schemes, ``s3,https``. A path of this machine counts as ``file``.
- ``FAIRLEAD_STORAGE_HOSTS``: hosts, ``models.example.com``, ``*.example.com``, ``minio:9000``; and, where the first
  part of an address is no host, the part itself: ``s3://models``, ``gs://team-*``, ``hf://org``, ``hf://org/model``.

An address that a user gives, and one that stands for it (`StorageProvider.resolve`), is judged by `Policy.admit`. Every
request of `fairlead.storage.http`, redirects included, is judged by `Policy.admit_connection`.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import os
import re
import socket
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage import uris
from fairlead.storage.http import addresses
from fairlead.storage.http.locations import Location
from fairlead.storage.settings import NETWORK_VARIABLE, NetworkPolicy, network_policy

if TYPE_CHECKING:
    from fairlead.storage.http.addresses import Resolve

__all__ = ["HOSTS_VARIABLE", "SCHEMES_VARIABLE", "VARIABLES", "Policy", "check_endpoint"]

SCHEMES_VARIABLE: Final = "FAIRLEAD_STORAGE_SCHEMES"
HOSTS_VARIABLE: Final = "FAIRLEAD_STORAGE_HOSTS"
VARIABLES: Final = (NETWORK_VARIABLE, SCHEMES_VARIABLE, HOSTS_VARIABLE)
"""The keys that a policy travels under among the credentials of a provider."""

_ALL: Final = "*"
_LOCAL: Final = frozenset({"file", "git+file", "pvc"})
_HOSTED: Final = frozenset(
    {
        "http",
        "https",
        "git+http",
        "git+https",
        "git+ssh",
        "hdfs",
        "webhdfs",
        "swebhdfs",
        "abfs",
        "abfss",
        "wasb",
        "wasbs",
    }
    | {"oci", "oci+fetch", "oci+native"}
)
"""Schemes whose first part is a host. Elsewhere it is a name that anybody may take, so a host's entry admits none."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):/+")
_NAME: Final = re.compile(r"[a-z][a-z0-9+.\-]*")
_HOST: Final = re.compile(r"(?P<host>\[[0-9a-f:.*?]+\]|[^\[\]:/@?#\s]*[^\[\]:/@#\s])(?::(?P<port>\d{1,5}))?")


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where an address leads, or which addresses an entry of the list admits."""

    scheme: str | None
    host: str
    port: int | None
    parts: tuple[str, ...] = ()

    def admits(self, other: _Place) -> bool:
        if self.scheme is None:
            return other.scheme in _HOSTED and self.admits_host(other)
        return self.scheme == other.scheme and self.admits_host(other) and self._holds(other.parts)

    def admits_host(self, other: _Place) -> bool:
        return fnmatch.fnmatchcase(other.host, self.host) and self.port in (None, other.port)

    def _holds(self, parts: tuple[str, ...]) -> bool:
        """Whether a path lies at or below this entry's, part by part."""
        if not self.parts:
            return True
        plain = [urllib.parse.unquote(part) for part in parts]
        if any(part in (".", "..") or "/" in part or "\\" in part for part in plain):
            return False  # whoever reads the path may shorten it
        return len(parts) >= len(self.parts) and all(map(fnmatch.fnmatchcase, parts, self.parts))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be fetched from where.

    Attributes:
        network: which addresses may be connected to.
        schemes: the schemes that an address of a model may have; None for any.
        hosts: entries of the list of hosts; None for any.

    Raises:
        ConfigurationError: an entry is none.
    """

    network: NetworkPolicy = NetworkPolicy.ANY
    schemes: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in self.schemes or ():
            if not _NAME.fullmatch(name):
                raise errors.ConfigurationError(
                    f"{SCHEMES_VARIABLE}: {name!r} is not the name of a scheme.", remedy="For example: s3,https,file"
                )
        for entry in self.hosts or ():
            _entry(entry)

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Policy:
        """The policy of a mapping; what is not in it is read from the environment.

        Raises:
            ConfigurationError: a value is wrong.
        """
        network, schemes, hosts = (settings.get(name, os.environ.get(name)) for name in VARIABLES)
        return cls(
            network=network_policy(network),
            schemes=_list(schemes.lower() if schemes is not None else None),
            hosts=_list(hosts),
        )

    def variables(self) -> dict[str, str]:
        """The mapping that `of` reads this policy from, whatever the environment says."""
        schemes, hosts = (_ALL if entries is None else ",".join(entries) for entries in (self.schemes, self.hosts))
        return dict(zip(VARIABLES, (str(self.network), schemes, hosts), strict=True))

    def trusting(self, *hosts: str) -> Policy:
        """This policy with more hosts: those of a service whose addresses are admitted by themselves."""
        return self if self.hosts is None else dataclasses.replace(self, hosts=(*self.hosts, *hosts))

    def admit(self, uri: str) -> None:
        """Return if a model may be fetched from an address.

        Raises:
            UnsafeArtifact: it may not.
            StorageError: the address cannot be read.
        """
        found = _SCHEME.match(uri)
        scheme = found.group(1).lower() if found else "file"
        shown = uris.redact(uri)
        if self.schemes is not None and scheme not in self.schemes:
            raise errors.UnsafeArtifact(
                f"{shown} is not fetched: {SCHEMES_VARIABLE} does not allow {scheme}.",
                remedy=f"If it is meant, add {scheme} to {SCHEMES_VARIABLE}.",
            )
        if self.hosts is None or scheme in _LOCAL:
            return
        assert found is not None
        place = _place(scheme, uri[found.end() :], shown)
        if not any(_entry(entry).admits(place) for entry in self.hosts):
            raise _refused(shown, place.host if scheme in _HOSTED else f"{scheme}://{place.host}")

    def admit_connection(self, url: str) -> None:
        """Return if a request may go to an ``http(s)`` URL: its host is that of any entry.

        Raises:
            UnsafeArtifact: it may not.
        """
        if self.hosts is None:
            return
        location = Location.parse(url)
        place = _Place(location.scheme, location.host, location.port)
        entries = [entry for entry in map(_entry, self.hosts) if entry.scheme is None or entry.scheme in _HOSTED]
        if not any(entry.admits_host(place) for entry in entries):
            raise _refused(str(location), location.host)

    def check_endpoint(self, url: str, resolve: Resolve = socket.getaddrinfo) -> None:
        """Return if the endpoint that somebody set for a service may be used: by its host, and by its addresses.

        Raises:
            UnsafeArtifact: it may not.
            StorageUnavailable: its name cannot be resolved.
        """
        self.admit_connection(url)
        check_endpoint(url, self.network, resolve)


def check_endpoint(url: str, network: NetworkPolicy, resolve: Resolve = socket.getaddrinfo) -> None:
    """Return if an address of the endpoint of a service may be connected to.

    For clients that make their connections themselves. They resolve the name once more, so that this does not hold
    against a name whose address changes in between, as `fairlead.storage.http` does.

    Args:
        url: an ``http(s)`` URL.
        network: which addresses may be connected to.
        resolve: resolves the name; `socket.getaddrinfo`.

    Raises:
        UnsafeArtifact: none of its addresses may be connected to.
        StorageUnavailable: the name cannot be resolved.
        StorageError: it is no such URL.
    """
    location = Location.parse(url)
    addresses.allowed(location.host, location.port, network, None, resolve)


def _refused(shown: str, entry: str) -> errors.UnsafeArtifact:
    return errors.UnsafeArtifact(
        f"{shown} is not fetched: {HOSTS_VARIABLE} does not allow {entry}.",
        remedy=f"If it is meant, add {entry} to {HOSTS_VARIABLE}.",
    )


def _list(text: str | None) -> tuple[str, ...] | None:
    """The entries of a list with commas; None, which is any, for no list and for ``*``."""
    if text is None:
        return None
    entries = tuple(entry for part in text.split(",") if (entry := part.strip()))
    return None if _ALL in entries else entries


@functools.lru_cache(maxsize=1024)
def _entry(text: str) -> _Place:
    scheme, mark, rest = text.rpartition("://")
    first, _, path = rest.partition("/")
    hosted = not mark or scheme.lower() in _HOSTED
    found = _HOST.fullmatch(first.lower() if hosted else first)
    if found is None or (mark and not _NAME.fullmatch(scheme.lower())) or (path and not mark):
        raise errors.ConfigurationError(
            f"{HOSTS_VARIABLE}: {text!r} is not the name of a host.",
            remedy="For example: models.example.com,*.example.org,minio:9000,s3://bucket,hf://org/model",
        )
    port = found["port"]
    parts = tuple(part for part in path.split("/") if part)
    host = found["host"].strip("[]").rstrip(".") or _ALL
    return _Place(scheme.lower() if mark else None, host, int(port) if port else None, parts)


def _place(scheme: str, rest: str, shown: str) -> _Place:
    """Where an address leads, read as the provider will read it."""
    if scheme not in _HOSTED:
        first, *parts = (rest.partition(":")[0] if scheme == "hf" else rest).split("/")
        return _Place(scheme, first, None, tuple(part for part in parts if part))
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    secure = scheme.removeprefix("git+")
    try:
        url = parse_url(f"{secure}://{rest}")
    except LocationParseError:
        raise errors.StorageError(f"{shown} is not a valid address.") from None  # its text holds the whole URL
    path = url.path or ""
    if scheme.startswith("oci"):
        path = re.sub(r"(:[^/]*)?(@.*)?$", "", path)
    port = url.port if url.port is not None else {"http": 80, "https": 443}.get(secure)
    host = (url.host or "").strip("[]").rstrip(".").lower()
    return _Place(scheme, host, port, tuple(part for part in path.split("/") if part))
