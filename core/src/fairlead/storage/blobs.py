"""The content of every file in the cache, once, by its SHA-256; the files of artefacts are hard links to it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import uuid
from pathlib import Path
from typing import Final

from fairlead.storage import digests

__all__ = ["Blobs", "files"]

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES})
"""What says that a file system has no hard links, or no more for this file: each artefact has its own copy then."""


_BLOB: Final = re.compile(r"[0-9a-f]{64}(\.x)?")


class Blobs:
    """The blobs of one cache; safe among threads and processes, since each step is one link or one rename.

    Args:
        cache: the cache folder.
    """

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "blobs"

    def path(self, digest: str, *, executable: bool = False) -> Path:
        """Where a content is; a file that may be executed is another one, since its mode is the content's."""
        return self._folder / digest[:2] / (f"{digest}.x" if executable else digest)

    def share(self, file: Path, digest: str, size: int) -> None:
        """Make a file a link to the blob of its content, or the blob a link to it; it becomes read-only.

        Args:
            file: the file; its content was verified.
            digest: its SHA-256 in hexadecimal.
            size: its length in bytes.
        """
        mode = file.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            return
        executable = bool(mode & 0o100)
        file.chmod(0o555 if executable else 0o444)
        blob = self.path(digest, executable=executable)
        blob.parent.mkdir(parents=True, exist_ok=True)
        beside = blob.with_name(f".{uuid.uuid4().hex}")  # not beside the file: what is in a version is looked at
        try:
            if self._sound(blob, digest, size):
                os.link(blob, beside)
                beside.replace(file)
                beside.unlink(missing_ok=True)  # a rename between two links of one file does nothing
            else:
                os.link(file, beside)
                beside.replace(blob)
        except FileNotFoundError:
            return  # it was evicted in this moment; the file is whole without it
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise

    def take(self, digest: str | None, size: int | None, target: Path) -> bool:
        """Link a blob to a place, where there is one of this digest; it is read and compared first.

        Args:
            digest: as a source announces it, ``sha256:<hexadecimal>``; others are not in the cache.
            size: its length in bytes, where that is known.
            target: the place; nothing is there.

        Returns:
            Whether it is there now.
        """
        algorithm, _, value = (digest or "").partition(":")
        if algorithm != "sha256":
            return False
        blob = self.path(value.lower())
        try:
            if size not in (None, blob.stat().st_size):
                return False
            if digests.of_file(blob, digests.Hashes(())).sha256 != value.lower():
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(blob, target)
        except OSError:
            return False
        return True

    def drop(self, digest: str | None) -> None:
        """Remove a blob that is damaged; the artefacts that share it are found out when they are verified."""
        if digest is not None:
            for executable in (False, True):
                with contextlib.suppress(OSError):
                    self.path(digest, executable=executable).unlink()

    def sweep(self) -> int:
        """Remove the blobs that no artefact uses any more; returns their bytes.

        Links elsewhere, to where an artefact was placed, keep none here. One that begins to be used in this moment is
        whole without its blob.
        """
        freed = 0
        used = files(self._folder.with_name("artifacts"))
        for blob in self._folder.glob("*/*"):
            if not _BLOB.fullmatch(blob.name) or blob.parent.is_symlink():
                continue  # it is none of a cache's: nothing outside of it is removed
            with contextlib.suppress(FileNotFoundError):
                status = blob.stat(follow_symlinks=False)
                if (status.st_dev, status.st_ino) not in used:
                    blob.unlink()
                    freed += status.st_size
        return freed

    @staticmethod
    def _sound(blob: Path, digest: str, size: int) -> bool:
        """Whether a blob is what its name says; it is read, for it takes the place of what was just verified."""
        try:
            return blob.stat().st_size == size and digests.of_file(blob, digests.Hashes(())).sha256 == digest
        except OSError:
            return False


def files(folder: Path) -> dict[tuple[int, int], int]:
    """The files below a folder, each once however many names it has: device and inode, and bytes on the disk."""
    found: dict[tuple[int, int], int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(os.path.join(parent, name), follow_symlinks=False)  # noqa: PTH116,PTH118  # many
                found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return found
