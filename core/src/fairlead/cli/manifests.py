"""The manifests that a command line names: files, folders, or standard input, as ``kubectl -f`` takes them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    import argparse

    from fairlead.api import Resource

__all__ = ["Reading", "add_arguments", "files", "load", "read"]

_STDIN: Final = "-"
_EXTENSIONS: Final = (".json", ".yaml", ".yml")


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What was found in manifests.

    Attributes:
        resources: the objects, in the order in which they were read.
        problems: what is wrong, each with its file; the objects of a file that has one are not among the resources.
    """

    resources: list[Resource]
    problems: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the manifests, and the namespace of those that name none."""
    parser.add_argument(
        "manifests",
        nargs="+",
        metavar="FILE|DIR|-",
        help="a file of manifests, a folder of *.yaml, *.yml and *.json, or - for standard input",
    )
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NS",
        help="the namespace of objects that name none (default: default); one that names another is an error",
    )


def load(paths: Sequence[str], *, namespace: str | None = None) -> list[Resource]:
    """The objects in files, folders and standard input.

    Args:
        paths: files, folders, or ``-`` for standard input.
        namespace: the namespace of objects that name none; None to leave them without.

    Raises:
        ConfigurationError: a path is not there, or cannot be read.
        InvalidManifest: an object is wrong, or is in another namespace; everything is told, with its file and line.
    """
    found = read(paths, namespace=namespace)
    if found.problems:
        raise errors.InvalidManifest(*found.problems)
    return found.resources


def read(paths: Sequence[str], *, namespace: str | None = None) -> Reading:
    """The same as `load`, with what is wrong beside what is right.

    Raises:
        ConfigurationError: a path is not there, or cannot be read.
    """
    from fairlead import api

    resources: list[Resource] = []
    problems: list[str] = []
    for path in _sources(paths):
        source = "<stdin>" if path is None else str(path)
        try:
            found = api.read(_text(path, source), source)
            resources += _placed(found, namespace, source)
        except errors.InvalidManifest as error:
            problems += error.problems
    return Reading(resources, problems)


def files(paths: Sequence[str]) -> list[Path]:
    """The files that paths stand for: those of a folder by name, without what is in folders below it.

    Standard input is left out.

    Raises:
        ConfigurationError: a path is not there, or a folder has no manifests.
    """
    return [path for path in _sources(paths) if path is not None]


# -- files ------------------------------------------------------------------------------------------------


def _sources(paths: Sequence[str]) -> list[Path | None]:
    """The files that paths stand for, and None for standard input."""
    if paths.count(_STDIN) > 1:
        raise errors.ConfigurationError("Standard input can be read once.", remedy="Give - once.")
    found: list[Path | None] = []
    for path in paths:
        if path == _STDIN:
            found.append(None)
        elif Path(path).is_dir():
            found += _inside(Path(path))
        elif Path(path).exists():
            found.append(Path(path))
        else:
            raise errors.ConfigurationError(
                f"There is no file or folder {path!r}.", remedy="Give a file, a folder, or - for standard input."
            )
    return found


def _inside(folder: Path) -> list[Path]:
    try:
        found = sorted(each for each in folder.iterdir() if each.suffix in _EXTENSIONS and each.is_file())
    except OSError as error:
        raise _unreadable(str(folder), error) from error
    if not found:
        raise errors.ConfigurationError(
            f"There is no manifest in {str(folder)!r}; folders below it are not searched.",
            remedy=f"Manifests end in {', '.join(_EXTENSIONS)}.",
        )
    return found


def _text(path: Path | None, source: str) -> str:
    """The text of a file or of standard input; no more of it is held than a text may have.

    Raises:
        InvalidManifest: it is too long, or not UTF-8.
        ConfigurationError: it cannot be read.
    """
    from fairlead.api import documents

    try:
        if path is None:
            content = sys.stdin.buffer.read(documents.MOST_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(documents.MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(source, error) from error
    if len(content) > documents.MOST_BYTES:
        raise errors.InvalidManifest(
            f"{source}: it has more than {documents.MOST_BYTES} bytes. Divide it into several files."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise errors.InvalidManifest(f"{source}:{line}: this is not UTF-8, which manifests are written in.") from error


def _unreadable(source: str, error: OSError) -> errors.ConfigurationError:
    return errors.ConfigurationError(
        f"{source} cannot be read: {error.strerror or error}.", remedy="Check the path and its permissions."
    )


# -- namespaces -------------------------------------------------------------------------------------------


def _placed(resources: Sequence[Resource], namespace: str | None, source: str) -> list[Resource]:
    """The objects in the namespace of the command line, where they name none."""
    from fairlead.resolve import defaults

    if namespace is None:
        return list(resources)
    strange = [each for each in resources if each.metadata.namespace not in (None, "", namespace)]
    problems = [
        f"{source}: {each.kind} {each.metadata.name}: metadata.namespace: {each.metadata.namespace!r} is not the "
        f"namespace {namespace!r} of the command line. Leave --namespace out, or change one of them."
        for each in strange
        if not defaults.is_of_the_cluster(each)
    ]
    if problems:
        raise errors.InvalidManifest(*problems)
    return [defaults.placed(each, namespace) for each in resources]
