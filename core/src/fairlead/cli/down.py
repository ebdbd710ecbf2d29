"""``fairlead down``: ends a platform, and what one that was killed has left."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.cli import asking

if TYPE_CHECKING:
    import argparse

    from fairlead.local.folder import Folder, Holder

__all__ = ["add_arguments", "run"]

_PAUSE: Final = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait until it has ended (default: 60)",
    )
    asking.add_platform(parser)


def run(args: argparse.Namespace) -> int:
    """End the platform and what is left of it, and say what was done.

    Raises:
        PlatformError: it has not ended in time.
    """
    from fairlead.local import client

    folder = asking.folder_of(args)
    holder = folder.holder()
    if holder is not None:
        try:
            client.ask(folder, "down")
        except errors.PlatformNotRunning:
            pass  # it has ended meanwhile
        except errors.PlatformError:
            _signal(folder)
        _wait(folder, holder, args.timeout)
        print(f"The platform {folder.name} has ended.")
    _clean(folder, was_there=holder is not None)
    return 0


def _signal(folder: Folder) -> None:
    """Tell a platform to end that cannot be asked."""
    holder = folder.holder()
    if holder is not None and holder.pid is not None:
        print(f"The platform {folder.name} does not answer; process {holder.pid} gets a signal to end.", flush=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGTERM)


def _wait(folder: Folder, holder: Holder, timeout: float) -> None:
    from fairlead.local.folder import option

    end = time.monotonic() + timeout
    while folder.holder() is not None:
        if time.monotonic() >= end:
            raise errors.PlatformError(
                f"The platform {folder.name} ({holder}) has not ended within {timeout:g} seconds.",
                remedy="It may be waiting for requests in flight. Try again; or kill -9 its process, and then "
                f"fairlead down{option(folder.name)} ends what that leaves.",
            )
        time.sleep(_PAUSE)


def _clean(folder: Folder, *, was_there: bool) -> None:
    """End what a platform has left that was killed."""
    ended = []
    if folder.state.is_dir():
        try:
            folder.acquire()
        except errors.ConfigurationError:
            return  # another has started meanwhile, and cleans up itself
        try:
            ended = folder.clean()
        finally:
            folder.release()
    for each in ended:
        print(f"Ended what was left over: {each}.")
    if not ended and not was_there:
        print(f"No platform named {folder.name} runs, and nothing is left of one.")
