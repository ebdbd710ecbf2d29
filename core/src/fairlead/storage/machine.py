"""What a fetch asks of the machine: time, chance and disk; and the deadline and the pauses made from them."""

from __future__ import annotations

import dataclasses
import logging
import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.storage.settings import FetchSettings

__all__ = ["Deadline", "Machine", "Retries"]

_log = logging.getLogger("fairlead.storage")


def _free_space(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _boot() -> str:
    """A name of this run of the machine: the kernel's on Linux; elsewhere the minute at which it was started."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(round((time.time() - time.monotonic()) / 60))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine, one function for each thing that a fetch asks of it.

    Attributes:
        clock: seconds that only grow.
        sleep: wait for so many seconds.
        chance: a number from 0 to 1.
        free_space: bytes that are free on the file system of a folder.
        wait: wait until an event is set, or for so many seconds.
        boot: names this run of the machine; what was written in another one may not have reached the disk.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    free_space: Callable[[Path], int] = _free_space
    wait: Callable[[threading.Event, float], object] = threading.Event.wait
    boot: str = dataclasses.field(default_factory=_boot)


class Deadline:
    """The moment by which a fetch has to be done.

    Args:
        subject: what is fetched, for messages.
        seconds: how long from now.
        clock: seconds that only grow.
    """

    def __init__(self, subject: str, seconds: float, clock: Callable[[], float]) -> None:
        self.subject = subject
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left; negative after the end."""
        return self._end - self._clock()

    def check(self) -> None:
        """Return while there is time left.

        Raises:
            StorageTimeout: there is none.
        """
        if self.remaining <= 0:
            raise self.passed("was not fetched")

    def passed(self, what: str) -> errors.StorageTimeout:
        """The error to raise when time is up."""
        return errors.StorageTimeout(
            f"{self.subject} {what} within {self.seconds:g} seconds.",
            remedy="Fetch again to continue where it stopped, or raise the setting deadline.",
        )


class Retries:
    """Pauses between attempts, each twice as long as the one before; a pause ends when the fetch is given up."""

    def __init__(
        self, settings: FetchSettings, machine: Machine, deadline: Deadline, stop: threading.Event | None = None
    ) -> None:
        self._settings = settings
        self._machine = machine
        self._deadline = deadline
        self._stop = stop or threading.Event()
        self._failures = 0

    def progressed(self) -> None:
        """Forget failures: the source answers again."""
        self._failures = 0

    def pause(self, error: errors.StorageUnavailable) -> None:
        """Wait before the next attempt.

        Raises:
            StorageUnavailable: there were too many attempts; it says how many, after what ``error`` says.
            StorageTimeout: the pause would end after the deadline.
        """
        self._failures += 1
        if self._failures > self._settings.retries:
            raise self._given_up(error)
        delay = min(self._settings.backoff * 2.0 ** (self._failures - 1), self._settings.max_backoff)
        delay *= 1 - self._machine.chance() / 2
        delay = max(delay, error.retry_after or 0.0)
        if delay >= self._deadline.remaining:
            raise self._deadline.passed(f"was not fetched ({error.reason})") from error
        _log.warning(
            "%s; trying again in %g s (%d of %d)",
            error.reason.rstrip("."),
            round(delay, 1),
            self._failures,
            self._settings.retries,
        )
        self._machine.wait(self._stop, delay)

    def _given_up(self, error: errors.StorageUnavailable) -> errors.StorageUnavailable:
        if self._failures == 1:
            return error
        given_up = errors.StorageUnavailable(
            f"{error.reason.rstrip('.')}; it was tried {self._failures} times in a row.",
            remedy=error.remedy,
            retry_after=error.retry_after,
        )
        given_up.__cause__ = error
        return given_up
