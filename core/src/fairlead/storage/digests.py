"""Digests as ``<algorithm>:<hexadecimal>``: reading them, and hashing a file as it arrives."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fairlead import errors

__all__ = ["BLOCK", "Hashes", "Unhashed", "of_file", "parse_pin"]

PINNED_ALGORITHMS: Final = ("sha256", "sha384", "sha512")
"""Algorithms that a user may pin with: those for which nobody can make two files of one digest."""

BLOCK: Final = 1024 * 1024
"""Bytes that are read of a file at a time."""


def parse_pin(text: str) -> str:
    """Check a digest that a user gives, and return it in lower case.

    Raises:
        StorageError: it is not ``<algorithm>:<hexadecimal>`` of a strong algorithm.
    """
    algorithm, _, hexadecimal = text.lower().partition(":")
    if algorithm not in PINNED_ALGORITHMS:
        raise errors.StorageError(
            f"The digest {text!r} is not of the form <algorithm>:<hexadecimal>.",
            remedy=f"The algorithms are {', '.join(PINNED_ALGORITHMS)}; for example sha256:<64 digits>.",
        )
    digits = hashlib.new(algorithm).digest_size * 2
    if not re.fullmatch(f"[0-9a-f]{{{digits}}}", hexadecimal):
        raise errors.StorageError(f"The digest {text!r} does not have the {digits} hexadecimal digits of {algorithm}.")
    return f"{algorithm}:{hexadecimal}"


class Hashes:
    """Several digests of one stream.

    Args:
        wanted: digests that the stream will be compared with; SHA-256 is always taken.

    Raises:
        IntegrityError: a digest is of an algorithm that this Python does not have.
    """

    def __init__(self, wanted: Iterable[str]) -> None:
        self.wanted = tuple(wanted)
        names = {"sha256", *(digest.partition(":")[0] for digest in self.wanted)}
        try:
            self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(names)}
        except ValueError:
            raise errors.IntegrityError(
                f"The content cannot be verified: one of {', '.join(sorted(names))} is not a known algorithm."
            ) from None

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the stream."""
        for known in self._hashes.values():
            known.update(chunk)

    def restarted(self) -> Hashes:
        """The same digests of a stream that starts again."""
        return Hashes(self.wanted)

    @property
    def sha256(self) -> str:
        """The SHA-256 so far, in hexadecimal."""
        return self._hashes["sha256"].hexdigest()

    def verify(self, subject: str) -> None:
        """Compare the stream with every digest that is wanted.

        Raises:
            IntegrityError: one differs.
        """
        for digest in self.wanted:
            algorithm, _, expected = digest.partition(":")
            found = self._hashes[algorithm].hexdigest()
            if found != expected.lower():
                raise errors.IntegrityError(
                    f"{subject} has the {algorithm} digest {found}, and should have {expected.lower()}.",
                    remedy="It was damaged or exchanged on the way, or the digest is of another file.",
                )


class Unhashed(Hashes):
    """In the place of digests that nobody needs now."""

    def __init__(self) -> None:
        super().__init__(())

    def update(self, chunk: bytes) -> None:
        """Pass over the next bytes of the stream."""

    def restarted(self) -> Unhashed:
        """The same of a stream that starts again."""
        return self

    @property
    def sha256(self) -> str:
        """Nothing is known."""
        return ""


def of_file(path: Path, hashes: Hashes) -> Hashes:
    """Take a whole file into ``hashes``, block by block."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            hashes.update(block)
    return hashes
