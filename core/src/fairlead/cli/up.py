"""``fairlead up``: InferenceServices on this machine, without a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import resource
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.cli import manifests

if TYPE_CHECKING:
    import argparse

    from fairlead.api import Resource
    from fairlead.cli.display import Display
    from fairlead.cli.session import Running
    from fairlead.cli.world import World
    from fairlead.local.folder import Folder
    from fairlead.local.watching import Watcher
    from fairlead.plugins import Plugins

__all__ = ["add_arguments", "run"]

_log = logging.getLogger("fairlead.up")

_LARGEST_PORT: Final = 65535

_EPILOG: Final = """\
The first Ctrl-C, SIGTERM or `fairlead down` ends it in order, and the second at once. SIGHUP reads the files again.
FAIRLEAD_HTTP_PORT, FAIRLEAD_LOG_FORMAT and FAIRLEAD_LOG_LEVEL set what the flags set; a flag wins. What outlives it is
kept in the folder FAIRLEAD_STATE, by default $XDG_STATE_HOME/fairlead or ~/.local/state/fairlead.

examples:
  fairlead up isvc.yaml
  fairlead up services/ --watch
  fairlead up other.yaml --name other --port 8090
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    manifests.add_arguments(parser)
    parser.add_argument("--watch", action="store_true", help="follow what changes in the files and folders")
    parser.add_argument("--port", metavar="N", help="where requests come in; 0 lets the system choose (default: 8080)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on; there is no authentication (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--name",
        dest="platform",
        metavar="PLATFORM",
        default="default",
        help="the platform's name; those of other names run beside it (default: default)",
    )
    parser.add_argument("--access-log", action="store_true", help="write every request to a file, and say where it is")
    parser.add_argument("--plain", action="store_true", help="lines in place of a table, also on a terminal")
    parser.add_argument("--log-format", choices=("auto", "text", "json"), help="of lines; auto is text (default: auto)")
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), help="least severe of lines (default: info)"
    )


def run(args: argparse.Namespace) -> int:
    """Run until a signal or ``fairlead down`` ends it.

    Raises:
        FairleadError: the arguments or the manifests are wrong, the name or the port is taken, or it cannot start.
    """
    from fairlead.cli import logs
    from fairlead.local.folder import Folder
    from fairlead.local.watching import Watcher
    from fairlead.plugins import Plugins

    settings = _settings(args, os.environ)
    _check_arguments(args)
    logs.configure("json" if settings["log_format"] == "json" else "text", settings["log_level"])
    try:
        folder = Folder(args.platform)
        plugins = Plugins.discover()
        world = _world(args, plugins)
        # It looks before they are read: what changes between the two must not be missed.
        watcher = Watcher(world.files) if args.watch else None
        world.read()
        folder.acquire()
        try:
            return _run(args, settings, folder, world, plugins, watcher)
        finally:
            folder.release()
    finally:
        logs.flush()  # what the command prints of an error comes after what was logged


def _settings(args: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that `fairlead serve` has, too, by name.

    Raises:
        ConfigurationError: one does not parse.
    """
    from fairlead.settings import options

    given = {"http_port": ("--port", args.port), "log_format": ("--log-format", args.log_format)}
    given["log_level"] = ("--log-level", args.log_level)
    found = {}
    for option in options():
        if option.name in given:
            flag, text = given[option.name]
            source = flag if text is not None else option.variable
            text = environ.get(option.variable) if text is None else text
            found[option.name] = option.default if text is None else option.parse(text, source)
    if found["http_port"] > _LARGEST_PORT:
        raise errors.ConfigurationError(f"--port: {found['http_port']} is larger than {_LARGEST_PORT}.")
    return found


def _check_arguments(args: argparse.Namespace) -> None:
    """Refuse what cannot be done.

    Raises:
        ConfigurationError: the address is none, or nothing is there to be watched.
    """
    if args.watch and set(args.manifests) == {"-"}:
        raise errors.ConfigurationError(
            "--watch needs files: standard input is read once.", remedy="Give a file or a folder."
        )
    try:
        address = ipaddress.ip_address("127.0.0.1" if args.host == "localhost" else args.host)
    except ValueError:
        raise errors.ConfigurationError(
            f"--host: {args.host!r} is no IP address.", remedy="Write one, such as 127.0.0.1 or 0.0.0.0."
        ) from None
    args.host = str(address)
    args.open_to_others = not address.is_loopback


def _world(args: argparse.Namespace, plugins: Plugins) -> World:
    from fairlead.cli.world import World
    from fairlead.local import catalogues
    from fairlead.local.config import CONFIG
    from fairlead.resolve import validation

    def check(resources: Sequence[Resource]) -> Sequence[str]:
        warnings = validation.check(resources, CONFIG, catalogues.installed(plugins, resources))
        return [*warnings, *catalogues.not_run(resources)]

    return World(
        args.manifests,
        read=lambda paths: manifests.read(paths, namespace=args.namespace),
        check=check,
        patient=args.watch,
    )


def _run(
    args: argparse.Namespace,
    settings: Mapping[str, Any],
    folder: Folder,
    world: World,
    plugins: Plugins,
    watcher: Watcher | None,
) -> int:
    from fairlead.cli.hangup import Hangup
    from fairlead.cli.session import Session
    from fairlead.local.platform import Platform

    _allow_many_files()
    hangup = Hangup()
    for each in folder.clean():
        _log.warning("%s was left over by a platform that was killed, and was ended", each)
    if args.open_to_others:
        _log.warning("listening on %s: whoever reaches it can use the models, there is no authentication", args.host)
    access_log = folder.state / "access.log" if args.access_log else None
    if access_log is not None:
        _log.info("requests are written to %s", access_log)

    def make(on_change: Callable[[], None]) -> Running:
        return Platform(
            folder,
            host=args.host,
            port=settings["http_port"],
            plugins=plugins,
            access_log=access_log,
            on_change=on_change,
        )

    async def live() -> int:
        session = Session(folder, world, _display(args, settings), make, watcher=watcher, hangup=hangup)
        return await session.run()

    return asyncio.run(live())


def _display(args: argparse.Namespace, settings: Mapping[str, Any]) -> Display:
    from fairlead.cli import display

    if args.plain or settings["log_format"] == "json":
        return display.Lines()
    import rich.console

    console = rich.console.Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        return display.Lines()
    return display.Screen(console)


def _allow_many_files() -> None:
    """Open as many files as the system permits: each replica takes some, and inherits the bound."""
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
