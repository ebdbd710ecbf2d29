"""``fairlead validate``: whether manifests are well-formed, told of each object, with nothing run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairlead.cli import manifests

if TYPE_CHECKING:
    import argparse

    from fairlead.resolve.findings import Findings

__all__ = ["add_arguments", "run"]

_EPILOG: Final = """\
The status is 0 when every object is valid, 1 when one is not, and 2 when a path cannot be read.

examples:
  fairlead validate isvc.yaml
  fairlead validate manifests/ --quiet
  kustomize build . | fairlead validate -
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    manifests.add_arguments(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print what is wrong, and nothing else")


def run(args: argparse.Namespace) -> int:
    """Print a line for each object, and below it what is wrong with it and what its user should know."""
    from fairlead.local import catalogues
    from fairlead.plugins import Plugins
    from fairlead.resolve import validation
    from fairlead.resolve.config import Config

    read = manifests.read(args.manifests, namespace=args.namespace)
    catalogue = catalogues.installed(Plugins.discover(), read.resources)
    found = validation.examined(read.resources, Config(), catalogue)
    for problem in read.problems:
        print(problem)
    for each in found:
        if each.problems or not args.quiet:
            print("\n".join(_lines(each, quiet=args.quiet)))
    if not args.quiet:
        print(_summary(found, len(read.problems)))
    return 1 if read.problems or any(each.problems for each in found) else 0


def _lines(found: Findings, *, quiet: bool) -> list[str]:
    warnings = [] if quiet else found.warnings
    return [
        f"{found.who}: {'invalid' if found.problems else 'valid'}",
        *(f"  {text}" for text in found.problems),
        *(f"  warning: {text}" for text in warnings),
    ]


def _summary(found: Sequence[Findings], mistakes: int) -> str:
    wrong = sum(bool(each.problems) for each in found)
    warnings = sum(len(each.warnings) for each in found)
    counts = [
        f"{len(found) - wrong} valid",
        *([f"{wrong} invalid"] if wrong else []),
        *([_count(warnings, "warning")] if warnings else []),
        *([_count(mistakes, "mistake") + " in files that cannot be read"] if mistakes else []),
    ]
    return f"{_count(len(found), 'object')}: {', '.join(counts)}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
