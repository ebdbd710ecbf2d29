"""Addresses: which account, container or share, and path a URI means."""

from __future__ import annotations

import dataclasses
import enum
import re
import urllib.parse
from typing import Final

from fairlead import errors
from fairlead.storage import uris

__all__ = ["Kind", "Place", "parse"]

_HOST: Final = re.compile(
    r"([a-z0-9-]{3,24})(?:\.privatelink)?"
    r"\.(?:(blob|file)\.core\.windows\.net|z[0-9]{1,2}\.(blob|file)\.storage\.azure\.net)"
)
_DATA_LAKE: Final = re.compile(r"([a-z0-9-]{3,24})\.(?:dfs|blob)\.core\.windows\.net")
_CONTAINER: Final = re.compile(r"\$?[a-z0-9][a-z0-9-]{1,62}")
"""https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata"""

_REMEDY: Final = "An address is written https://<account>.blob.core.windows.net/<container>/<path>."


class Kind(enum.StrEnum):
    """The service that holds it."""

    BLOB = "blob"
    FILE = "file"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a URI leads.

    Attributes:
        kind: blobs or file shares.
        account: the account that the URI names; None where the credentials do.
        endpoint: the server that the URI names, as a URL without a path; None where the credentials do.
        container: the container or share.
        path: what is meant in it, without ``/`` at its ends; empty for all.
        folder: whether the URI ends with ``/``, so that no object of that name is meant.
        sas: a shared access signature, as a query; empty without one.
    """

    kind: Kind
    container: str
    path: str
    account: str | None = None
    endpoint: str | None = None
    folder: bool = False
    sas: str = dataclasses.field(default="", repr=False)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def parse(uri: str) -> Place:
    """Read a URI.

    Raises:
        StorageError: it lacks a part, or has one that means nothing here.
    """
    shown = uris.redact(uri)
    head, _, query = uri.partition("?")
    sas = "sig=" in query
    if uris.scheme(uri) == "https":
        if query and not sas:
            raise errors.StorageError(
                f"{shown} is given with a query that is no shared access signature.",
                remedy="Versions and snapshots cannot be addressed.",
            )
        return _of_url(head, query, shown)
    # Names are written as they are in these; a name with a question mark is no signature.
    return _of_container(head if sas else uri, query if sas else "", shown)


def _of_url(head: str, sas: str, shown: str) -> Place:
    host, _, path = head.partition("://")[2].partition("/")
    found = _HOST.fullmatch(host.lower())
    if found is None:
        raise errors.StorageError(f"{shown} names no storage account.", remedy=_REMEDY)
    container, _, rest = path.partition("/")
    return Place(
        kind=Kind(found.group(2) or found.group(3)),
        account=found.group(1),
        endpoint=f"https://{host.lower()}",
        container=_checked(container, shown),
        path=urllib.parse.unquote(rest).strip("/"),
        folder=rest.endswith("/"),
        sas=sas,
    )


def _of_container(head: str, sas: str, shown: str) -> Place:
    first, _, rest = head.partition("://")[2].partition("/")
    container, at, host = first.partition("@")
    account = None
    if at:
        found = _DATA_LAKE.fullmatch(host.lower())
        if found is None:
            raise errors.StorageError(
                f"{shown} names no storage account.",
                remedy="An address is written abfs://<container>@<account>.dfs.core.windows.net/<path>.",
            )
        account = found.group(1)
    return Place(
        kind=Kind.BLOB,
        account=account,
        endpoint=account and f"https://{account}.blob.core.windows.net",
        container=_checked(container, shown),
        path=rest.strip("/"),
        folder=rest.endswith("/"),
        sas=sas,
    )


def _checked(container: str, shown: str) -> str:
    if not _CONTAINER.fullmatch(container):
        raise errors.StorageError(f"{shown} names no container or share.", remedy=_REMEDY)
    return container
