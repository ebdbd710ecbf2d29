"""``fairlead delete``: services of a platform that runs go, until they are declared again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.cli import asking, viewing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from fairlead.local.folder import Folder

__all__ = ["add_arguments", "run"]

_PAUSE: Final = 0.1

_EPILOG: Final = """\
A service comes back when its manifest changes and is read again (fairlead up --watch), and at SIGHUP.

examples:
  fairlead delete iris
  fairlead delete -f isvc.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("names", nargs="*", metavar="NAME", help="services to delete")
    parser.add_argument("-f", "--filename", metavar="FILE", action="append", help="delete the services of a manifest")
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait until they are gone; 0 not to wait (default: 60)",
    )
    asking.add_namespace(parser, "the namespace of the services")
    asking.add_platform(parser)


def run(args: argparse.Namespace) -> int:
    """Delete the services, and wait until they are gone.

    Raises:
        PlatformError: the platform does not run, or does not answer, or a service is not gone in time.
        ConfigurationError: the arguments are wrong, or there is no such service; then none is deleted.
    """
    if bool(args.names) == bool(args.filename):
        raise errors.ConfigurationError(
            "Name services, or a file with --filename; one of these.", remedy="See: fairlead delete --help"
        )
    folder = asking.folder_of(args)
    views = asking.views_of(folder)
    wanted = args.names or _declared(args.filename, args.namespace)
    # All are looked up first: a name that is wrong must not be noticed between two that are gone.
    found = [viewing.name_of(asking.find(views, name, args.namespace)) for name in dict.fromkeys(wanted)]
    for name in found:
        _remove(folder, name)
    _wait(folder, found, args.timeout)
    return 0


def _declared(paths: Sequence[str], namespace: str | None) -> list[str]:
    from fairlead.cli import manifests

    found = manifests.load(paths, namespace=namespace)
    names = [
        f"{each.metadata.namespace or 'default'}/{each.metadata.name}"
        for each in found
        if each.kind == "InferenceService"
    ]
    if not names:
        raise errors.ConfigurationError(f"{', '.join(map(str, paths))} declares no InferenceService.")
    return names


def _remove(folder: Folder, name: str) -> None:
    from fairlead.local import client

    namespace, _, short = name.partition("/")
    removed = client.ask(folder, "remove", namespace=namespace, name=short)
    print(f"{name} {'is deleted' if removed else 'was being deleted already'}", flush=True)


def _wait(folder: Folder, names: Sequence[str], timeout: float, sleep: Callable[[float], None] = time.sleep) -> None:
    from fairlead.local.folder import option

    end = time.monotonic() + timeout
    while timeout > 0:
        try:
            left = {viewing.name_of(view) for view in asking.views_of(folder)} & set(names)
        except errors.PlatformNotRunning:
            return  # and so are they
        if not left:
            return
        if time.monotonic() >= end:
            raise errors.PlatformError(
                f"{', '.join(sorted(left))}: not gone within {timeout:g} seconds.",
                remedy=f"See what is left with: fairlead describe {min(left)}{option(folder.name)}",
            )
        sleep(_PAUSE)
