r"""Safe names: what a source calls its objects, checked before anything is written.

A name is a relative path with ``/`` that means the same file on every system. Refused are ``..`` and ``.``, absolute
paths, drive letters, backslashes, control characters, text that is not Unicode, over-long parts, and two names that
one file system would keep apart and another would not.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from fairlead import errors

__all__ = ["Names", "check"]

MAX_PART_BYTES: Final = 255
"""The longest file name of common file systems."""

MAX_NAME_BYTES: Final = 1024
"""The longest whole name; S3 has the same bound."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")


def check(name: str) -> tuple[str, ...]:
    """Split a name into its parts.

    Raises:
        UnsafeArtifact: the name could mean a place outside the target, or cannot be a file name.
    """
    problem = _problem(name)
    if problem is not None:
        shown = ascii(name if len(name) <= 80 else f"{name[:80]}…")
        raise errors.UnsafeArtifact(
            f"The artefact holds an object named {shown}, which {problem}.",
            remedy="Nothing was written; rename the object at its source.",
        )
    return tuple(name.split("/"))


def _problem(name: str) -> str | None:
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    parts = name.split("/")
    checks = (
        (not name, "is empty"),
        (bool(_CONTROL.search(name)), "contains a control character"),
        (name.startswith("/"), "is an absolute path"),
        ("\\" in name, "contains a backslash"),
        (bool(_DRIVE.match(name)), "starts with a drive letter"),
        (".." in parts, "leaves the target folder through '..'"),
        ("" in parts, "has an empty component"),
        ("." in parts, "has a component '.'"),
        (len(encoded) > MAX_NAME_BYTES, f"is longer than {MAX_NAME_BYTES} bytes"),
        (max(len(part.encode()) for part in parts) > MAX_PART_BYTES, f"has a part longer than {MAX_PART_BYTES} bytes"),
    )
    return next((text for wrong, text in checks if wrong), None)


class Names:
    """The names of one artefact, each added once.

    Args:
        limit: how many there may be, folders included.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        self._seen: dict[str, tuple[str, bool]] = {}

    def add(self, name: str, *, folder: bool = False) -> None:
        """Add a name; a folder may come again, a file may not.

        Raises:
            UnsafeArtifact: the name is unsafe, or clashes with one before it.
            StorageLimitExceeded: there are too many.
        """
        self._count()
        parts = check(name)
        for depth in range(1, len(parts)):
            self._place("/".join(parts[:depth]), folder=True, is_parent=True)
        self._place(name, folder=folder)

    def _count(self) -> None:
        self.count += 1
        if self.count > self.limit:
            raise errors.StorageLimitExceeded(
                f"The artefact has more than {self.limit} members, folders included.",
                remedy="The setting max_members bounds them.",
            )

    def _place(self, name: str, *, folder: bool, is_parent: bool = False) -> None:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if folded not in self._seen:
            if is_parent:
                self._count()
            self._seen[folded] = (name, folder)
            return
        before, was_folder = self._seen[folded]
        if before != name:
            raise errors.UnsafeArtifact(
                f"The artefact holds {before!a} and {name!a}, which are one file on systems that do not "
                "tell upper from lower case.",
                remedy="Rename one of them at the source.",
            )
        if not (folder and was_folder):
            what = "a file and a folder" if folder or was_folder else "two files"
            raise errors.UnsafeArtifact(f"The artefact holds {what} of the same name {name!a}.")
