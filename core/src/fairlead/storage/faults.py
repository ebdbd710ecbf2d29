"""Turning the exceptions of providers and of the disk into those of `fairlead.errors`."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from fairlead import errors
from fairlead.storage.settings import CACHE_VARIABLE

__all__ = ["of_disk", "of_provider"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def of_provider(subject: str) -> Iterator[None]:
    """Around calls of a provider; its text is left out, since clients put signed URLs into theirs.

    Raises:
        StorageError: the provider raised something else.
    """
    try:
        yield
    except errors.StorageError:
        raise
    except errors.FairleadError as error:
        raise errors.StorageError(error.reason, remedy=error.remedy) from error
    except Exception as error:
        raise errors.StorageError(
            f"{subject} was not fetched: its storage provider raised {type(error).__name__}.",
            remedy="Providers raise errors of fairlead.errors; please report this to the provider's author.",
        ) from error


@contextlib.contextmanager
def of_disk(subject: str, folder: Path) -> Iterator[None]:
    """Around writing to the cache.

    Raises:
        StorageLimitExceeded: the disk, a quota or the table of files is full.
        StorageError: the folder cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        where = f"{subject} was not fetched to {folder}: {error.strerror or type(error).__name__}."
        remedy = f"Make room, or name another folder in {CACHE_VARIABLE}."
        if error.errno in _FULL:
            raise errors.StorageLimitExceeded(where, remedy=remedy) from error
        raise errors.StorageError(where, remedy=f"Name a folder that can be written in {CACHE_VARIABLE}.") from error
