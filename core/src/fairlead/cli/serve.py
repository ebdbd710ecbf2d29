"""``fairlead serve``: one model, or a folder of models, over REST and gRPC."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import logging
import os
import re
import resource
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.cli import explaining, isolation
from fairlead.settings import ByteSize, ServerSettings, options

if TYPE_CHECKING:
    from fairlead.cli.assignment import Assignment
    from fairlead.cli.hangup import Hangup
    from fairlead.contracts.runtime import RuntimeSpec, Setting, SettingValue
    from fairlead.engine.engine import Engine
    from fairlead.engine.loading import Fetch
    from fairlead.engine.metrics import Metrics
    from fairlead.engine.registry import ModelSource
    from fairlead.engine.repository import Listing, Repository
    from fairlead.plugins import Plugins
    from fairlead.rest.worker import Worker
    from fairlead.tracing.tracer import Tracing

__all__ = ["add_arguments", "run"]

_log = logging.getLogger("fairlead.server")

_WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "max_asyncio_workers": "models are not called in a pool of threads",
    "protocol": "every model answers every protocol",
    "predictor_request_retries": "a request to a predictor is sent once: it may have been answered",
    "configure_logging": "logging is always configured; see --log-level and --log-format",
}
"""Flags of KServe's model server that are accepted, so that existing arguments go on working, and that do nothing."""

_REFUSED: Final[Mapping[str, str]] = {
    "enable_predictor_health_check": "A transformer is ready once it has loaded, whether or not its predictor is.",
    "log_config_file": "Logging configuration files are not supported; use --log-level and --log-format.",
    "access_log_format": "Access log formats are not supported; use --access-log with --log-format.",
}
"""Flags of KServe's model server whose meaning cannot be had here, each with the remedy."""

_OF_PREDICTOR: Final = ("predictor_protocol", "predictor_use_ssl", "predictor_request_timeout_seconds")
"""Settings that have no effect without a predictor host, for whatever runtime they are given."""

_NEARLY: Final = 0.9
"""How alike a variable and a setting are that differ by a slip, from 0 to 1."""

_FITTING: Final = "one or more of A-Z a-z 0-9 . _ - and not dots alone"

_EPILOG: Final = """\
BOOL is true or false. Each option of the group "server", except --workers, --share-models and --isolate, can be
set by the environment as well, as FAIRLEAD_<NAME>: FAIRLEAD_HTTP_PORT=9000 is --http-port 9000. A flag wins over a
variable.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fairlead serve``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL_OR_URI",
        help="a model's file or folder, a Python file, a folder of models, or the URI of one of these",
    )
    model = parser.add_argument_group("model")
    model.add_argument("--name", "--model_name", "--model-name", dest="name", help="name to serve the model by")
    model.add_argument(
        "--model_dir", "--model-dir", dest="model_dir", metavar="MODEL_OR_URI", help="KServe's spelling of MODEL_OR_URI"
    )
    model.add_argument("--format", dest="format", help="format or runtime; guessed from the files by default")
    model.add_argument(
        "--set",
        dest="set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a setting of the runtime's own; `fairlead plugins inspect <runtime>` shows which there are",
    )
    explaining.add_arguments(parser)
    server = parser.add_argument_group("server")
    server.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="server processes that share the port; with more than 1, models cannot be loaded and unloaded over the "
        "network (default: 1)",
    )
    server.add_argument(
        "--share-models",
        dest="share_models",
        choices=("auto", "off"),
        default="auto",
        help="whether models are loaded once for all --workers, where runtime and system permit, or in each (default: "
        "auto)",
    )
    server.add_argument(
        "--isolate",
        choices=isolation.CHOICES,
        default="auto",
        help="whether an environment of its own is made, and used, where the model or its explainer asks for packages "
        "that are not installed here (default: auto)",
    )
    for option in options():
        server.add_argument(
            *option.flags,
            dest=option.name,
            metavar=_metavar(option.default, option.choices),
            help=f"{option.help} (default: {_shown(option.default)})".replace("%", "%%"),
        )
    kserve = parser.add_argument_group("flags of KServe's model server that have no effect here")
    for name in (*_WITHOUT_EFFECT, *_REFUSED):
        kserve.add_argument(
            f"--{name}", f"--{name.replace('_', '-')}", dest=name, nargs="?", const="true", help=argparse.SUPPRESS
        )
    _add_runtime_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it.

    Raises:
        FairleadError: the arguments are wrong, the address is taken, or no model is ready.
    """
    from fairlead.cli import logs

    settings = _settings(args)
    logs.configure(settings.log_format, settings.log_level)
    try:
        return _run(args, settings)
    finally:
        logs.flush()  # what the command prints of an error comes after what was logged


def _run(args: argparse.Namespace, settings: ServerSettings) -> int:
    from fairlead.cli import workers
    from fairlead.cli.assignment import Assignment
    from fairlead.cli.hangup import Hangup, ignore_hangups
    from fairlead.engine import garbage
    from fairlead.runtimes import threads

    _allow_many_connections()
    # Lines of its own on stderr, which is the log's, about what is an error of ours or none; read when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # pyarrow, which pandas imports, would begin a thread that tidies memory, and a process with two is not forked.
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    threads.prepare(os.environ)
    assignment = Assignment.take(os.environ)
    if assignment is not None:
        ignore_hangups()
        garbage.begin()
        _work(args, settings, assignment)
        return 0
    plugins: Plugins = args.plugins
    isolation.enter(args, settings, plugins)
    _check_flags(args)
    _check_variables(os.environ)
    hangup = Hangup()
    if args.workers > 1:
        return workers.supervise(args.workers, settings, hangup, share=_shares(args, settings))
    garbage.begin()
    _serve(args, settings, plugins, hangup)
    return 0


def _allow_many_connections() -> None:
    """Open as many files as the system permits: every connection is one, and probes must find one free."""
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _serve(args: argparse.Namespace, settings: ServerSettings, plugins: Plugins, hangup: Hangup) -> None:
    """Serve in this process alone."""
    from fairlead.cli import logs
    from fairlead.engine.engine import Engine

    sources, repository = _models(args, plugins)
    with _traced() as tracing:
        from fairlead.rest.alone import Alone
        from fairlead.rest.listener import listen

        fetch, count = _fetcher(plugins)
        engine = Engine(plugins, fetch, settings, repository, tracing=tracing)
        count(engine.metrics)
        logs.report_drops(engine.metrics.dropped_lines.inc)
        sock = listen(settings.host, settings.http_port)
        server = Alone(engine, sources, hangup.tell)
        beside = ""
        if settings.enable_grpc:
            from fairlead.grpc.server import GrpcServer

            companion = GrpcServer(engine)
            companion.listen()
            server.accompany(companion)
            beside = f" (gRPC on {companion.address})"
        host, port, *_ = sock.getsockname()
        _log.info("listening on %s:%d%s", host, port, beside)
        server.run_on(sock)


@contextlib.contextmanager
def _traced() -> Iterator[Tracing | None]:
    """Traces as the environment asks for them, until the server ends; before anything else of OpenTelemetry's."""
    from fairlead.tracing.tracer import Tracing

    tracing = Tracing.from_environment()
    if tracing is None:
        yield None
        return
    tracing.install()
    ids = tracing.log_filter()
    for handler in logging.getLogger().handlers:
        handler.addFilter(ids)
    try:
        yield tracing
    finally:
        tracing.close()


def _shares(args: argparse.Namespace, settings: ServerSettings) -> bool:
    """Whether workers share models as far as the models permit."""
    from fairlead.cli import preload

    if args.share_models == "off":
        return False
    reason = preload.why_not(settings)
    if reason is not None:
        _log.info("models are loaded in each worker: %s", reason)
    return reason is None


def _work(args: argparse.Namespace, settings: ServerSettings, assignment: Assignment) -> None:
    """Serve beside other processes, on what a supervisor has assigned."""
    from fairlead.cli import logs, preload
    from fairlead.engine.engine import Engine
    from fairlead.engine.metrics import Share
    from fairlead.engine.preloading import PreloadedPlugins, Preloading
    from fairlead.rest.worker import Worker

    plugins = PreloadedPlugins.discover()
    own: Assignment | None = assignment
    try:
        sources, repository = _models(args, plugins)
        preloading = Preloading(plugins, _fetcher(plugins)[0], settings)
        if assignment.share:
            own = preload.serve_template(assignment, preloading, sources)
        if own is None:
            return
        # A fetch of its own: connections of one that was copied would be everybody's.
        fetch, count = _fetcher(plugins)
        fetch = preloading.fetching(fetch)
        share = Share(Path(own.folder), own.slot)
        with (
            _traced() as tracing,
            socket.socket(fileno=own.listener) as listener,
            socket.socket(fileno=own.channel) as channel,
        ):
            engine = Engine(plugins, fetch, settings, repository, share, tracing=tracing)
            count(engine.metrics)
            logs.report_drops(engine.metrics.dropped_lines.inc)
            worker = Worker(engine, sources, channel)
            if own.grpc_port is not None:
                _accompany(worker, engine, own.grpc_port, own.grpc_turn)
            worker.run_on(listener)
    finally:
        (assignment if own is None else own).leave()


def _accompany(worker: Worker, engine: Engine, port: int, turn: int | None) -> None:
    """Let a gRPC server open the port, beside those of other workers, once the models of this one are ready."""
    from fairlead import sockets
    from fairlead.grpc.server import GrpcServer

    def listening() -> None:
        if turn is not None:
            sockets.steer(port, turn)

    worker.accompany(GrpcServer(engine, port=port, share_port=True, listening=listening))
    worker.wait_for(lambda: sockets.connections(port) > 0, 1.1 * engine.settings.grpc_max_connection_age + 1)


def _fetcher(plugins: Plugins) -> tuple[Fetch, Callable[[Metrics], None]]:
    """What fetches models, and what tells it where to count."""
    from fairlead.storage import progress
    from fairlead.storage.fetcher import Fetcher
    from fairlead.storage.settings import FetchSettings

    counted = progress.CountedProgress(progress.automatic(logging.getLogger("fairlead.storage")))

    def count(metrics: Metrics) -> None:
        counted.arrived, counted.expected = metrics.fetched.inc, metrics.expected.inc

    return Fetcher(plugins, FetchSettings.from_environment(settle_later=True), counted).fetch, count


def _settings(args: argparse.Namespace) -> ServerSettings:
    given = {
        option.name: option.parse(getattr(args, option.name))
        for option in options()
        if getattr(args, option.name) is not None
    }
    return ServerSettings.from_environment(**given)


def _check_variables(environ: Mapping[str, str]) -> None:
    """Say which variables are nearly settings. Others are anybody's: Kubernetes makes some of its services."""
    known = {option.variable for option in options()}
    for name in sorted(environ.keys() - known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=_NEARLY) if name.startswith("FAIRLEAD_") else []
        if near:
            _log.warning("the variable %s has no effect; did you mean %s?", name, near[0])


def _check_flags(args: argparse.Namespace) -> None:
    """Refuse what cannot be done, and say what has no effect.

    Raises:
        ConfigurationError: a flag asks for something that this server does not do.
    """
    for name, remedy in _REFUSED.items():
        if getattr(args, name) is not None:
            raise errors.ConfigurationError(f"--{name} is not supported.", remedy=remedy)
    if args.workers < 1:
        raise errors.ConfigurationError(f"--workers {args.workers}: at least 1 process must serve.")
    for name, reason in _WITHOUT_EFFECT.items():
        if getattr(args, name) is not None:
            _log.warning("--%s has no effect: %s", name, reason)
    for name in _OF_PREDICTOR:
        if getattr(args, f"runtime_{name}", None) is not None and not _asks_predictor(args):
            _log.warning("--%s has no effect: there is no --predictor_host to ask", name)


def _models(args: argparse.Namespace, plugins: Plugins) -> tuple[Sequence[ModelSource], Repository | None]:
    """The models to load first, and the folder that more can be loaded from.

    Raises:
        ConfigurationError: no model is given, or it is given twice.
    """
    from fairlead.engine.registry import ModelSource
    from fairlead.engine.repository import Listing, Repository

    if args.model is not None and args.model_dir is not None:
        raise errors.ConfigurationError("The model is given twice, as an argument and by --model_dir.")
    uri: str | None = args.model if args.model is not None else args.model_dir
    explainer = explaining.source(args)
    given = _runtime_options(args, plugins.runtimes())
    if explaining.is_component(args):
        _check_name(args.name)
        return [explaining.component(args, given)], None
    if uri is None:
        raise errors.ConfigurationError("No model is given.", remedy="Try: fairlead serve path/to/model.joblib")
    folder = Path(uri.removeprefix("file://"))
    listing = Listing.of(folder) if folder.is_dir() else None
    if listing is not None and _is_repository(folder, listing, args.format, plugins):
        if args.name is not None:
            raise errors.ConfigurationError(
                f"{uri} is a folder of models, each served by the name of its own folder; --name does not fit."
            )
        if explainer is not None:
            raise errors.ConfigurationError(
                f"{uri} is a folder of models, and an explainer is loaded for one.",
                remedy="Give the folder of one model.",
            )
        repository = Repository(folder, args.format, given)
        for name in repository.unservable(listing):
            _log.warning("the folder %r is not served: its name does not fit in a route (%s)", name, _FITTING)
        return repository.sources(listing), repository
    _check_name(args.name)
    name = args.name or ("model" if args.model is None else _name_of(uri))
    return [ModelSource(name=name, uri=uri, model_format=args.format, options=given, explainer=explainer)], None


def _check_name(name: str | None) -> None:
    from fairlead.engine.repository import NAME

    if name is not None and not NAME.fullmatch(name):
        raise errors.ConfigurationError(f"--name {name!r} does not fit in a route.", remedy=f"Write {_FITTING}.")


def _is_repository(folder: Path, listing: Listing, model_format: str | None, plugins: Plugins) -> bool:
    """Whether a folder holds folders, and nothing that a runtime takes itself."""
    from fairlead.contracts.runtime import Artifact

    artifact = Artifact(path=folder, uri=str(folder))

    def takes(spec: RuntimeSpec) -> bool:
        if listing.holds([pattern for pattern in spec.artifacts if not pattern.endswith("/")]):
            return True
        # A folder may be a part of one model, such as the version 1, or a model of that name.
        return listing.holds(spec.artifacts) and plugins.recognises(spec, artifact) is not False

    specs = [
        spec
        for spec in plugins.runtimes().values()
        if model_format in (None, spec.name, *(each.name for each in spec.formats))
    ]
    return bool(listing.folders) and not any(takes(spec) for spec in specs)


def _name_of(uri: str) -> str:
    """A model's name from its address: the last part without its suffixes, in letters that a route can hold."""
    last = re.split("[#?]", uri, maxsplit=1)[0].rstrip("/").rpartition("/")[2]
    last = Path(last).resolve().name if last in ("", ".", "..") else last
    return re.sub(r"[^A-Za-z0-9_-]+", "-", last.partition(".")[0]).strip("-") or "model"


# -- settings of runtimes -------------------------------------------------------------------------------


def _add_runtime_flags(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that runtimes give their own settings; one flag may serve several runtimes."""
    from fairlead.plugins import Plugins

    plugins = Plugins.discover()
    parser.set_defaults(plugins=plugins)  # for the run, which needs no other discovery
    flags: dict[tuple[str, ...], Setting] = {}
    for spec in plugins.runtimes().values():
        for setting in spec.settings:
            if setting.flags:
                flags.setdefault(setting.flags, setting)
    if flags:
        group = parser.add_argument_group("settings of the installed runtimes")
        for spellings, setting in flags.items():
            group.add_argument(
                *spellings,
                dest=f"runtime_{setting.name}",
                metavar=_metavar(setting.default, setting.choices),
                help=setting.help.replace("%", "%%"),
            )


def _runtime_options(args: argparse.Namespace, runtimes: Mapping[str, RuntimeSpec]) -> dict[str, SettingValue]:
    """Settings of the runtime as given by flags, with those of ``--set`` on top.

    Raises:
        ConfigurationError: an assignment has no value.
    """
    names = {setting.name for spec in runtimes.values() for setting in spec.settings if setting.flags}
    given = {name: getattr(args, f"runtime_{name}", None) for name in sorted(names)}
    found: dict[str, SettingValue] = {
        name: value
        for name, value in given.items()
        if value is not None and (name not in _OF_PREDICTOR or _asks_predictor(args))
    }
    for assignment in args.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise errors.ConfigurationError(f"--set {assignment!r} has no value.", remedy="Write --set name=value.")
        found[name] = value
    return found


def _asks_predictor(args: argparse.Namespace) -> bool:
    """Whether a predictor host is given, by its flag or as a setting."""
    return bool(getattr(args, "runtime_predictor_host", None)) or any(
        assignment.startswith("predictor_host=") for assignment in args.set
    )


def _metavar(default: Any, choices: Sequence[Any] = ()) -> str:
    if choices:
        return f"{{{','.join(map(str, choices))}}}"
    return {bool: "BOOL", int: "N", float: "SECONDS", ByteSize: "BYTES"}.get(type(default), "VALUE")


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    mode = getattr(default, "mode", None)
    return str(mode or default) or "none"
