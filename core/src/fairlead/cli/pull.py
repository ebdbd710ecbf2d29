"""``fairlead pull``: fetch models into the cache, or into a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    import argparse

    from fairlead.storage.progress import Progress

__all__ = ["PROGRESS", "add_arguments", "check_folder", "progress_of", "run"]

PROGRESS: Final = ("auto", "bar", "lines", "json", "none")
"""What ``--progress`` takes."""

_EPILOG: Final = """\
The path of each model is printed on standard output, and how far it is on standard error. A fetch that was interrupted
goes on where it stopped. The settings of docs/storage.md are read from the environment.

examples:
  fairlead pull s3://models/iris
  fairlead pull hf://org/model:v1 --to ./model
  fairlead pull https://example.com/model.tar.gz#sha256=...
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("uri", nargs="+", help="where a model is; #sha256=<hexadecimal> at its end is its digest")
    parser.add_argument("--to", metavar="PATH", help="a folder to put the one model into")
    parser.add_argument("--force", action="store_true", help="replace what is in that folder under the same names")
    parser.add_argument("--progress", choices=PROGRESS, default="auto", help="how to show how far it is")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Fetch one model after another, and print where each is."""
    from fairlead.plugins import Plugins
    from fairlead.storage import placing
    from fairlead.storage.fetcher import Fetcher
    from fairlead.storage.settings import FetchSettings

    if args.to is not None and len(args.uri) > 1:
        raise errors.ConfigurationError("--to takes one model.", remedy="Pull each into a folder of its own.")
    if args.to is not None:
        check_folder(args.to)
    fetcher = Fetcher(Plugins.discover(), FetchSettings.from_environment(), progress_of(args.progress))
    found = []
    for uri in args.uri:
        artifact = fetcher.fetch(uri)
        path = artifact.path
        if args.to is not None:
            path = Path(args.to)
            if not args.force and (other := placing.clashes(artifact.path, path.absolute())):
                raise errors.ConfigurationError(
                    f"{path} has a {other[0]} already, which is not that of {artifact.uri}.",
                    remedy="Name another folder, or replace it with --force.",
                )
            placing.place(artifact.path, path.absolute())
        found.append({"uri": artifact.uri, "path": str(path)})
        if not args.json:
            print(path, flush=True)
    if args.json:
        print(json.dumps(found, indent=1))
    return 0


def check_folder(folder: str) -> None:
    """Refuse an address where a folder is to be named, which would become a folder of that name.

    Raises:
        ConfigurationError: it is one.
    """
    from fairlead.storage import uris

    if uris.scheme(folder) is not None:
        raise errors.ConfigurationError(
            f"{uris.redact(folder)} is an address, and stands where a folder is to be named.",
            remedy="Write the address first, then the path of the folder.",
        )


def progress_of(name: str) -> Progress:
    """What shows how far a fetch is, by one of the names in `PROGRESS`."""
    from fairlead.storage import progress

    match name:
        case "bar":
            return progress.BarProgress()
        case "lines":
            return progress.LineProgress()
        case "json":
            return progress.JsonProgress()
        case "none":
            return progress.SilentProgress()
        case _:
            return progress.automatic()
