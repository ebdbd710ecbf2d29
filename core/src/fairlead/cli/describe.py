"""``fairlead describe``: all there is to say of one service: conditions, replicas, scaling and events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fairlead.cli import asking

if TYPE_CHECKING:
    import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("service", metavar="NAME", help="the service")
    asking.add_namespace(parser, "the namespace of the service, where several have one of its name")
    asking.add_platform(parser)


def run(args: argparse.Namespace) -> int:
    """Describe the service.

    Raises:
        PlatformError: the platform does not run, or does not answer.
        ConfigurationError: there is no such service, or more than one.
    """
    view = asking.find(asking.views_of(asking.folder_of(args)), args.service, args.namespace)
    from fairlead.cli import tables

    print(tables.description(view, time.time()).rstrip("\n"))
    return 0
