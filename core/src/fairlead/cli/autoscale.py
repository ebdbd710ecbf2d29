"""``fairlead autoscale``: what autoscaler strategies do with a load, simulated."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.autoscaling import page, patterns, report, simulator, traces
from fairlead.autoscaling.pods import Cluster
from fairlead.autoscaling.servicetimes import ServiceTimes, Spread
from fairlead.cli import comparison
from fairlead.contracts.autoscaler import AutoscalerMode, MetricTarget, ScalingSpec, TargetKind
from fairlead.plugins import Kind, Plugins

if TYPE_CHECKING:
    from fairlead.autoscaling.report import Report
    from fairlead.autoscaling.runs import Run
    from fairlead.autoscaling.traces import Trace
    from fairlead.contracts.autoscaler import AutoscalerSpec

__all__ = ["add_arguments", "run"]

_PLOTS: Final = (".html", ".png")

_EPILOG: Final = """\
examples:
  fairlead autoscale simulate --strategy kpa --strategy hpa --pattern spike --rate 200
  fairlead autoscale simulate --strategy kpa --trace requests.csv --min-replicas 0 --plot run.html

A trace is CSV with a line of column names: at, in seconds from the start, and where requests differ service_time, in
seconds. All pods share one queue, and each request goes to the ready pod that has the fewest.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs and their arguments."""
    verbs = parser.add_subparsers(dest="verb", metavar="<verb>", required=True, title="verbs")
    simulate = verbs.add_parser("simulate", help="replay a load against strategies, and compare them")
    simulate.description = "Replay a load against autoscaler strategies, and compare them."
    simulate.epilog = _EPILOG
    simulate.add_argument(
        "--strategy", action="append", metavar="NAME", help="repeatable (default: every installed one that decides)"
    )
    _add_load(simulate.add_argument_group("load"))
    _add_scaling(simulate.add_argument_group("what is asked of the strategies"))
    _add_pods(simulate.add_argument_group("pods"))
    output = simulate.add_argument_group("output")
    output.add_argument(
        "--objective", type=_positive, default=1.0, metavar="SECONDS", help="an answer is late after this (default: 1)"
    )
    output.add_argument("--plot", type=Path, metavar="FILE", help="draw load, pods and queue: a .html or a .png file")
    output.add_argument("--json", action="store_true", help="print JSON, with every decision that changed something")


def _add_load(group: argparse._ArgumentGroup) -> None:
    either = group.add_mutually_exclusive_group(required=True)
    either.add_argument("--trace", type=Path, metavar="FILE", help="replay the requests of a CSV file")
    either.add_argument("--pattern", metavar="NAME", help=f"make a load: {', '.join(patterns.PATTERNS)}")
    group.add_argument("--rate", type=_positive, help="requests a second at the highest of a pattern (default: 50)")
    group.add_argument("--duration", type=_positive, metavar="SECONDS", help="how long (default: 600, or the trace's)")
    group.add_argument("--seed", type=int, default=0, help="of what is drawn at random (default: 0)")
    group.add_argument(
        "--service-time", type=_positive, default=0.1, metavar="SECONDS", help="of a request, on average (default: 0.1)"
    )
    group.add_argument(
        "--service-spread", choices=[*Spread], default=Spread.CONSTANT, help="of service times (default: constant)"
    )


def _add_scaling(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--min-replicas", type=_count, default=1, metavar="N", help="never fewer (default: 1)")
    group.add_argument("--max-replicas", type=_count, metavar="N", help="never more (default: no bound)")
    group.add_argument(
        "--metric", choices=simulator.MEASURED, default="concurrency", help="what is held (default: concurrency)"
    )
    group.add_argument(
        "--target", type=_positive, metavar="VALUE", help="of one replica; of cpu in percent (default: the strategy's)"
    )
    group.add_argument(
        "--annotation", action="append", type=_pair, default=[], metavar="NAME=VALUE", help="a strategy's own setting"
    )
    group.add_argument("--behavior", type=_mapping, default={}, metavar="JSON", help="a behavior of autoscaling/v2")
    group.add_argument("--tick", type=_positive, metavar="SECONDS", help="between decisions (default: the strategy's)")


def _add_pods(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--concurrency", type=_count, default=1, metavar="N", help="requests at once in one (default: 1)"
    )
    group.add_argument("--start-time", type=_seconds, default=10.0, metavar="SECONDS", help="until ready (default: 10)")
    group.add_argument("--start-replicas", type=_count, metavar="N", help="ready at the start (default: the minimum)")
    group.add_argument(
        "--queue-size", type=_count, default=10_000, metavar="N", help="requests that may wait (default: 10000)"
    )
    group.add_argument("--max-pods", type=_count, default=1000, metavar="N", help="room in the cluster (default: 1000)")


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    _check_plot(args.plot)
    strategies = _strategies(Plugins.discover(), args.strategy, args.metric)
    trace = _trace(args)
    cluster = Cluster(
        concurrency=args.concurrency,
        start_time=args.start_time,
        queue_size=args.queue_size,
        max_pods=args.max_pods,
    )
    spec = ScalingSpec(
        min_replicas=args.min_replicas,
        max_replicas=args.max_replicas,
        targets=(_target(args.metric, args.target),),
        container_concurrency=args.concurrency,
        annotations=dict(args.annotation),
        behavior=args.behavior,
    )
    runs: list[Run] = []
    for each, factory in strategies:
        with _progress(each.name, trace.duration) as progress:
            runs.append(
                simulator.simulate(
                    factory(),
                    spec,
                    trace,
                    cluster,
                    name=each.name,
                    interval=args.tick or each.interval,
                    start_replicas=args.start_replicas,
                    progress=progress,
                )
            )
    reports = [report.of(each, args.objective) for each in runs]
    _draw(args.plot, runs, reports, args.objective)
    if args.json:
        comparison.print_json(runs, reports, args.objective)
    else:
        comparison.print_table(runs, reports, args.objective)
        if args.plot is not None:
            print(f"\nWrote {args.plot}.")
    return 0


# -- what is simulated ----------------------------------------------------------------------------------


def _strategies(
    plugins: Plugins, names: Sequence[str] | None, metric: str
) -> list[tuple[AutoscalerSpec, Callable[..., Any]]]:
    """The specs of the strategies that were named, and what makes one."""
    usable = plugins.autoscalers()
    if not names:
        names = [name for name, spec in usable.items() if AutoscalerMode.DECIDES in spec.modes]
        if not names:
            raise errors.PluginNotInstalled(
                "No autoscaler strategy is installed.",
                remedy="Wheels that provide one are named fairlead-autoscaler-<name>; see: fairlead plugins list",
            )
    chosen = []
    for name in dict.fromkeys(names):
        plugins.specs(Kind.AUTOSCALER, name)  # raises with the reason where it cannot be used
        spec = usable[name]
        if AutoscalerMode.DECIDES not in spec.modes:
            raise errors.ConfigurationError(
                f"The strategy {name} leaves the decision to a cluster object, so that there is nothing to simulate."
            )
        if metric not in spec.metrics:
            raise errors.ConfigurationError(
                f"The strategy {name} does not take the metric {metric}.", remedy=f"It takes {', '.join(spec.metrics)}."
            )
        chosen.append((spec, plugins.factory(Kind.AUTOSCALER, spec)))
    return chosen


def _trace(args: argparse.Namespace) -> Trace:
    service = ServiceTimes(args.service_time, Spread(args.service_spread))
    if args.pattern is not None:
        rate, duration = args.rate or 50.0, args.duration or 600.0
        return patterns.generate(args.pattern, rate=rate, duration=duration, service=service, seed=args.seed)
    if args.rate is not None:
        raise errors.ConfigurationError("--rate is of a pattern, and a trace has its own.", remedy="Leave one out.")
    try:
        with args.trace.open(encoding="utf-8", newline="") as lines:
            return traces.read(lines, name=str(args.trace), service=service, seed=args.seed, duration=args.duration)
    except UnicodeDecodeError as error:
        raise errors.ConfigurationError(f"{args.trace} is no text in UTF-8: {error}.") from error
    except OSError as error:
        raise errors.ConfigurationError(f"{args.trace} cannot be read: {error.strerror or error}.") from error


def _target(metric: str, value: float | None) -> MetricTarget:
    kind = TargetKind.UTILIZATION if metric == "cpu" else TargetKind.AVERAGE_VALUE
    return MetricTarget(metric=metric, value=value, kind=kind)


@contextlib.contextmanager
def _progress(strategy: str, duration: float) -> Iterator[Callable[[float], None] | None]:
    """A bar on a terminal, which goes when the run is over."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import console, progress

    with progress.Progress(console=console.Console(stderr=True), transient=True) as bars:
        task = bars.add_task(f"Simulating {strategy}", total=duration)
        yield lambda now: bars.update(task, completed=now)


# -- arguments ------------------------------------------------------------------------------------------


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object")
    return value


# -- output ---------------------------------------------------------------------------------------------


def _check_plot(path: Path | None) -> None:
    """Refuse, before anything is computed, a plot that could not be written."""
    if path is None:
        return
    if path.suffix not in _PLOTS:
        raise errors.ConfigurationError(
            f"A plot is a file that ends in {' or '.join(_PLOTS)}, and {path} does not.", remedy="Rename it."
        )
    if not path.parent.is_dir():
        raise errors.ConfigurationError(f"There is no folder {path.parent} for the plot.", remedy="Make it first.")
    if path.suffix == ".png":
        from fairlead.cli import png

        png.check()


def _draw(path: Path | None, runs: Sequence[Run], reports: Sequence[Report], objective: float) -> None:
    if path is None:
        return
    try:
        if path.suffix == ".png":
            from fairlead.cli import png

            png.draw(runs, path)
        else:
            path.write_text(page.render(runs, reports, objective, lines=comparison.said(runs)), encoding="utf-8")
    except OSError as error:
        raise errors.ConfigurationError(f"{path} cannot be written: {error.strerror or error}.") from error
