"""``fairlead logs``: what the replicas of a service have written."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from fairlead import errors
from fairlead.cli import asking

if TYPE_CHECKING:
    import argparse

    from fairlead.cli.viewing import View
    from fairlead.local.folder import Folder

__all__ = ["Tail", "add_arguments", "run"]

_PAUSE: Final = 0.2
_ASK_EVERY: Final = 5  # pauses
_LONGEST_LINE: Final = 1024 * 1024

_EPILOG: Final = """\
Lines come from files, as the replicas wrote them. With several replicas, each line begins with the name of its own.

examples:
  fairlead logs iris
  fairlead logs iris --tail 20 -f
  fairlead logs iris --previous         what replicas wrote that are gone, also of a platform that has ended
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("service", metavar="NAME", help="the service")
    parser.add_argument(
        "--component", choices=("predictor", "transformer", "explainer"), help="only of this component (default: all)"
    )
    parser.add_argument("--replica", metavar="REPLICA", help="only of this replica")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")
    parser.add_argument("--tail", type=int, metavar="N", help="only the last lines of each replica")
    parser.add_argument("--previous", action="store_true", help="of replicas that are gone, and not of those there are")
    asking.add_namespace(parser, "the namespace of the service (default: the one that has it)")
    asking.add_platform(parser)


def run(args: argparse.Namespace) -> int:
    """Print what was written.

    Raises:
        PlatformError: the platform does not run, or does not answer.
        ConfigurationError: there is no such service or replica, or the arguments are wrong.
    """
    if args.tail is not None and args.tail < 0:
        raise errors.ConfigurationError(f"--tail {args.tail}: a number of lines is not negative.")
    if args.previous and args.follow:
        raise errors.ConfigurationError("--previous and --follow exclude each other: what is gone writes nothing more.")
    folder = asking.folder_of(args)
    files = _previous(folder, args) if args.previous else _current(folder, args)
    several = len(files) > 1
    tails = {name: Tail(path) for name, path in files.items()}
    try:
        for name, tail in tails.items():
            _print(name if several else None, tail.history(args.tail, whole=not args.follow))
        if args.follow:
            _follow(folder, args, tails)
    finally:
        for tail in tails.values():
            tail.close()
    return 0


# -- which files -----------------------------------------------------------------------------------------


def _current(folder: Folder, args: argparse.Namespace) -> dict[str, Path]:
    """The logs of the replicas that there are, by replica.

    Raises:
        PlatformError: the platform does not run, or does not answer.
        ConfigurationError: there is no such service or replica.
    """
    try:
        views = asking.views_of(folder)
    except errors.PlatformNotRunning as error:
        remedy = (
            f"{error.remedy}; or see what one has left with: {asking.command(args, 'logs', args.service)} --previous"
        )
        raise errors.PlatformNotRunning(error.reason, remedy=remedy) from error
    view = asking.find(views, args.service, args.namespace)
    found = _files(view, args.component)
    if args.replica is not None:
        if args.replica not in found:
            there = f"There is {', '.join(sorted(found))}." if found else "It has none now; try --previous."
            raise errors.ConfigurationError(f"{args.service} has no replica {args.replica}.", remedy=there)
        return {args.replica: found[args.replica]}
    if not found and not args.follow:
        what = f"{args.component} of {args.service}" if args.component else args.service
        print(f"{what} has no replicas now; --previous shows what those wrote that are gone.", file=sys.stderr)
    return found


def _files(view: View, component: str | None) -> dict[str, Path]:
    return {each["name"]: Path(each["log"]) for each in view["replicas"] if component in (None, each["component"])}


def _previous(folder: Folder, args: argparse.Namespace) -> dict[str, Path]:
    """The logs of replicas that are gone, the oldest first.

    Raises:
        ConfigurationError: there are none.
    """
    namespace, _, name = args.service.rpartition("/")
    space = namespace or args.namespace or "*"
    kinds = re.escape(args.component) if args.component else "predictor|transformer|explainer"
    fitting = re.compile(rf"{re.escape(name)}-(?:{kinds})-[0-9]{{5,}}-[a-z0-9]+\.log")
    logs = [path for path in (folder.state / "logs").glob(f"{space}/*.log") if fitting.fullmatch(path.name)]
    try:
        there = {each["log"] for view in asking.views_of(folder) for each in view["replicas"]}
    except errors.PlatformError:  # what is on the disk can be read without it
        there = set()
    gone = {path.stem: path for path in sorted(logs, key=_modified) if str(path) not in there}
    if args.replica is not None:
        gone = {each: path for each, path in gone.items() if each == args.replica}
    if not gone:
        raise errors.ConfigurationError(
            f"There is no log of a replica of {args.service} that is gone.", remedy="Try it without --previous."
        )
    return gone


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


# -- what they hold --------------------------------------------------------------------------------------


class Tail:
    """Reads a log that is written to and renamed once it is full: ``x.log``, ``x.log.1`` before it, and so on.

    Args:
        path: the file that is written to; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._rest = b""

    def history(self, count: int | None, *, whole: bool) -> Iterable[bytes]:
        """The lines so far, with their ends.

        Args:
            count: how many at most, the last ones; None for all.
            whole: whether a last line that is not finished counts; else `more` goes on with it.
        """
        self._open()
        lines = self._all(whole=whole)
        return lines if count is None else collections.deque(lines, maxlen=count)

    def more(self) -> list[bytes]:
        """The lines that were added since, with their ends."""
        if self._file is None:
            self._open()
        found = list(self._read())
        if self._is_renamed():
            found += self._read()  # what was written between reading it and renaming it
            self.close()
            self._open()
            found += self._read()
        return found

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            self._file = self._path.open("rb")

    def _all(self, *, whole: bool) -> Iterator[bytes]:
        for path in self._older():
            with contextlib.suppress(OSError), path.open("rb") as file:
                # It was renamed after it was opened, and is yet to come.
                if self._file is None or not os.path.sameopenfile(file.fileno(), self._file.fileno()):
                    yield from self._split(file)
        yield from self._read()
        if whole and self._rest:
            yield self._rest + b"\n"
            self._rest = b""

    def _older(self) -> list[Path]:
        found = [path for path in self._path.parent.glob(f"{self._path.name}.*") if path.suffix[1:].isdecimal()]
        return sorted(found, key=lambda path: int(path.suffix[1:]), reverse=True)

    def _read(self) -> Iterator[bytes]:
        if self._file is not None:
            yield from self._split(self._file)

    def _split(self, file: IO[bytes]) -> Iterator[bytes]:
        while data := file.readline(_LONGEST_LINE):
            line = self._rest + data
            if line.endswith(b"\n") or len(line) >= _LONGEST_LINE:
                self._rest = b""
                yield line if line.endswith(b"\n") else line + b"\n"
            else:
                self._rest = line

    def _is_renamed(self) -> bool:
        try:
            return self._file is not None and not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except OSError:
            return False


def _print(name: str | None, lines: Iterable[bytes]) -> None:
    output = sys.stdout.buffer
    prefix = b"" if name is None else f"[{name}] ".encode()
    for line in lines:
        output.write(prefix + line)
    output.flush()


def _follow(folder: Folder, args: argparse.Namespace, tails: dict[str, Tail]) -> None:
    """Print what is added, also by replicas that are made meanwhile, until the platform ends."""
    several = len(tails) > 1
    for turn in itertools.count(1):
        time.sleep(_PAUSE)
        for name, tail in tails.items():
            _print(name if several else None, tail.more())
        if turn % _ASK_EVERY:
            continue
        try:
            found = [view for view in asking.views_of(folder) if asking.is_meant(view, args.service, args.namespace)]
        except errors.PlatformNotRunning:
            break
        except errors.PlatformError:
            continue
        there = {name: path for view in found for name, path in _files(view, args.component).items()}
        for name in [each for each in tails if each not in there]:
            tails.pop(name).close()
        for name in there.keys() - tails.keys():
            if args.replica in (None, name):
                tails[name] = Tail(there[name])
        several = several or len(tails) > 1
    for name, tail in tails.items():
        _print(name if several else None, tail.more())
