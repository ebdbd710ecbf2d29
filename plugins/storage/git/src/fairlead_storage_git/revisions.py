"""Which commit a branch, a tag or an id names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from fairlead_storage_git.address import Address

__all__ = ["choose", "prefixes"]

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_ABBREVIATED: Final = re.compile(r"[0-9a-fA-F]{4,39}")
_ID_LENGTH: Final = 40


def prefixes(ref: str | None) -> list[bytes]:
    """The refs that a server need tell of (``ls-refs`` of protocol version 2)."""
    if ref is None or _COMMIT.fullmatch(ref):
        return [b"HEAD"]
    return [b"HEAD", *(name.encode() for name in _names(ref))]


def choose(known: Mapping[str, str], address: Address) -> str:
    """The id of what an address names: its commit, or a tag that stands for one.

    Args:
        known: the refs of the repository, and the ids that they have.
        address: the repository and the ref.

    Raises:
        ArtifactNotFound: there is no such ref.
        StorageError: the ref is ambiguous, or an abbreviated commit.
    """
    ref, shown = address.ref, address.shown
    for identifier in known.values():
        if len(identifier) != _ID_LENGTH:
            raise errors.StorageError(f"{shown} names its objects with SHA-256, which cannot be read yet.")
    if ref is None:
        if "HEAD" not in known:
            raise errors.ArtifactNotFound(f"{shown} has no commit, or no HEAD.", remedy="Name a branch: …@branch")
        return known["HEAD"]
    if _COMMIT.fullmatch(ref):
        return ref
    found = [name for name in _names(ref) if name in known]
    if len(found) == 1:
        return known[found[0]]
    if found:
        raise errors.StorageError(
            f"{shown} has a branch and a tag {ref!a}.", remedy=f"Name one of them: …@{' or …@'.join(found)}"
        )
    if _ABBREVIATED.fullmatch(ref):
        raise errors.StorageError(
            f"{ref} is the start of a commit's id at best, and servers know commits by their whole id only.",
            remedy="Give all 40 digits, in lower case.",
        )
    raise errors.ArtifactNotFound(f"{shown} has no branch and no tag {ref!a}.")


def _names(ref: str) -> list[str]:
    return [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
