"""The unpickling policy: the one place that decides whether a file that can run code may be loaded.

Pickles (``.pkl``, ``.joblib``, most framework checkpoints) and Python files run code as they load. Every runtime
opens such a file through `UnpicklingPolicy.open`, so that one setting holds for all of them, and before the first
opcode runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import hashlib
import io
import re
from typing import IO, TYPE_CHECKING

from fairlead import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["UnpicklingMode", "UnpicklingPolicy"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class UnpicklingMode(enum.StrEnum):
    """What is done with a file that can run code."""

    ALLOW = "allow"
    DENY = "deny"
    TRUSTED = "trusted"


@dataclasses.dataclass(frozen=True, slots=True)
class UnpicklingPolicy:
    """Whether files that run code as they load may be loaded.

    Attributes:
        mode: allow all, deny all, or load only files whose digest is listed.
        digests: the digests that are trusted, each ``sha256:<64 hexadecimal digits>``.
    """

    mode: UnpicklingMode = UnpicklingMode.ALLOW
    digests: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> UnpicklingPolicy:
        """Read ``allow``, ``deny``, or a comma-separated list of trusted ``sha256:`` digests.

        Raises:
            ConfigurationError: it is none of these.
        """
        words = [word.strip().lower() for word in text.split(",") if word.strip()]
        if words in (["allow"], ["deny"]):
            return cls(UnpicklingMode(words[0]))
        if words and all(_DIGEST.fullmatch(word) for word in words):
            return cls(UnpicklingMode.TRUSTED, frozenset(words))
        raise errors.ConfigurationError(
            f"{text!r} is not an unpickling policy.",
            remedy="Use allow, deny, or digests as sha256:<64 hexadecimal digits>, separated by commas.",
        )

    def permits(self, path: Path) -> bool:
        """Whether `open` would open this file; reads it whole when digests decide."""
        if self.mode is UnpicklingMode.TRUSTED:
            return _digest_of(path) in self.digests
        return self.mode is UnpicklingMode.ALLOW

    @contextlib.contextmanager
    def open(self, path: Path) -> Iterator[IO[bytes]]:
        """Open a file that runs code as it loads, when the policy permits it.

        With trusted digests the whole file is read into memory, and what was hashed is what is handed out: nobody
        can change it in between.

        Args:
            path: the file.

        Yields:
            The file, open for reading at its start.

        Raises:
            UnpicklingRefused: the policy does not permit it; nothing of the file has been interpreted.
        """
        if self.mode is UnpicklingMode.DENY:
            raise errors.UnpicklingRefused(
                f"{path.name} can run code as it loads, and the unpickling policy is deny.",
                remedy="Save the model in a format without code (skops for scikit-learn), "
                f"or trust this file alone: --unpickling {_digest_of(path)}",
            )
        if self.mode is UnpicklingMode.TRUSTED:
            content = path.read_bytes()
            digest = _digest(content)
            if digest not in self.digests:
                raise errors.UnpicklingRefused(
                    f"{path.name} can run code as it loads, and its digest {digest} is not trusted.",
                    remedy="If you trust the file, add the digest to the unpickling policy.",
                )
            yield io.BytesIO(content)
            return
        with path.open("rb") as file:
            yield file


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
