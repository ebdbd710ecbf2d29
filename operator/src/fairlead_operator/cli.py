"""The command ``fairlead-operator``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fairlead import errors

__all__ = ["main"]

_USAGE_ERROR: Final = 2
_FORMATS: Final = ("full", "json", "plain")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments without the program's name; by default those of the process.

    Returns:
        The exit status: 0 for success, 1 for an error, 2 for a command line or a configuration that is wrong.
    """
    args = _parser().parse_args(argv)
    try:
        return int(args.command(args))
    except errors.FairleadError as error:
        sys.stderr.write("\n".join([f"error: {error.reason}", *([error.remedy] if error.remedy else []), ""]))
        return _USAGE_ERROR if isinstance(error, errors.ConfigurationError) else 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-operator", description="Run InferenceServices on Kubernetes.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="<command>")
    _run_arguments(commands.add_parser("run", help="run the operator", description="Run the operator."))
    rendering = commands.add_parser(
        "render-runtimes",
        help="print the ClusterServingRuntimes of the installed plugins, and of images of others",
        description="Print ClusterServingRuntimes: those of the installed runtime plugins, and of images of others.",
    )
    rendering.add_argument("--only", metavar="NAME", help="only this one")
    rendering.set_defaults(command=_render)
    settings = commands.add_parser(
        "config",
        help="show what a ConfigMap inferenceservice-config comes to",
        description="Show every setting that a ConfigMap inferenceservice-config comes to, and what is wrong with it.",
    )
    settings.add_argument("file", type=Path, help="the manifest of the ConfigMap")
    settings.add_argument("--namespace-file", type=Path, help="the manifest of a namespace's own ConfigMap")
    settings.set_defaults(command=_config)
    return parser


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--namespace", action="append", default=[], help="run the services of this namespace; repeatable"
    )
    parser.add_argument("--no-webhooks", action="store_true", help="serve no webhooks")
    parser.add_argument("--webhook-port", type=_port, default=9443, help="the port of the webhooks (9443)")
    parser.add_argument("--webhook-service", default="fairlead-webhooks", help="the Service that leads to them")
    parser.add_argument("--metrics-port", type=_port, default=8080, help="the port of the metrics; 0 for none (8080)")
    parser.add_argument("--health-port", type=_port, default=8081, help="the port of the probes; 0 for none (8081)")
    parser.add_argument("--workers", type=_positive, default=8, help="services that are worked on at once (8)")
    parser.add_argument("--resync", type=_positive, default=300, help="seconds between two lists of everything (300)")
    parser.add_argument(
        "--lease", action=argparse.BooleanOptionalAction, default=True, help="write only while it holds the Lease"
    )
    parser.add_argument("--kubeconfig", type=Path, help="the file that names the cluster")
    parser.add_argument("--log-format", choices=_FORMATS, default="full", help="how logs are written (full)")
    parser.add_argument("--verbose", action="store_true", help="log more")
    parser.set_defaults(command=_run)


def _port(text: str) -> int:
    number = int(text) if text.isdigit() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return number


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return number


def _run(args: argparse.Namespace) -> int:
    from fairlead_operator import process
    from fairlead_operator.options import Options

    namespace, identity = Options.own()
    if args.kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(args.kubeconfig)  # kopf reads it there
    process.run(
        Options(
            namespace=namespace,
            namespaces=tuple(args.namespace),
            identity=identity,
            workers=args.workers,
            resync=float(args.resync),
            elects=args.lease,
            webhooks=not args.no_webhooks,
            webhook_port=args.webhook_port,
            webhook_service=args.webhook_service,
            kubeconfig=args.kubeconfig,
        ),
        metrics_port=args.metrics_port,
        health_port=args.health_port,
        log_format=args.log_format,
        verbose=args.verbose,
    )
    return 0


def _render(args: argparse.Namespace) -> int:
    from fairlead.plugins import Plugins
    from fairlead_operator.runtimes.rendering import rendered

    sys.stdout.write(rendered(args.only, Plugins.discover()))
    return 0


def _config(args: argparse.Namespace) -> int:
    from fairlead_operator.configuration import explaining, files

    whole = files.data(args.file)
    own = None if args.namespace_file is None else files.data(args.namespace_file)
    return explaining.show(whole, own)


if __name__ == "__main__":
    sys.exit(main())
