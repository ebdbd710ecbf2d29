"""A template's own view: load the models with one thread, fork workers on request, and be one of them if that fails.

Only the thread that forks lives on in the child, and a lock that another one held stays locked there for ever. So
nothing is forked unless the process has one thread, whatever the runtimes promise.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead.cli.assignment import join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.cli.assignment import Assignment
    from fairlead.engine.preloading import Preloading
    from fairlead.engine.registry import ModelSource
    from fairlead.settings import ServerSettings

__all__ = ["CAN_SHARE", "serve_template", "why_not"]

_log = logging.getLogger("fairlead.server")

CAN_SHARE: Final = sys.platform == "linux" and hasattr(os, "pidfd_open")
"""Whether processes can be forked from a template here; macOS has fork, and libraries that do not survive it."""

_LINGERING: Final = 0.5  # seconds for which a thread that was joined may still be listed


def why_not(settings: ServerSettings) -> str | None:
    """Why models cannot be shared here, whichever they are; None if they can be."""
    if not CAN_SHARE:
        return "this system has no fork that libraries survive, or no descriptors of processes"
    if settings.load_on_demand or settings.model_memory_budget:
        return "--load-on-demand and --model-memory-budget let each worker have models of its own"
    return None


def serve_template(assignment: Assignment, preloading: Preloading, sources: Sequence[ModelSource]) -> Assignment | None:
    """Load models, and fork workers from then on.

    Args:
        assignment: this process's own.
        preloading: what loads, and keeps what is loaded.
        sources: the models.

    Returns:
        In each worker its assignment; in this process its own if nothing can be shared, so that it is a worker too,
        and None when it was a template and is no longer needed.
    """
    for source in sources:
        reason = preloading.preload(source)
        if reason is not None:
            _log.info("model %s is loaded in each worker: %s", source.name, reason, extra={"model": source.name})
    if not preloading.names:
        return assignment
    _import_server()
    threads = _threads_left()
    if threads > 1:
        _log.warning(
            "models are loaded in each worker: %s left %d threads running, and only a process with one can be forked",
            ", ".join(preloading.names),
            threads,
        )
        return assignment
    gc.collect()
    gc.freeze()  # a collection in a worker would otherwise write to every object, and so copy it
    _log.info("loaded once for all workers: %s", ", ".join(preloading.names))
    with socket.socket(fileno=assignment.channel) as channel:
        channel.sendall(b'{"template": true}\n')
        return _fork_on_request(assignment, channel)


def _fork_on_request(assignment: Assignment, channel: socket.socket) -> Assignment | None:
    """The assignment of a worker, in that worker; None here, once the supervisor lets go of this process."""
    os.close(assignment.listener)  # one that is open here would take connections when no worker does
    rest = b""
    while True:
        descriptors: list[int] = []
        while not rest.endswith(b"\n"):  # one question at a time: the next comes when this one is answered
            received, passed, _, _ = socket.recv_fds(channel, 65536, 2)
            if not received:
                return None
            rest += received
            descriptors += passed
        question: dict[str, Any] = json.loads(rest)
        rest = b""
        if "reap" in question:
            _, status = os.waitpid(question["reap"], 0)
            _answer(channel, os.waitstatus_to_exitcode(status))
            continue
        theirs, listener = descriptors
        membership = join(assignment.folder)
        given = assignment.forked(question["fork"], membership, listener, theirs, question["grpc_turn"])
        pid = os.fork()
        if pid == 0:
            os.close(assignment.membership)
            _become_independent()
            return given
        for descriptor in given.descriptors:
            os.close(descriptor)
        _answer(channel, pid)


def _answer(channel: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # the next read notices that the supervisor has gone
        channel.sendall(b"%d\n" % number)


def _become_independent() -> None:
    """Undo what a worker must not share with those that are forked beside it."""
    os.setsid()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()  # Python's own generator does so by itself


def _import_server() -> None:
    """Import what every worker needs, so that it lies in memory once and a new worker starts at once."""
    import fairlead.engine.engine
    import fairlead.rest.controlapp
    import fairlead.rest.worker  # noqa: F401  # for its modules


def _threads_left() -> int:
    """How many threads this process has once the libraries that know of forks have ended theirs, as OpenBLAS does."""
    with warnings.catch_warnings(action="ignore"):  # Python 3.12 warns when some are left, and this asks just that
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    end = time.monotonic() + _LINGERING
    while (threads := sum(1 for _ in Path("/proc/self/task").iterdir())) > 1 and time.monotonic() < end:
        time.sleep(0.01)
    return threads
