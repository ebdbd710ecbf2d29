"""Downloading the objects of a listing, several at once, going on where an earlier fetch stopped.

Each thread reads one range of one object. As many threads as there are ranges begin, up to the bound; a large object is
one range at first, and is split among more threads while that makes the whole faster.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.storage import faults, names, uris
from fairlead.storage.growing import Growing, Reader
from fairlead.storage.machine import Deadline, Machine, Retries
from fairlead.storage.partial import Partial, continuable, length
from fairlead.storage.settings import CACHE_VARIABLE, FetchSettings
from fairlead.storage.shares import Growth, Shares
from fairlead.storage.transfer import Segment, Transfer

if TYPE_CHECKING:
    from types import TracebackType

    from fairlead.contracts.storage import RemoteObject, StorageProvider
    from fairlead.storage.cache import Slot
    from fairlead.storage.progress import Advance, Progress

__all__ = ["Download"]

_WORTH_SPLITTING: Final = 2.0
"""Seconds that a range must have before it for another stream to be worth its request."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Worker:
    """A thread, and whether it has done all that it does.

    An interrupt that comes while a thread is joined makes Python take it for ended (python/cpython#90882):
    so it is joined only once it says that it is.
    """

    thread: threading.Thread
    ended: threading.Event

    @property
    def runs(self) -> bool:
        """Whether it has begun and not ended; one whose start was interrupted may never begin."""
        return self.thread.ident is not None and not self.ended.is_set()


class Download:
    """One download; a context manager that ends its threads.

    Args:
        slot: where to; its lock is held.
        provider: where from.
        settings: the limits.
        machine: time, chance and disk.
        deadline: when to give up.
        shares: what it shares with other downloads.
        make_room: asked for so many bytes when the disk has too few; returns how many are free then.
        digest: what the user says that the one object must be, as ``<algorithm>:<hexadecimal>``.
        hashed: whether the SHA-256 of every object is taken; else of those alone that something is compared with, and
            of those that cannot be told from others by their size and tag.
    """

    def __init__(
        self,
        slot: Slot,
        provider: StorageProvider,
        settings: FetchSettings,
        machine: Machine,
        deadline: Deadline,
        shares: Shares | None = None,
        make_room: Callable[[int], int] | None = None,
        digest: str | None = None,
        *,
        hashed: bool = True,
    ) -> None:
        self._slot = slot
        self._provider = provider
        self._settings = settings
        self._machine = machine
        self._deadline = deadline
        self._digest = digest
        self._hashed = hashed
        self._shares = shares or Shares(settings, machine)
        self._make_room = make_room or (lambda _: machine.free_space(slot.partial))
        self._label = uris.redact(slot.uri)
        self._host = uris.authority(slot.uri)
        self.partial = Partial(slot.partial, machine.boot, self._label)
        self._lock = threading.RLock()
        self._transfers: dict[str, Transfer] = {}
        self._pending: deque[Segment] = deque()
        self._active: list[Segment] = []
        self._streams = 0
        self._workers: list[_Worker] = []
        self._failure: BaseException | None = None
        self._stop = threading.Event()
        self._gave_up = False
        self._total = 0
        self._arrived = 0
        self._growth = Growth(0.0)
        self._advance: Advance = lambda _: None
        self._open = contextlib.ExitStack()

    # -- beginning and ending ---------------------------------------------------------------------------

    def __enter__(self) -> Download:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._fail(error)
        try:
            self._join()
        finally:
            # Who is interrupted once more leaves threads behind: closed under them, another file may get the number.
            if not any(worker.runs for worker in self._workers):
                for transfer in self._transfers.values():
                    transfer.growing.close()
                self.partial.close()
            self._open.__exit__(kind, error, traceback)  # a report of what failed has no end

    def start(self, items: Sequence[RemoteObject], progress: Progress) -> None:
        """Begin, in threads; what is there from an earlier attempt is kept.

        Raises:
            StorageError: the objects may not be fetched, or do not fit.
        """
        self._judge(items)
        self.partial.resume(items, self._deadline.check)
        sizes = [item.size for item in items]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        here = 0
        for item in items:
            wanted = tuple(digest for digest in (item.digest, self._digest) if digest is not None)
            hashed = self._hashed or bool(wanted) or item.size is None or not continuable(item)
            if not _proves(self.partial.done.get(item.name), item, wanted, hashed=hashed):
                self.partial.done.pop(item.name, None)
            if item.name not in self.partial.done and not self._in_cache(item):
                transfer = Transfer(item, self.partial, wanted, self._label, hashed=hashed)
                self._transfers[item.name] = transfer
                self._pending += transfer.pending
                here += transfer.growing.here
            else:
                here += length(self.partial.tree / item.name)
        self._ask_for_space(total, here)
        self._total = here
        self._advance = self._open.enter_context(progress.transfer(self._label, total=total, done=here))
        self._growth = Growth(self._machine.clock())
        for transfer in self._transfers.values():
            if not transfer.pending:  # all of it is there, and nobody has verified it yet
                end = transfer.growing.here
                self._pending.append(Segment(transfer, end, end, transfer.item.size))
        for _ in range(min(len(self._pending), self._settings.connections)):
            self._add_stream()

    def _in_cache(self, item: RemoteObject) -> bool:
        """Whether another artefact has the same content, by a digest that the source announces; it is here then."""
        place = self.partial.tree / item.name
        if place.exists() or item.digest is None or not self._slot.take(item.digest, item.size, place):
            return False
        self.partial.note_done(item.name, item.digest.partition(":")[2].lower())
        return True

    def reader(self, name: str) -> Reader:
        """One of the objects as a file that can be read while it arrives."""
        return Reader(self.growing(name))

    def growing(self, name: str) -> Growing:
        """The file of one of the objects; one that was here before the download began is whole."""
        if name in self._transfers:
            return self._transfers[name].growing
        growing = Growing(self.partial.tree / name, None)
        growing.finish()
        return growing

    def finish(self) -> dict[str, str]:
        """Wait until every object is whole, and return the SHA-256 of each by name.

        Raises:
            StorageError: one could not be fetched.
        """
        self._join()
        if self._failure is not None:
            raise self._failure
        return self.partial.done

    def _join(self) -> None:
        """Wait for every thread; while one is waited for, it may add more."""
        joined = 0
        while joined < len(self._workers):
            worker = self._workers[joined]
            if worker.runs:
                worker.ended.wait()
            if worker.ended.is_set():
                worker.thread.join()
            joined += 1

    def _judge(self, items: Sequence[RemoteObject]) -> None:
        if not items:
            raise errors.ArtifactNotFound(f"There is nothing at {self._label}.")
        if self._digest is not None and len(items) > 1:
            raise errors.StorageError(
                f"{self._label} holds {len(items)} objects, and a digest is of one.",
                remedy="Name the one object, or leave the digest out.",
            )
        known = names.Names(self._settings.max_members)
        for item in items:
            known.add(item.name)
        self._bound(sum(item.size or 0 for item in items))

    def _bound(self, total: int) -> None:
        if total > self._settings.max_bytes:
            raise errors.StorageLimitExceeded(
                f"{self._label} has {total} bytes or more, and the limit is {self._settings.max_bytes}.",
                remedy="The setting max_bytes is the limit.",
            )

    def _ask_for_space(self, total: int | None, here: int) -> None:
        if total is None:
            return
        free = self._machine.free_space(self._slot.partial)
        if total - here > free:
            free = self._make_room(total - here)
        if total - here > free:
            raise errors.StorageLimitExceeded(
                f"{self._label} needs {total - here} bytes, and {self._settings.cache} has {free} free.",
                remedy=f"Make room, or name another folder in {CACHE_VARIABLE}.",
            )

    # -- streams ----------------------------------------------------------------------------------------

    def _spawn(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # it is raised again by `finish`, in the thread that waits
                self._fail(error)
            finally:
                worker.ended.set()

        worker = _Worker(threading.Thread(target=run, name="fairlead-fetch", daemon=True), threading.Event())
        self._workers.append(worker)
        try:
            with faults.of_threads(self._label):
                worker.thread.start()
        except errors.StorageError:
            self._workers.remove(worker)
            raise

    def _add_stream(self) -> bool:
        """Begin one more stream, if a thread for it can be started or it would be the first; says whether."""
        with self._lock:
            try:
                self._spawn(self._work)
            except errors.StorageError:
                if not self._streams:
                    raise
                return False
            self._streams += 1
            return True

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._failure is None:
                self._failure = error
            self._stop.set()
            # Streams wait for the source. After a change it is listed again instead, whatever fails because of that.
            changed = isinstance(self._failure, errors.IntegrityError) and isinstance(error, Exception)
            close = not changed and not self._gave_up
            self._gave_up = self._gave_up or close
        for transfer in self._transfers.values():
            transfer.growing.fail(error)
        if close:
            with contextlib.suppress(Exception):  # what failed first is what is told
                self._provider.close()

    def _work(self) -> None:
        """Read one range after another, until there are none left."""
        try:
            while (segment := self._take()) is not None:
                self._guarded(segment.transfer, functools.partial(self._read, segment))
                self._ended(segment)
        finally:
            with self._lock:
                self._streams -= 1

    def _take(self) -> Segment | None:
        """The next range, or half of the one that will take longest."""
        with self._lock:
            if self._stop.is_set():
                return None
            now = self._machine.clock()
            segment = self._pending.popleft() if self._pending else self._half(now)
            if segment is not None:
                segment.asked, segment.arrived = now, None
                transfer = segment.transfer
                transfer.active += 1
                self._active.append(segment)
                if transfer.needs_follower(segment):
                    self._spawn(lambda: self._guarded(transfer, transfer.follow))
            return segment

    def _half(self, now: float) -> Segment | None:
        slow = [segment for segment in self._active if segment.worth_splitting(now) >= _WORTH_SPLITTING]
        return max(slow, key=lambda segment: segment.worth_splitting(now)).split() if slow else None

    def _ended(self, segment: Segment) -> None:
        transfer = segment.transfer
        with self._lock:
            self._active.remove(segment)
            transfer.active -= 1
            whole = not self._stop.is_set() and transfer.whole
        if whole:
            self._guarded(transfer, transfer.finish)

    @staticmethod
    def _guarded(transfer: Transfer, work: Callable[[], None]) -> None:
        try:
            work()
        except errors.IntegrityError:
            transfer.drop()
            raise

    def _grow(self) -> None:
        """Read with more streams, where the last ones made the whole faster."""
        now = self._machine.clock()
        with self._lock:
            if self._stop.is_set() or self._pending or self._streams >= self._settings.connections:
                return
            if not self._growth.wants(now, self._arrived):
                return
            for _ in range(min(self._streams, self._settings.connections - self._streams)):
                half = self._half(now)
                if half is None:
                    return
                self._pending.append(half)
                if not self._add_stream():
                    return

    # -- one range --------------------------------------------------------------------------------------

    def _read(self, segment: Segment) -> None:
        """Read what is missing of a range, attempt after attempt."""
        transfer, item = segment.transfer, segment.transfer.item
        self._deadline.check()
        transfer.read_again()
        retries = Retries(self._settings, self._machine, self._deadline, self._stop)
        while not self._stop.is_set():
            try:
                with self._shares.stream(self._host, self._deadline, self._stop):
                    self._attempt(segment, retries)
                if segment.end is not None and segment.position < segment.end and not self._stop.is_set():
                    raise errors.StorageUnavailable(
                        f"{item.name} of {self._label} ended after {segment.position} of {item.size} bytes."
                    )
                return
            except errors.StorageUnavailable as error:
                if self._stop.is_set():
                    return
                retries.pause(error)
                if not transfer.continuable:
                    lost = transfer.restart(segment)
                    self._count(-lost)

    def _attempt(self, segment: Segment, retries: Retries) -> None:
        item = segment.transfer.item
        if item.size is not None and segment.position >= item.size:
            if segment.position > item.size:
                raise errors.IntegrityError(f"{item.name} of {self._label} has more than {item.size} bytes here.")
            return
        self._deadline.check()
        # To the end of the object no end is asked for: a source that goes on after what it announced is found out.
        end = None if segment.end == item.size else segment.end
        with contextlib.closing(self._chunks(segment, end)) as chunks:
            for chunk in chunks:
                with self._lock:
                    room = len(chunk) if segment.end is None else max(0, segment.end - segment.position)
                    over = len(chunk) > room and segment.end == item.size
                if over:
                    raise errors.IntegrityError(
                        f"{item.name} of {self._label} goes on after the {item.size} bytes that its source announced."
                    )
                self._deadline.check()
                if self._stop.is_set() or not room:
                    return
                data = chunk[:room]
                segment.transfer.write(segment, data)
                if segment.arrived is None:
                    segment.arrived = (self._machine.clock(), segment.position)
                retries.progressed()
                self._count(len(data))
                self._shares.pace(len(data), self._deadline, self._stop)
                self._grow()

    def _chunks(self, segment: Segment, end: int | None) -> Generator[bytes, None, None]:
        """What the provider yields, as a generator: closing it closes the provider's, where that is one."""
        with faults.of_provider(self._label):
            yield from self._provider.open_range(segment.transfer.item, segment.position, end)

    def _count(self, count: int) -> None:
        with self._lock:
            self._total += count
            self._arrived += max(0, count)
            self._bound(self._total)
            self._advance(count)


def _proves(known: str | None, item: RemoteObject, wanted: Sequence[str], *, hashed: bool) -> bool:
    """Whether what an earlier attempt noted of an object is all that is to be known of it now."""
    if not known:
        return known is not None and not hashed
    return all(digest in (f"sha256:{known}", item.digest) for digest in wanted)
