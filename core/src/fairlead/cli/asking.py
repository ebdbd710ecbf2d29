"""What the commands that ask a platform have in common: their arguments, and how a service is found."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.cli import viewing

if TYPE_CHECKING:
    import argparse

    from fairlead.cli.viewing import View
    from fairlead.local.folder import Folder

__all__ = ["add_namespace", "add_platform", "chosen", "command", "find", "folder_of", "is_meant", "views_of"]

_LISTED: Final = 10


def add_platform(parser: argparse.ArgumentParser) -> None:
    """Declare ``--name``."""
    parser.add_argument(
        "--name", dest="platform", metavar="PLATFORM", default="default", help="the platform's name (default: default)"
    )


def add_namespace(parser: argparse.ArgumentParser, text: str = "only services of this namespace") -> None:
    """Declare ``--namespace``."""
    parser.add_argument("-n", "--namespace", metavar="NS", help=text)


def folder_of(args: argparse.Namespace) -> Folder:
    """The folder of the platform that is meant.

    Raises:
        ConfigurationError: its name is none.
    """
    from fairlead.local.folder import Folder

    return Folder(args.platform)


def views_of(folder: Folder) -> list[View]:
    """The services of a platform.

    Raises:
        PlatformError: it does not run, or does not answer.
    """
    from fairlead.local import client

    found = client.ask(folder, "views")
    return list(found) if isinstance(found, list) else []


def chosen(views: Sequence[View], names: Sequence[str], namespace: str | None) -> list[View]:
    """The services of these names; all where no name is given.

    Raises:
        ConfigurationError: there is none of one of the names.
    """
    inside = [view for view in views if namespace in (None, _namespace(view))]
    if not names:
        return inside
    found = []
    for name in dict.fromkeys(names):
        of_this_name = [view for view in inside if _named(view, name)]
        if not of_this_name:
            raise _missing(name, views, inside, namespace)
        found += of_this_name
    return found


def find(views: Sequence[View], name: str, namespace: str | None) -> View:
    """The one service of a name.

    Raises:
        ConfigurationError: there is none, or one in each of several namespaces.
    """
    found = chosen(views, [name], namespace)
    if len(found) > 1:
        places = ", ".join(sorted(_namespace(view) for view in found))
        raise errors.ConfigurationError(
            f"{name} is in several namespaces: {places}.", remedy="Say which is meant with --namespace."
        )
    return found[0]


def is_meant(view: View, name: str, namespace: str | None) -> bool:
    """Whether a service has this name, in this namespace where one is given."""
    return _named(view, name) and namespace in (None, _namespace(view))


def command(args: argparse.Namespace, verb: str, name: str) -> str:
    """The command line of another command about a service, of the platform and the namespace that are asked."""
    from fairlead.local.folder import option

    space = f" -n {args.namespace}" if args.namespace else ""
    return f"fairlead {verb} {name}{space}{option(args.platform)}"


def _missing(
    name: str, views: Sequence[View], inside: Sequence[View], namespace: str | None
) -> errors.ConfigurationError:
    where = "" if namespace is None else f" in the namespace {namespace}"
    elsewhere = sorted(_namespace(view) for view in views if _named(view, name))
    known = sorted({_name(view) for view in inside})
    near = difflib.get_close_matches(name, known, n=1)
    if elsewhere:
        remedy = f"It is in {', '.join(elsewhere)}."
    elif near:
        remedy = f"Did you mean {near[0]}?"
    elif known:
        more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
        remedy = f"There is {', '.join(known[:_LISTED])}{more}."
    else:
        remedy = f"There is no service{where} at all."
    return errors.ConfigurationError(f"There is no service {name}{where}.", remedy=remedy)


def _named(view: View, name: str) -> bool:
    return name in (_name(view), viewing.name_of(view))


def _namespace(view: View) -> str:
    return viewing.name_of(view).partition("/")[0]


def _name(view: View) -> str:
    return viewing.name_of(view).partition("/")[2]
