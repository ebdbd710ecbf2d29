"""Where a platform keeps things: what outlives it, and the sockets that do not; and that it is the only one there."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from fairlead import errors
from fairlead.local import containerfiles, jsonfiles, places, processes
from fairlead.local.processes import Identity

__all__ = ["DEFAULT_NAME", "MARK", "Folder", "Holder", "option"]

_log = logging.getLogger("fairlead.local")

DEFAULT_NAME: Final = "default"
MARK: Final = "FAIRLEAD_PLATFORM"
"""The variable in the environment of a platform's processes by which one is known that was not recorded in time."""

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_JSON_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_TRIES: Final = 5
_PAUSE: Final = 0.05
_PROCESSES: Final = "processes"
_REPLICAS: Final = "replicas"
_LOGS_KEPT: Final = 7 * 24 * 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    """The platform that has a folder.

    Attributes:
        pid: its process; None where it has not said so yet.
        address: where it listens, such as ``127.0.0.1:8080``; empty before it does.
    """

    pid: int | None = None
    address: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return "starting"
        return f"process {self.pid}, on {self.address}" if self.address else f"process {self.pid}, starting"


class Folder:
    """The folders of the platform of one name; nothing is made before `prepare` or `acquire`.

    Args:
        name: the name: a-z, 0-9 and hyphens, at most 32.
        environ: the environment; by default the process's own. ``FAIRLEAD_STATE`` or else ``XDG_STATE_HOME`` and
            ``XDG_RUNTIME_DIR`` say where the folders are.

    Attributes:
        name: the name.
        state: what outlives the platform; for this user alone.
        runtime: Unix sockets, by a short path; for this user alone, on this machine, gone when it starts anew.

    Raises:
        ConfigurationError: the name is none.
    """

    def __init__(self, name: str = DEFAULT_NAME, *, environ: Mapping[str, str] | None = None) -> None:
        if not _NAME.fullmatch(name):
            raise errors.ConfigurationError(
                f"{name!r} is no name of a platform.",
                remedy="Write a-z, 0-9 and hyphens between them, at most 32 characters.",
            )
        environ = os.environ if environ is None else environ
        shared = places.state_folder(environ)
        self.name: Final = name
        self.state: Final = shared / name
        self._runtime_root, self.runtime = places.runtime_folder(environ, shared, name)
        self._lock: int | None = None
        self._recorded: dict[int, Identity] = {}

    def __str__(self) -> str:
        return str(self.state)

    @property
    def control(self) -> Path:
        """The socket by which the platform is asked."""
        return self.runtime / "control.sock"

    @property
    def mark(self) -> Mapping[str, str]:
        """A variable for the environment of the platform's processes, by which `leftovers` knows them."""
        return {MARK: str(self.state)}

    def prepare(self) -> None:
        """Make the folders where they are not there.

        Raises:
            ConfigurationError: they cannot be made, or others could read or replace what is in the runtime folder.
        """
        try:
            self.state.mkdir(mode=places.PRIVATE, parents=True, exist_ok=True)
        except OSError as error:
            raise errors.ConfigurationError(
                f"{self.state} cannot be made: {error.strerror}.",
                remedy=f"Name another folder with {places.STATE_VARIABLE}.",
            ) from error
        places.make_private(self._runtime_root, self.runtime)

    # -- one platform of a name -------------------------------------------------------------------------

    def acquire(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Become the platform of this name, until `release` or the end of this process, however it comes.

        Raises:
            ConfigurationError: another has the name, or the folders cannot be used.
        """
        self.prepare()
        for _ in range(_TRIES):
            if self._try():
                self._say(Holder(os.getpid()))
                return
            sleep(_PAUSE)  # whoever asks who has the lock has it for a moment
        raise errors.ConfigurationError(
            f"A platform named {self.name} runs already ({self._said()}).",
            remedy=f"End it with: fairlead down{option(self.name)}. Another beside it needs a --name and a --port.",
        )

    def announce(self, address: str) -> None:
        """Let others know where the platform listens."""
        self._say(Holder(os.getpid(), address))

    def release(self) -> None:
        """Let another have the name."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def holder(self) -> Holder | None:
        """The platform that has the name now; None where none has."""
        if self._lock is not None:
            return self._said()
        if not self._lock_file.is_file():
            return None
        try:
            if self._try():
                self.release()
                return None
        except errors.ConfigurationError:  # nobody can have it who cannot open it
            return None
        return self._said()

    @property
    def _lock_file(self) -> Path:
        return self.state / "lock"

    def _try(self) -> bool:
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise errors.ConfigurationError(
                f"{self._lock_file} cannot be opened: {error.strerror}.",
                remedy=f"Make the folder yours, or name another with {places.STATE_VARIABLE}.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            raise errors.ConfigurationError(
                f"{self._lock_file} cannot be locked: {error.strerror}.",
                remedy=f"Name a folder of a local file system with {places.STATE_VARIABLE}.",
            ) from error
        self._lock = descriptor
        return True

    def _say(self, holder: Holder) -> None:
        assert self._lock is not None
        text = json.dumps({"pid": holder.pid, "address": holder.address}).encode()
        with contextlib.suppress(OSError):  # a full disk; the lock is held all the same
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, text, 0)

    def _said(self) -> Holder:
        with contextlib.suppress(OSError, ValueError):
            match json.loads(self._lock_file.read_bytes()):
                case {"pid": int(pid), "address": str(address)}:
                    return Holder(pid, address)
        return Holder()

    # -- processes ------------------------------------------------------------------------------------------

    def record(self, pid: int, what: str = "") -> None:
        """Remember a process of the platform, so that the next one can end it if this one is killed.

        Args:
            pid: its number; it leads a process group of its own, or is alone.
            what: what it is, for messages.

        Raises:
            StateNotSaved: it cannot be written; it is remembered until the next time that something is.
        """
        found = processes.identify(pid, what)
        if found is not None:
            self._recorded[pid] = found
            self._save_processes()

    def forget(self, pid: int) -> None:
        """Forget a process that has ended.

        Raises:
            StateNotSaved: it cannot be written. Nothing is lost: a process that has ended is never ended again.
        """
        if self._recorded.pop(pid, None) is not None:
            self._save_processes()

    def leftovers(self) -> list[Identity]:
        """The processes that a platform which was killed has left behind, and that still run.

        Called while no platform runs, or by the one that does before it has started any.
        """
        known = self.load_json(_PROCESSES)
        recorded = [found for each in known if (found := Identity.parse(each))] if isinstance(known, list) else []
        known_here = [*recorded, *self._recorded.values()]
        alive = {each: None for each in known_here if each.alive and each.pid != os.getpid()}
        return [*(alive | dict.fromkeys(processes.marked(MARK, str(self.state))))]

    def clean(self, patience: float = 5.0) -> list[Identity]:
        """End what is left over, with SIGTERM and then SIGKILL, and forget it; and remove what only that needed.

        Containers that a killed platform has left are removed, too.

        The folders of replicas go, and logs that nobody has written to for a week.

        Args:
            patience: seconds between the signals; 0 for SIGKILL at once.

        Returns:
            What was ended.
        """
        ended = processes.end(self.leftovers(), patience)
        for name in containerfiles.sweep(self.state / _REPLICAS):
            _log.warning("The container %s was left over, and was removed.", name)
        self._recorded.clear()
        with contextlib.suppress(OSError):
            self._path(_PROCESSES).unlink(missing_ok=True)
        shutil.rmtree(self.state / _REPLICAS, ignore_errors=True)
        oldest = time.time() - _LOGS_KEPT
        for log in (self.state / "logs").glob("*/*"):
            with contextlib.suppress(OSError):
                if log.lstat().st_mtime < oldest:
                    log.unlink()
        return ended

    def _save_processes(self) -> None:
        # They end with the machine, so nothing has to be on the disk when that does.
        known = [each.document() for each in self._recorded.values()]
        jsonfiles.save(self._path(_PROCESSES), known, durable=False)

    # -- files ----------------------------------------------------------------------------------------------

    def save_json(self, name: str, value: Any) -> None:
        """Keep plain data: all of it is on the disk afterwards, or what was there before.

        Args:
            name: what it is kept by: a-z, 0-9, dots, hyphens and underscores.
            value: the data.

        Raises:
            StateNotSaved: it cannot be written.
        """
        jsonfiles.save(self._path(name), value, durable=True)

    def load_json(self, name: str) -> Any:
        """What was kept by a name; None where nothing was, or where it is broken: then it is set aside."""
        return jsonfiles.load(self._path(name))

    def set_aside_json(self, name: str, why: str) -> None:
        """Keep what is kept by a name out of the way, because it is not what it should be."""
        jsonfiles.set_aside(self._path(name), why)

    def remove_json(self, name: str) -> None:
        """Keep nothing by a name any more."""
        with contextlib.suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def log(self, namespace: str, replica: str) -> Path:
        """The file for what a replica writes; the folder that it is in is made."""
        return self._below("logs", namespace) / f"{replica}.log"

    def replica(self, namespace: str, replica: str) -> Path:
        """The folder of a replica, which is not made; `clean` removes it with all that is in it."""
        return self._below(_REPLICAS, namespace) / replica

    def _below(self, *names: str) -> Path:
        folder = self.state.joinpath(*names)
        with contextlib.suppress(OSError):  # whoever writes there meets it again, and can say what for
            folder.mkdir(mode=places.PRIVATE, parents=True, exist_ok=True)
        return folder

    def _path(self, name: str) -> Path:
        assert _JSON_NAME.fullmatch(name), name
        return self.state / f"{name}.json"


def option(name: str) -> str:
    """What a command line needs to mean the platform of this name, with a space before it."""
    return "" if name == DEFAULT_NAME else f" --name {name}"
