"""Where the folders of platforms are, and folders that are one user's alone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from fairlead import errors

__all__ = ["STATE_VARIABLE", "make_private", "runtime_folder", "state_folder"]

STATE_VARIABLE: Final = "FAIRLEAD_STATE"

PRIVATE: Final = 0o700

_LONGEST_SOCKET: Final = 100
"""Bytes that the path of a Unix socket may have on every system: 104 with the zero at its end."""

_LONGEST_SOCKET_NAME: Final = 24


def state_folder(environ: Mapping[str, str]) -> Path:
    """The folder of all platforms' states.

    Args:
        environ: the environment, of which ``FAIRLEAD_STATE``, else ``XDG_STATE_HOME`` says where it is.
    """
    if named := environ.get(STATE_VARIABLE):
        return Path(named).absolute()
    # The XDG base directory specification tells to ignore a relative path here.
    shared = Path(environ.get("XDG_STATE_HOME", ""))
    home = Path(environ.get("HOME") or Path.home())
    return (shared if shared.is_absolute() else home / ".local" / "state") / "fairlead"


def runtime_folder(environ: Mapping[str, str], state: Path, name: str) -> tuple[Path, Path]:
    """The folder of all platforms' sockets, and within it that of one platform.

    Platforms of one name with states in different places are different ones, and their sockets must differ, too.

    Args:
        environ: the environment, of which ``XDG_RUNTIME_DIR`` says where it is; where that is not this user's own, or
            makes paths too long for sockets, it is in ``/tmp``.
        state: the folder of all platforms' states.
        name: the name of the platform.
    """
    usual = state == _usual_state()
    inner = Path(name) if usual else Path(hashlib.sha256(os.fsencode(state)).hexdigest()[:8]) / name
    shared = Path(environ.get("XDG_RUNTIME_DIR", ""))
    root = shared / "fairlead"
    longest = len(os.fsencode(root / inner)) + 1 + _LONGEST_SOCKET_NAME
    # After su or sudo it may be that of another user.
    if not (shared.is_absolute() and longest <= _LONGEST_SOCKET and _is_mine(shared)):
        root = Path("/tmp") / f"fairlead-{os.getuid()}"  # noqa: S108  # made and checked by make_private
    return root, root / inner


def make_private(root: Path, folder: Path) -> None:
    """Make a folder and those between it and a root, the root included, each for this user alone.

    Raises:
        ConfigurationError: one of them is another user's, a link, or no folder.
    """
    for each in _between(root, folder):
        try:
            with contextlib.suppress(FileExistsError):
                each.mkdir(mode=PRIVATE)
            found = each.lstat()
            why = _why_not_private(found)
            if why is None:
                each.chmod(PRIVATE)
                continue
        except OSError as error:
            why = str(error.strerror or error)
        raise errors.ConfigurationError(
            f"{each} cannot hold the platform's sockets: {why}.",
            remedy="Remove it, or name a folder of your own in XDG_RUNTIME_DIR.",
        )


def _why_not_private(found: os.stat_result) -> str | None:
    if stat.S_ISLNK(found.st_mode):
        return "it is a link"
    if not stat.S_ISDIR(found.st_mode):
        return "it is no folder"
    if found.st_uid != os.getuid():
        return "it belongs to another user"
    return "others may write to it" if found.st_mode & 0o022 else None


def _between(root: Path, folder: Path) -> Sequence[Path]:
    found = [folder, *folder.parents]
    return found[found.index(root) :: -1]


def _usual_state() -> Path | None:
    """The folder of states without any variable; None for a user without a home."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local" / "state" / "fairlead"
    except KeyError:
        return None


def _is_mine(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return False
