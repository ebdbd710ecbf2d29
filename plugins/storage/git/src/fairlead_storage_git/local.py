"""Repositories of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead import errors
from fairlead_storage_git import revisions
from fairlead_storage_git.objects import Local

if TYPE_CHECKING:
    from fairlead_storage_git.address import Address

__all__ = ["opened"]


def opened(address: Address) -> tuple[Local, str]:
    """The objects of a repository, and the id of what its ref names.

    Raises:
        ArtifactNotFound: there is no repository, no such ref or no such commit.
        StorageError: the repository is of a kind that cannot be read.
    """
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo, UnsupportedExtension, UnsupportedVersion

    try:
        repository = Repo(str(address.path))
    except NotGitRepository:
        remedy = "An @ in a path is written %40; a ref follows the last @." if address.ref else None
        raise errors.ArtifactNotFound(f"{address.shown} is no git repository.", remedy=remedy) from None
    except (UnsupportedExtension, UnsupportedVersion):
        raise errors.StorageError(f"{address.shown} is of a version that cannot be read.") from None
    except ValueError as error:  # dulwich reads numbers of the configuration without their units
        raise errors.StorageError(
            f"The configuration of {address.shown} cannot be read.",
            remedy="Write numbers in it without k, m or g, or name a clone: git clone --bare.",
        ) from error
    objects = Local(repository)
    try:
        known = {name.decode(errors="replace"): value.decode() for name, value in repository.get_refs().items()}
        commit = revisions.choose(known, address)
        if objects.locate(commit) is None:
            raise errors.ArtifactNotFound(f"{address.shown} has no commit {commit}.")
    except BaseException:
        objects.close()
        raise
    return objects, commit
