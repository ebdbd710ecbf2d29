"""``fairlead-storage-initializer``: what an init container runs, to put models where a server finds them.

Arguments and variables are those that KServe gives its own: pairs of an address and a folder, the storage secret's
entry, patterns, and certificates. The last words of a run are also what Kubernetes shows as the container's message.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from fairlead import errors
from fairlead.cli import authorities, granting, pull
from fairlead.plugins import Plugins
from fairlead.storage import choosing, placing, uris
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.file.provider import FileProvider
from fairlead.storage.settings import CACHE_VARIABLE, FetchSettings

if TYPE_CHECKING:
    from fairlead.cli.granting import Granted
    from fairlead.contracts.runtime import Artifact

__all__ = ["main"]

PASSES: Final = 1
"""The exit status of what may succeed when it is run again: the source is away, or time was up."""

STAYS: Final = 2
"""The exit status of what fails again until somebody changes something: the address, credentials, a limit, a flag."""

_SIGNALLED: Final = 128  # what shells add to the number of a signal

_MESSAGE_VARIABLE: Final = "FAIRLEAD_TERMINATION_MESSAGE"
_MESSAGE: Final = "/dev/termination-log"  # where Kubernetes reads it unless the container says otherwise
_LONGEST_MESSAGE: Final = 4096  # bytes that Kubernetes keeps

_LATER: Final = Path("/mnt/models")  # where a server with many models has them put while it runs
_CLAIMED: Final = "/mnt/pvc"

_WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "AZURE_MAX_CHUNK_CONCURRENCY": "FAIRLEAD_STORAGE_CONNECTIONS bounds the streams of any source",
    "AZURE_MAX_FILE_CONCURRENCY": "FAIRLEAD_STORAGE_CONNECTIONS bounds the streams of any source",
}
"""Variables that tune KServe's own downloads, and what does so here."""

_log = logging.getLogger("fairlead.storage")

_EPILOG: Final = """\
Each address is fetched, verified, unpacked where it is an archive, and put into its folder, which is filled in one step
for each of its entries. After a restart a fetch goes on where it stopped. With FAIRLEAD_CACHE the files are kept there,
shared with other containers, and linked into the folder; without it nothing is kept beside the folder's files.

exit status: 0 done; 1 it may succeed when it is run again; 2 something has to be changed first: the message says what
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch each address into its folder.

    Args:
        argv: the arguments without the program's name; by default those of the process.

    Returns:
        The exit status.
    """
    os.umask(0o022)  # servers, which run as other users, read the files
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("fairlead").setLevel(logging.INFO)
    for number in (signal.SIGINT, signal.SIGTERM):  # the first process of a container ignores what it does not handle
        signal.signal(number, _end)
    try:
        pairs, shown = _parsed(sys.argv[1:] if argv is None else argv)
        with authorities.trusted(os.environ):
            plugins = Plugins.discover()
            with granting.granted([uri for uri, _ in pairs], os.environ, plugins.storage_providers()) as sources:
                _Run(plugins, shown).fetch(list(zip(sources, (folder for _, folder in pairs), strict=True)))
    except errors.FairleadError as error:
        message = " ".join(str(error).split())
        _leave(message)
        print("error:", message, file=sys.stderr)
        return PASSES if isinstance(error, errors.StorageUnavailable | errors.StorageTimeout) else STAYS
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise errors.ConfigurationError(f"The arguments are wrong: {message}.", remedy="See --help.")


def _parsed(argv: Sequence[str]) -> tuple[list[tuple[str, Path]], str]:
    parser = _Parser(
        prog="fairlead-storage-initializer",
        description="Fetch models into the folders where a server finds them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--progress", choices=pull.PROGRESS, default="lines", help="how to show how far it is")
    parser.add_argument("pairs", nargs="*", metavar="URI PATH", help="an address, and the folder for its files")
    args = parser.parse_intermixed_args(argv)
    if not args.pairs or len(args.pairs) % 2:
        raise errors.ConfigurationError(
            f"Addresses and folders come in pairs, and the number of arguments is {len(args.pairs)}.",
            remedy="For example: fairlead-storage-initializer s3://models/iris /mnt/models",
        )
    for folder in args.pairs[1::2]:
        pull.check_folder(folder)
    _check_variables(os.environ)
    folders = [Path(folder).absolute() for folder in args.pairs[1::2]]
    return list(zip(args.pairs[::2], folders, strict=True)), args.progress


def _check_variables(environ: Mapping[str, str]) -> None:
    """Refuse what is not done here, and say what has no effect.

    Raises:
        ConfigurationError: a variable asks for what this program does not do.
    """
    if environ.get("CONFIDENTIAL_ENABLED", "").lower() not in ("", "0", "false", "no"):
        raise errors.ConfigurationError(
            "CONFIDENTIAL_ENABLED asks for files to be decrypted, which is not done here.",
            remedy="Store the model as it is, or use an image that decrypts it.",
        )
    for name, instead in _WITHOUT_EFFECT.items():
        if name in environ:
            _log.info("%s has no effect: %s", name, instead)


class _Run:
    """Fetches addresses into folders.

    Args:
        plugins: where storage providers are looked up.
        shown: how to show how far it is.

    Raises:
        ConfigurationError: a setting cannot be read.
    """

    def __init__(self, plugins: Plugins, shown: str) -> None:
        self._plugins = plugins
        self._shown = shown
        self._cache = os.environ.get(CACHE_VARIABLE)
        self._settings = FetchSettings.from_environment(
            cache=Path(self._cache or os.curdir).absolute(),
            settle_later=not self._cache,  # a cache of this run alone is gone before anybody could compare
        )
        self._placed: dict[Path, dict[str, str]] = {}  # by folder, the address that each name in it is of
        self._own: list[Path] = []  # what is in a folder and nowhere else

    def fetch(self, pairs: Sequence[tuple[Granted, Path]]) -> None:
        """Fetch each address into its folder, in their order; all are looked at before the first is asked for.

        Raises:
            StorageError: one cannot be fetched, or its folder not be written.
        """
        for source, _ in pairs:
            self._check(source.uri)
        for _, folder in pairs:
            _make(folder)
        wanted = [(source, folder) for source, folder in pairs if not _nothing_to_do(source.uri, folder)]
        for _, folder in wanted:
            _make(folder / placing.STAGING)
        self._placed = {folder: {} for _, folder in wanted}
        for source, folder in wanted:
            self._put(source, folder)
        # Not before: after a restart the addresses that were there are not fetched again.
        for _, folder in wanted:
            shutil.rmtree(folder / placing.STAGING, ignore_errors=True)
        for path in self._own:
            placing.make_writable(path)

    def _check(self, source: str) -> None:
        if uris.scheme(source) == "pvc":
            raise errors.StorageError(
                f"{uris.redact(source)} is a volume of a cluster, which is mounted and not fetched.",
                remedy="Mount the claim, and give the path at which it is mounted.",
            )
        choosing.choose(self._plugins, source)

    def _put(self, source: Granted, folder: Path) -> None:
        cache = self._settings.cache if self._cache else folder / placing.STAGING / "cache"
        settings = dataclasses.replace(self._settings, cache=cache)
        # It is closed before the cache is removed: a thread that takes digests may write there.
        with contextlib.closing(Fetcher(self._plugins, settings, pull.progress_of(self._shown))) as fetcher:
            try:
                artifact = fetcher.fetch(source.uri, credentials=source.credentials)
            except (errors.AccessDenied, errors.ArtifactNotFound) as error:
                if not source.hint:
                    raise
                raise type(error)(error.reason, remedy=" ".join(filter(None, (error.remedy, source.hint)))) from error
            self._hand_over(artifact, source.uri, folder)

    def _hand_over(self, artifact: Artifact, source: str, folder: Path) -> None:
        path = _local(source)
        linked = path is not None and artifact.path == path
        if linked and folder.resolve().is_relative_to(artifact.path.resolve()):
            raise errors.StorageError(f"{folder} is within {artifact.path}.", remedy="Give another folder.")
        left = self._left(artifact.path) if linked else None
        names = placing.entries(artifact.path) if left is None else sorted({name.partition("/")[0] for name in left})
        for name in names:
            self._claim(name, artifact, folder)
            if not linked and not self._cache:
                self._own.append(folder / name)
        if not linked:
            placing.place(artifact.path, folder)
        elif artifact.path.parent.resolve() != folder.resolve() or not artifact.path.is_file():
            placing.link(artifact.path, folder, left)
        _log.info("%s is in %s", artifact.uri, folder)

    def _claim(self, name: str, artifact: Artifact, folder: Path) -> None:
        placed = self._placed[folder]
        if name in placed:
            raise errors.StorageError(
                f"{artifact.uri} and {placed[name]} both have a {name} for {folder}.",
                remedy="Give each address a folder of its own.",
            )
        if other := next(
            (each for each in self._placed if each != folder and each.is_relative_to(folder / name)), None
        ):
            raise errors.StorageError(
                f"{artifact.uri} has a {name} for {folder}, and {other} is for another address.",
                remedy="Give another folder for one of them.",
            )
        placed[name] = artifact.uri

    def _left(self, path: Path) -> list[str] | None:
        """The files of a local folder that patterns leave; None where there are no patterns."""
        if path.is_file() or not (self._settings.allow or self._settings.ignore):
            return None
        return [item.name for item in FileProvider().list(str(path)) if self._settings.takes(item.name)]


def _local(source: str) -> Path | None:
    """The path that an address names; None for one that is fetched."""
    return uris.local_path(source) if uris.scheme(source) in (None, "file") else None


def _nothing_to_do(source: str, folder: Path) -> bool:
    """Whether the files are where they have to be, or are put there later.

    Raises:
        ArtifactNotFound: it is a path within a claim, and nothing is there.
    """
    path = _local(source)
    if path is None:
        return False
    if path.resolve() == folder.resolve():
        _log.info("%s is where it has to be", source)
        return True
    if not path.exists() and path.is_relative_to(_LATER):
        _log.info("there is nothing at %s; models are put there while the server runs", source)
        return True
    if not path.exists() and str(path).startswith(_CLAIMED):
        raise errors.ArtifactNotFound(
            f"There is nothing at {path}.", remedy="Look at the path within the claim that storageUri names."
        )
    return False


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.StorageError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            remedy=f"Mount a volume there that the user {os.geteuid()} may write.",
        ) from error


def _leave(message: str) -> None:
    """Leave what went wrong where Kubernetes finds it; elsewhere there is no such file."""
    path = Path(os.environ.get(_MESSAGE_VARIABLE) or _MESSAGE)
    if path.exists():
        with contextlib.suppress(OSError):
            path.write_text(message.encode()[:_LONGEST_MESSAGE].decode(errors="ignore"), encoding="utf-8")


def _end(number: int, _frame: object) -> NoReturn:
    """End at once, whatever the threads wait for; what has arrived stays, and the next run goes on with it."""
    message = f"The run was ended by {signal.Signals(number).name}; the next one goes on where it stopped."
    _leave(message)
    os.write(sys.stderr.fileno(), f"error: {message}\n".encode())
    os._exit(_SIGNALLED + number)


if __name__ == "__main__":
    sys.exit(main())
