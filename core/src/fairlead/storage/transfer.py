"""One object on its way: its file, the ranges of it that are read, and its digests."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Final

from fairlead.storage import digests
from fairlead.storage.growing import BLOCK, Reader
from fairlead.storage.partial import Partial, continuable

if TYPE_CHECKING:
    from fairlead.contracts.storage import RemoteObject

__all__ = ["Segment", "Transfer"]

_LONGEST: Final = 4096 * BLOCK
"""Bytes of the longest range that one stream reads; of larger objects the first ranges are read first."""

_HASHED: Final = 256 * 1024
"""Bytes that are read at a time to take a digest."""

_SHORTEST: Final = 32 * BLOCK
"""Bytes that each half of a range that is split must have."""


@dataclasses.dataclass(slots=True, eq=False)
class Segment:
    """A range of an object that one stream reads.

    Attributes:
        transfer: the object.
        start: where it began.
        position: the next byte.
        end: the byte after its last one; None where nobody knows. It moves when the range is split.
        asked: when its stream was asked for, in seconds.
        arrived: when the first bytes of it came, and how many were there then; None before.
    """

    transfer: Transfer
    start: int
    position: int
    end: int | None
    asked: float = 0.0
    arrived: tuple[float, int] | None = None

    @property
    def left(self) -> int:
        """Bytes that are still to come; zero where nobody knows."""
        return 0 if self.end is None else self.end - self.position

    def worth_splitting(self, now: float) -> float:
        """Seconds that the rest will take at its own rate, beyond what another stream costs until it begins.

        Zero where there is no telling.
        """
        if self.arrived is None:
            return 0.0
        first, position = self.arrived
        elapsed, done = now - first, self.position - position
        if elapsed <= 0 or done <= 0:
            return 0.0
        return self.left * elapsed / done - 2 * (first - self.asked)

    def split(self) -> Segment | None:
        """Give the second half of what is left to a segment of its own; None where that is too short."""
        if self.end is None or self.left < 2 * _SHORTEST or not self.transfer.growing.blocks:
            return None
        middle = (self.position + self.left // 2) // BLOCK * BLOCK
        other = Segment(self.transfer, middle, middle, self.end)
        self.end = middle
        return other


class Transfer:
    """One object on its way.

    Args:
        item: what the source says of it.
        partial: where its file is.
        wanted: digests that it must have.
        label: what is fetched, for messages.
        hashed: whether its SHA-256 is taken as it arrives; not where nothing is wanted of it.
    """

    def __init__(
        self, item: RemoteObject, partial: Partial, wanted: tuple[str, ...], label: str, *, hashed: bool = True
    ) -> None:
        self.item = item
        self.label = label
        self.growing = partial.growing(item)
        missing = self.growing.missing(_LONGEST)
        self.pending = [Segment(self, start, start, end) for start, end in missing]
        self.active = 0
        self.followed = False
        self._partial = partial
        self._hashes = digests.Hashes(wanted) if hashed else digests.Unhashed()
        self._is_hashed = hashed
        self._hashed = 0
        self._hashing = threading.Lock()

    @property
    def continuable(self) -> bool:
        """Whether a part of it may be joined to another that is read later."""
        return continuable(self.item)

    def needs_follower(self, segment: Segment) -> bool:
        """Whether the digest has to be taken by a thread that reads behind those that write.

        One stream from front to back takes it as it writes. Once there are two, or the front is there already, somebody
        has to wait for the pieces in their order. True once.
        """
        if (
            self.followed
            or not self._is_hashed
            or not self.growing.blocks
            or (self.active == 1 and segment.start == self._hashed)
        ):
            return False
        with self._hashing:
            self.followed = True
        return True

    @property
    def whole(self) -> bool:
        """Whether all of it is there, and its digest taken; that of one that is followed its follower takes."""
        there = self._hashed if self._is_hashed else self.growing.here
        return not self.followed and not self.active and self.item.size in (None, there)

    def read_again(self) -> None:
        """Take what is there from an earlier attempt into the digest; for an object that arrives from front to back."""
        if self._is_hashed and not self.growing.blocks and self.growing.here:
            digests.of_file(self.growing.path, self._hashes)
            self._hashed = self.growing.here

    def write(self, segment: Segment, data: bytes) -> None:
        """Write the next bytes of a segment."""
        self.growing.write(segment.position, data, segment.start)
        with self._hashing:
            if not self.followed:
                self._hashes.update(data)
                self._hashed += len(data)
        segment.position += len(data)

    def restart(self, segment: Segment) -> int:
        """Forget what is there, since it cannot be continued; returns how many bytes that were."""
        lost = segment.position
        self.growing.restart()
        self._hashes, self._hashed = self._hashes.restarted(), 0
        segment.start = segment.position = 0
        return lost

    def follow(self) -> None:
        """Take the digest of the whole file as it arrives, and finish it.

        Raises:
            IntegrityError: it is another one than it should be.
        """
        with Reader(self.growing) as reader:
            reader.seek(self._hashed)
            while block := reader.read(_HASHED):
                self._hashes.update(block)
        self.finish()

    def drop(self) -> None:
        """Remove what is there, or the next fetch would go on from bytes that are known to be wrong."""
        self._partial.drop(self.item.name)

    def finish(self) -> None:
        """Compare the digest of what arrived, and note that it is whole.

        Raises:
            IntegrityError: it is another one than it should be.
        """
        self._hashes.verify(f"{self.item.name} of {self.label}")
        self._partial.note_done(self.item.name, self._hashes.sha256)
        self.growing.finish()
