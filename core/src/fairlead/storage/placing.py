"""Putting an artefact into a place of the user's: linked where that is safe, copied elsewhere, and never half there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import filecmp
import os
import shutil
import stat
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fairlead import errors
from fairlead.storage import faults

__all__ = ["STAGING", "clashes", "entries", "link", "make_writable", "place"]

STAGING: Final = ".fairlead"
"""The folder within a place in which its files are gathered, and which is gone once they are there."""

_FICLONE: Final = 0x40049409  # linux/fs.h: the two files share their blocks until one of them is written
_WRITABLE: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_NO_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES, errno.ENOSYS})


def place(source: Path, target: Path, *, writable: bool = False) -> None:
    """Put a file or the files of a folder into a folder.

    A folder that is not there appears whole, in one step. Into one that is there (a mounted volume, for one) each entry
    is moved in one step, after all of them have been gathered beside it; entries of other names stay.

    Files share the blocks of their source where the file system can do that, and are hard links elsewhere: they are
    read-only then, for what would be written to them would be written to the source. Otherwise they are copies.

    Args:
        source: the file or the folder.
        target: the folder.
        writable: whether its owner may write the files; they are no hard links then.

    Raises:
        StorageLimitExceeded: the disk is full.
        StorageError: the folder cannot be written.
    """
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise errors.StorageError(f"{target} lies in {source}.", remedy="Name a folder outside of it.")
    with faults.of_disk(str(source), target, None):
        if target.is_dir():
            staging = target / STAGING / uuid.uuid4().hex
            try:
                staging.mkdir(parents=True)
                _gather(source, staging, writable=writable)
                for entry in sorted(staging.iterdir()):
                    _replace(entry, target / entry.name)
            finally:
                _clear(staging)
            return
        if target.exists() or target.is_symlink():
            raise errors.StorageError(f"{target} is not a folder.", remedy="Name a folder, or a path that is free.")
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            staging.mkdir()
            _gather(source, staging, writable=writable)
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def clashes(source: Path, target: Path) -> list[str]:
    """The entries of a folder that `place` would replace by something else: of another kind, or of other content.

    Args:
        source: the file or the folder to be placed.
        target: the folder.
    """
    found = []
    for name in entries(source):
        new, old = (source if source.is_file() else source / name), target / name
        if (old.exists() or old.is_symlink()) and not _same(new, old):
            found.append(name)
    return found


def _same(new: Path, old: Path) -> bool:
    if new.is_symlink() or old.is_symlink():
        return new.is_symlink() and old.is_symlink() and new.readlink() == old.readlink()
    if new.is_dir() and old.is_dir():
        names = {each.name for each in new.iterdir()}
        return names == {each.name for each in old.iterdir()} and all(_same(new / each, old / each) for each in names)
    return new.is_file() and old.is_file() and filecmp.cmp(new, old, shallow=False)


def link(source: Path, target: Path, names: Iterable[str] | None = None) -> None:
    """Put symbolic links to a file, or to what a folder holds, into a folder; what is there by a name is replaced.

    Args:
        source: the file or the folder; it stays where it is, and has to.
        target: the folder; made if it is not there.
        names: the files of the folder to link, by their paths within it; by default all that it holds, and folders as
            they are.

    Raises:
        StorageError: the folder cannot be written.
    """
    root = source.parent if source.is_file() else source
    wanted = entries(source) if names is None else names
    with faults.of_disk(str(source), target, None):
        staging = target / STAGING / uuid.uuid4().hex
        staging.mkdir(parents=True)
        try:
            for name in wanted:
                beside = staging / name
                beside.parent.mkdir(parents=True, exist_ok=True)
                beside.symlink_to((root / name).absolute())
            for entry in sorted(staging.iterdir()):
                _replace(entry, target / entry.name)
        finally:
            _clear(staging)


def entries(source: Path) -> list[str]:
    """The names that a file, or what a folder holds, has in the folder that it is put into."""
    return [source.name] if source.is_file() else sorted(each.name for each in source.iterdir())


def make_writable(path: Path) -> None:
    """Let the owner write a file, or the files below a folder, where nothing else shares them."""
    files = (Path(parent, name) for parent, _, names in os.walk(path) for name in names)
    for file in [path] if path.is_file() else files:
        status = file.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            file.chmod(stat.S_IMODE(status.st_mode) | stat.S_IWUSR)


def _gather(source: Path, folder: Path, *, writable: bool) -> None:
    if source.is_file():
        _file(source, folder / source.name, writable=writable)
        return
    for parent, folders, files in os.walk(source):
        here = folder / Path(parent).relative_to(source)
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink():
                (here / name).symlink_to(path.readlink())
            elif path.is_dir():
                (here / name).mkdir()
            elif not path.is_file():
                raise errors.StorageError(f"{path} is neither a file nor a folder.")
            else:
                _file(path, here / name, writable=writable)


def _file(source: Path, target: Path, *, writable: bool) -> None:
    if not _cloned(source, target):
        if not writable and not source.stat().st_mode & _WRITABLE:  # a file of the cache; others are their owner's
            try:
                os.link(source, target)
                return
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
        shutil.copyfile(source, target)
    executable = bool(source.stat().st_mode & stat.S_IXUSR)
    target.chmod(0o755 if executable else 0o644)


def _cloned(source: Path, target: Path) -> bool:
    with source.open("rb") as origin, target.open("xb") as copy:
        try:
            fcntl.ioctl(copy, _FICLONE, origin.fileno())
        except OSError:
            target.unlink()
            return False
        return True


def _clear(staging: Path) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    with contextlib.suppress(OSError):
        staging.parent.rmdir()


def _replace(entry: Path, target: Path) -> None:
    """Move an entry to its place; a folder that is there goes away first, in one step as well."""
    if target.is_dir() and not target.is_symlink():
        target.rename(entry.with_name(f".old-{uuid.uuid4().hex}"))
    elif entry.is_dir() and not entry.is_symlink():
        target.unlink(missing_ok=True)
    entry.rename(target)
