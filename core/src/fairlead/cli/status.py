"""``fairlead status``: the services of a platform that runs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from fairlead.cli import asking

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from fairlead.cli.viewing import View

__all__ = ["add_arguments", "run"]

_EPILOG: Final = """\
json and yaml are the InferenceServices with their status, as kubectl prints them.

examples:
  fairlead status
  fairlead status iris -o json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("names", nargs="*", metavar="NAME", help="services to show (default: all)")
    parser.add_argument(
        "-o", "--output", choices=("table", "wide", "json", "yaml"), default="table", help="how (default: table)"
    )
    asking.add_namespace(parser)
    asking.add_platform(parser)


def run(args: argparse.Namespace) -> int:
    """Print the services.

    Raises:
        PlatformError: the platform does not run, or does not answer.
        ConfigurationError: there is no service of one of the names.
    """
    views = asking.chosen(asking.views_of(asking.folder_of(args)), args.names, args.namespace)
    if args.output in ("json", "yaml"):
        print(_manifests(views, args.output, alone=len(args.names) == 1))
    elif not views:
        print(
            "No service is declared." if args.namespace is None else f"The namespace {args.namespace} has no service."
        )
    else:
        from fairlead.cli import tables

        tables.show(tables.services_table(views, args.output == "wide", time.time()))
        if notes := tables.notes(views):
            print("", *notes, sep="\n")
    return 0


def _manifests(views: Sequence[View], output: str, *, alone: bool) -> str:
    items = [view["manifest"] for view in views]
    found: Any = items[0] if alone and len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}
    if output == "json":
        return json.dumps(found, indent=4, ensure_ascii=False)
    import yaml

    return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120)).rstrip("\n")
