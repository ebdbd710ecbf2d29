"""``fairlead crds``: the CustomResourceDefinitions of the kinds, to be applied to a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors

if TYPE_CHECKING:
    import argparse

__all__ = ["add_arguments", "run"]

_EPILOG: Final = """\
examples:
  fairlead crds | kubectl apply --server-side -f -
  fairlead crds --output manifests/crds
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--output",
        metavar="DIR|-",
        default="-",
        help="the folder to write a file for each kind to (default: print them)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the definitions, or write them to a folder."""
    from fairlead.api import crds

    found = crds.definitions()
    if args.output == "-":
        print("---\n".join(_text(each) for each in found), end="")
        return 0
    folder = Path(args.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in found:
            file = folder / f"{each['metadata']['name']}.yaml"
            file.write_text(_text(each), encoding="utf-8")
            print(file)
    except OSError as error:
        raise errors.ConfigurationError(
            f"{error.filename or folder} cannot be written: {error.strerror}.",
            remedy="Name another folder with --output.",
        ) from error
    return 0


def _text(definition: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(definition, sort_keys=False, allow_unicode=True, width=120))
