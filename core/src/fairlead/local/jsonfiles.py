"""Plain data in files: written as a whole or not at all, and never fatal when broken."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from fairlead import errors

__all__ = ["load", "save", "set_aside"]

_log = logging.getLogger("fairlead.local")


def save(path: Path, value: Any, *, durable: bool) -> None:
    """Write plain data: all of it is in the file afterwards, or what was there before.

    Args:
        path: the file.
        value: the data.
        durable: whether it is on the disk before this returns, and outlives the machine's sudden end.

    Raises:
        StateNotSaved: it cannot be written.
    """
    data = json.dumps(value, separators=(",", ":")).encode()
    try:
        _replace(path, data, durable=durable)
    except OSError as error:
        raise errors.StateNotSaved(
            f"{path} cannot be written: {error.strerror}.",
            remedy="Make room on the disk, or name another folder with FAIRLEAD_STATE.",
        ) from error


def load(path: Path) -> Any:
    """What a file holds; None where there is none, or where it is broken: then it is set aside."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s cannot be read, and is ignored: %s", path, error.strerror)
    except (ValueError, RecursionError) as error:
        set_aside(path, str(error))
    return None


def set_aside(path: Path, why: str) -> None:
    """Rename a file that cannot be used, so that somebody can look at it."""
    aside = path.with_name(f"{path.name}.broken")
    _log.warning("%s is broken, and is set aside as %s: %s", path, aside.name, why)
    with contextlib.suppress(OSError):
        path.replace(aside)


def _replace(path: Path, data: bytes, *, durable: bool) -> None:
    """Write a file beside another and put it in its place."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor has no path
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105  # mkstemp gives a text
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108  # mkstemp gives a text
        raise
    if durable:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
