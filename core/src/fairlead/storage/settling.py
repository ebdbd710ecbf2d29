"""Taking the digests of artefacts after they were handed over, where nothing has to be compared with them before.

Until then a version has no blobs and cannot be verified, so that in another run of the machine it is fetched again.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.storage import digests, uris
from fairlead.storage.machine import Deadline

if TYPE_CHECKING:
    from fairlead.storage.cache import Record, Slot
    from fairlead.storage.machine import Machine

__all__ = ["Settling"]

_log = logging.getLogger("fairlead.storage")

_PATIENCE = 60.0
"""Seconds to wait for another process that holds the slot."""


class Settling:
    """The threads of one process that take digests."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, slot: Slot, record: Record, machine: Machine) -> None:
        """Take the digests of a version in a thread; the process need not wait for it."""
        thread = threading.Thread(
            target=self._settle, args=(slot, record, machine), name="fairlead-settle", daemon=True
        )
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:  # no thread to spare: it stays as it is, which is allowed
            self._threads.remove(thread)

    def wait(self) -> None:
        """Wait until all digests are taken."""
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        """Give up what is under way."""
        self._stop.set()
        self.wait()

    def _settle(self, slot: Slot, record: Record, machine: Machine) -> None:
        shown = uris.redact(slot.uri)
        found: dict[str, str] = {}
        try:
            for name in record.unsettled(slot.path(record)):
                hashes = digests.Hashes(())
                with (slot.path(record) / name).open("rb") as file:
                    while block := file.read(digests.BLOCK):
                        if self._stop.is_set():
                            return
                        hashes.update(block)
                found[name] = hashes.sha256
            with slot.locked(Deadline(shown, _PATIENCE, machine.clock), machine):
                slot.settle(record, found)
        except (OSError, errors.StorageError) as error:
            _log.debug("the digests of %s were not taken: %s", shown, type(error).__name__)
