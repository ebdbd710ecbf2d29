"""The explainer of ``fairlead serve``: beside a model in the same process, or as a component that asks a predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from fairlead.contracts.runtime import AsyncModel, SettingValue
    from fairlead.engine.explaining import ExplainerSource
    from fairlead.engine.registry import ModelSource
    from fairlead.predictor.target import Target

__all__ = ["add_arguments", "component", "is_component", "source"]

_PREDICTOR: Final = (
    *("predictor_host", "predictor_protocol"),
    *("predictor_use_ssl", "predictor_request_timeout_seconds"),
)
"""Settings that say who is asked: the same as those of a transformer."""

_PROTOCOLS: Final = ("v1", "v2", "grpc-v2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of explainers."""
    group = parser.add_argument_group("explainer")
    group.add_argument(
        "--explainer",
        metavar="NAME",
        help="the explainer plugin that answers explanations; without a model, and with --predictor_host, it is a "
        "component of its own",
    )
    group.add_argument(
        "--explainer-dir",
        "--explainer_dir",
        dest="explainer_dir",
        metavar="URI",
        help="the explainer's own files: reference data, or a fitted explainer",
    )
    group.add_argument(
        "--explainer-set",
        "--explainer_set",
        dest="explainer_set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a setting of the explainer's own; `fairlead plugins inspect explainer:<name>` shows which there are",
    )


def source(args: argparse.Namespace) -> ExplainerSource | None:
    """The explainer that is asked for; None for none.

    Raises:
        ConfigurationError: something is said of an explainer, and none is named; or an assignment has no value.
    """
    from fairlead.engine.explaining import ExplainerSource

    if args.explainer is None:
        for flag, value in (("--explainer-dir", args.explainer_dir), ("--explainer-set", args.explainer_set)):
            if value:
                raise errors.ConfigurationError(
                    f"{flag} is given, and no explainer.", remedy="Name one: --explainer NAME."
                )
        return None
    given: dict[str, SettingValue] = {}
    for assignment in args.explainer_set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise errors.ConfigurationError(
                f"--explainer-set {assignment!r} has no value.", remedy="Write --explainer-set name=value."
            )
        given[name] = value
    return ExplainerSource(name=args.explainer, uri=args.explainer_dir, options=given)


def is_component(args: argparse.Namespace) -> bool:
    """Whether an explainer is to be a component of its own: it is named, and a model is not."""
    return args.explainer is not None and args.model is None and args.model_dir is None


def component(args: argparse.Namespace, given: Mapping[str, SettingValue]) -> ModelSource:
    """The explainer as a component: what explains, and the predictor that it asks.

    Args:
        args: the arguments.
        given: the settings of runtimes as they were given.

    Raises:
        ConfigurationError: no predictor is named, its address is none, or something is said of a model.
    """
    from fairlead.engine.registry import ModelSource

    if not given.get("predictor_host"):
        raise errors.ConfigurationError(
            f"The explainer {args.explainer} has nothing to explain.",
            remedy="Give a model, or the predictor that it asks: --predictor_host HOST:PORT.",
        )
    foreign = next((name for name in given if name not in _PREDICTOR), None)
    if foreign is not None:
        raise errors.ConfigurationError(
            f"The setting {foreign} is one of a model, and there is none.",
            remedy="Settings of the explainer are given as --explainer-set NAME=VALUE.",
        )
    if args.format is not None:
        raise errors.ConfigurationError("--format is the format of a model, and there is none.", remedy="Leave it out.")
    name = args.name or "model"
    target = _target(given)

    def make() -> AsyncModel:
        from fairlead.predictor.client import Predictor
        from fairlead.predictor.forwarding import Forwarded

        return Forwarded(Predictor(target, name))

    return ModelSource(name=name, uri="", explainer=source(args), make=make)


def _target(given: Mapping[str, SettingValue]) -> Target:
    from fairlead.contracts.runtime import parse_bool
    from fairlead.predictor.target import Target, trust

    protocol = str(given.get("predictor_protocol", "v1"))
    if protocol not in _PROTOCOLS:
        raise errors.ConfigurationError(f"--predictor_protocol: {protocol!r} is not one of {', '.join(_PROTOCOLS)}.")
    timeout, tls = given.get("predictor_request_timeout_seconds", 600), given.get("predictor_use_ssl", False)
    try:
        seconds = float(timeout)
    except ValueError as error:
        raise errors.ConfigurationError(
            f"--predictor_request_timeout_seconds: {timeout!r} is not a number of seconds."
        ) from error
    try:
        secure = tls if isinstance(tls, bool) else parse_bool(str(tls))
    except ValueError as error:
        raise errors.ConfigurationError(f"--predictor_use_ssl: {error}.") from error
    target = Target.parse(str(given["predictor_host"]), protocol=protocol, tls=secure, timeout=seconds)
    if target.tls:
        trust()  # what is wrong with it is told now
    return target
