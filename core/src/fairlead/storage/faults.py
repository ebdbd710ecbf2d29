"""Turning the exceptions of providers and of the disk into those of `fairlead.errors`."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from fairlead import errors
from fairlead.storage.settings import CACHE_VARIABLE

__all__ = ["of_disk", "of_provider", "of_threads"]

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
def of_threads(subject: str) -> Iterator[None]:
    """Around starting a thread.

    Raises:
        StorageError: the system has none left.
    """
    try:
        yield
    except RuntimeError as error:
        raise errors.StorageError(
            f"{subject} was not fetched: no thread can be started.",
            remedy="The system bounds the threads and the memory of a user or a container; raise that.",
        ) from error


@contextlib.contextmanager
def of_disk(subject: str, folder: Path, setting: str | None = CACHE_VARIABLE) -> Iterator[None]:
    """Around writing to the cache, or to another folder.

    Args:
        subject: what is written.
        folder: where to.
        setting: the variable that names the folder; None where the user names it on the spot.

    Raises:
        StorageLimitExceeded: the disk, a quota or the table of files is full.
        StorageError: the folder cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        where = f"{subject} was not fetched to {folder}: {error.strerror or type(error).__name__}."
        by = f" in {setting}" if setting else ""
        if error.errno in _FULL:
            raise errors.StorageLimitExceeded(where, remedy=f"Make room, or name another folder{by}.") from error
        raise errors.StorageError(where, remedy=f"Name a folder that can be written{by}.") from error
