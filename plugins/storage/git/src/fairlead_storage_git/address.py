"""Addresses of git repositories, in the syntax that pip uses for them."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from pathlib import Path
from typing import Final

from fairlead import errors
from fairlead.storage import uris

__all__ = ["Address"]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SYNTAX: Final = "An address is written git+https://host/path/repository.git@ref#subdirectory=folder."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What a URI names.

    Attributes:
        shown: the repository, as it may be shown.
        url: where the repository is, ``http(s)://host/path`` without user information; None for one of this machine.
        path: where it is on this machine; None for one elsewhere.
        user: the user that the URL names.
        ref: a branch, a tag, a full name of a ref, or a commit; None for what the repository's HEAD says.
        folder: the folder or file in the repository; empty for all of it.
        tree: whether the folder must be one, because its name ends with ``/``.
    """

    shown: str
    url: str | None = None
    path: Path | None = None
    user: str | None = None
    ref: str | None = None
    folder: str = ""
    tree: bool = False

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Read a URI.

        Raises:
            UnsafeArtifact: it holds a password, or a folder outside the repository.
            StorageError: it is not an address of this kind, or of a transport that cannot be used.
        """
        shown = uris.redact(uri)
        if _CONTROL.search(uri):
            raise errors.StorageError(f"The URI {shown!a} contains control characters.")
        kind = (uris.scheme(uri) or "").removeprefix("git+")
        if kind == "ssh":
            raise errors.StorageError(
                f"{shown} is to be read over ssh, which needs keys and known hosts of this machine.",
                remedy="Use git+https:// with a token: GIT_USERNAME and GIT_PASSWORD.",
            )
        repository, _, fragment = uri.partition("#")
        if "?" in repository:
            raise errors.StorageError(
                f"{shown} is given with a query ('?…'), which means nothing here.", remedy=_SYNTAX
            )
        folder, tree = _folder(fragment, shown)
        _, _, rest = repository.partition("://")
        authority, slash, path = rest.partition("/")
        # pip's rule: the ref follows the last @ of the path; an @ in a path is written %40.
        path, at, ref = path.rpartition("@") if "@" in path else (path, "", "")
        if at and not ref:
            raise errors.StorageError(f"{shown} ends with an @ and names no ref.", remedy=_SYNTAX)
        named = urllib.parse.unquote(ref) or None
        where = f"{authority.rpartition('@')[2]}{slash}{path}".rstrip("/")
        known = {"shown": f"git+{kind}://{where}", "ref": named, "folder": folder, "tree": tree}
        if kind == "file":
            return cls(path=uris.local_path(f"file://{authority}{slash}{path}"), **known)  # type: ignore[arg-type]  # checked above
        if kind not in ("http", "https") or not path.strip("/"):
            raise errors.StorageError(f"{shown} names no repository.", remedy=_SYNTAX)
        return cls(url=f"{kind}://{where}", user=_user(authority, shown), **known)  # type: ignore[arg-type]  # checked above


def _user(authority: str, shown: str) -> str | None:
    information, at, _ = authority.rpartition("@")
    if not at:
        return None
    name, colon, _ = information.partition(":")
    if colon:
        raise errors.UnsafeArtifact(
            f"{shown} is given with a password, which would show in logs.",
            remedy="Leave it out of the address, and set GIT_PASSWORD.",
        )
    return urllib.parse.unquote(name) or None


def _folder(fragment: str, shown: str) -> tuple[str, bool]:
    folder = ""
    for field in filter(None, fragment.split("&")):
        key, equals, value = field.partition("=")
        if key != "subdirectory" or not equals or not value or folder:
            raise errors.StorageError(
                f"{shown} is given with the fragment part {key!a}; "
                "one subdirectory= and, at the end, #sha256=<hexadecimal> are known.",
                remedy=_SYNTAX,
            )
        folder = urllib.parse.unquote(value)
    if _CONTROL.search(folder) or ".." in folder.split("/"):
        raise errors.UnsafeArtifact(f"{shown} names the folder {folder!a}, which is not one of the repository.")
    return folder.strip("/"), folder.endswith("/")
