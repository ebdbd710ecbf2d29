"""Who uses which version in the cache: each process holds a shared lock, and what is locked is not evicted."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["Leases", "free", "is_locked", "is_used"]

_PARTS: Final = 4  # artifacts/<slot>/versions/<version>


class Leases:
    """The versions that this process uses, until they are released or the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Path, tuple[int, int]] = {}

    def hold(self, version: Path) -> bool:
        """Use a version; held once more for each call.

        Args:
            version: its folder.

        Returns:
            Whether it is there; it is held then.
        """
        with self._lock:
            descriptor, count = self._held.get(version, (-1, 0))
            if not count:
                path = _lock_of(version)
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                if not version.exists():
                    os.close(descriptor)
                    return False
            self._held[version] = (descriptor, count + 1)
            return True

    def release(self, version: Path) -> None:
        """Use it one time less; nothing happens for what is not held."""
        with self._lock:
            descriptor, count = self._held.pop(version, (-1, 0))
            if count > 1:
                self._held[version] = (descriptor, count - 1)
            elif count == 1:
                os.close(descriptor)

    def close(self) -> None:
        """Use none of them any more."""
        with self._lock:
            while self._held:
                _, (descriptor, _) = self._held.popitem()
                os.close(descriptor)

    def hold_within(self, cache: Path, path: Path) -> None:
        """Use the version that a path lies in, if it lies in one of this cache."""
        with contextlib.suppress(ValueError, OSError):
            parts = path.relative_to(cache).parts
            if len(parts) >= _PARTS and (parts[0], parts[2]) == ("artifacts", "versions"):
                self.hold(cache.joinpath(*parts[:_PARTS]))


@contextlib.contextmanager
def free(version: Path) -> Iterator[bool]:
    """Whether nobody uses a version; while that is so, nobody begins to."""
    path = _lock_of(version)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def is_used(version: Path) -> bool:
    """Whether a process uses a version."""
    return is_locked(_lock_of(version))


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock; nothing is written, so that it can be asked of a cache that is only read."""
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # network file systems lock what can be written only
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_of(version: Path) -> Path:
    return version.parent.parent / "leases" / f"{version.name}.lock"
