"""The frame of the `fairlead` command: finds the subcommand, imports it alone, and turns errors into text.

A subcommand is a module with ``add_arguments(parser)`` and ``run(args) -> int``; it is imported when it is used.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Final

from fairlead import errors
from fairlead.cli import parsing

__all__ = ["SUBCOMMANDS", "main"]

DEBUG_VARIABLE: Final = "FAIRLEAD_DEBUG"

SUBCOMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("fairlead.cli.serve", "serve models over the V1 and V2 protocols"),
    "up": ("fairlead.cli.up", "run InferenceServices on this machine, without a cluster"),
    "status": ("fairlead.cli.status", "show the InferenceServices of a platform that runs"),
    "wait": ("fairlead.cli.wait", "wait until InferenceServices are Ready, or as they should be"),
    "describe": ("fairlead.cli.describe", "show conditions, replicas, scaling and events of an InferenceService"),
    "logs": ("fairlead.cli.showlogs", "print what the replicas of an InferenceService have written"),
    "delete": ("fairlead.cli.delete", "delete InferenceServices of a platform that runs"),
    "down": ("fairlead.cli.down", "end a platform, and what one that was killed has left"),
    "pull": ("fairlead.cli.pull", "fetch models into the cache, or into a folder"),
    "cache": ("fairlead.cli.cache", "show, verify and prune the models that were fetched"),
    "plugins": ("fairlead.cli.plugins", "list, inspect, check and create plugins"),
    "autoscale": ("fairlead.cli.autoscale", "simulate what autoscaler strategies do with a load"),
    "validate": ("fairlead.cli.validate", "check manifests of the serving.kserve.io kinds"),
    "explain": ("fairlead.cli.explain", "show what InferenceServices come to, and why"),
    "crds": ("fairlead.cli.crds", "print the Kubernetes definitions of the serving.kserve.io kinds"),
}
"""Every subcommand: the module that implements it, and its line in the help."""

_HELP: Final = """\
usage: fairlead [--help] [--version] <command> [<arguments>]

Serve machine learning models over the protocols of KServe.

commands:
{commands}

examples:
  fairlead serve ./model                serve the model in a folder
  fairlead up isvc.yaml                 run the InferenceServices of a manifest
  fairlead plugins list                 what is installed, and whether it can be used
  fairlead plugins new runtime myframe  start a runtime plugin of your own

`fairlead <command> --help` explains a command. FAIRLEAD_DEBUG=1 shows tracebacks.
"""

_USAGE_ERROR: Final = 2
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it
_BROKEN_PIPE: Final = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `fairlead` command.

    Args:
        argv: the arguments without the program's name; by default those of the process.

    Returns:
        The exit status: 0 for success, 1 for an error, 2 for a command line or a configuration that is wrong.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()  # a reader that has gone must be noticed here, and not while the interpreter exits
    except errors.FairleadError as error:
        return _report(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return _BROKEN_PIPE
    return status


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments:
        sys.stderr.write(_help())
        return _USAGE_ERROR
    first, *rest = arguments
    if first in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0
    if first == "--version":
        from importlib.metadata import version

        print(f"fairlead {version('fairlead')}")
        return 0
    if first not in SUBCOMMANDS:
        _refuse(first)
    return _run(first, rest)


def _run(name: str, arguments: Sequence[str]) -> int:
    module, summary = SUBCOMMANDS[name]
    subcommand = importlib.import_module(module)
    parser = parsing.Parser(prog=f"fairlead {name}", description=f"{summary[0].upper()}{summary[1:]}.")
    subcommand.add_arguments(parser)
    try:
        args = parser.parse(arguments)
    except SystemExit as exited:  # argparse ends the process after --help
        return exited.code if isinstance(exited.code, int) else 0
    args.arguments = arguments  # for one that goes on in another process
    return int(subcommand.run(args))


def _help() -> str:
    return _HELP.format(commands="\n".join(f"  {name:<10}{summary}" for name, (_, summary) in SUBCOMMANDS.items()))


def _refuse(word: str) -> None:
    if word.startswith("-"):
        raise errors.ConfigurationError(f"There is no option {word}.", remedy="See: fairlead --help")
    near = difflib.get_close_matches(word, SUBCOMMANDS, n=3, cutoff=0.65)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"The commands are {', '.join(SUBCOMMANDS)}."
    raise errors.ConfigurationError(f"There is no command {word!r}.", remedy=hint)


def _report(error: errors.FairleadError) -> int:
    """Print an expected error, and return the exit status for it."""
    if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
        traceback.print_exception(error)
    logs = sys.modules.get("fairlead.cli.logs")  # not there where no subcommand logs
    if logs is None or not logs.report(error):
        lines = [error.reason, error.remedy] if error.remedy else [str(error)]
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()  # what was printed before the error comes before it
            print("error:", "\n".join(lines), file=sys.stderr)
    return _USAGE_ERROR if isinstance(error, errors.ConfigurationError) else 1


def _discard_output() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not fail as well."""
    with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
