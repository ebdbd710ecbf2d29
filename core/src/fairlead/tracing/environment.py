"""What OpenTelemetry's environment asks for, checked before anything of OpenTelemetry is imported.

The variables, their defaults and their values are those of its specification (SDK environment variables). Where its
SDK warns of a wrong value and goes on with another, this is an error.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import urllib.parse
from collections.abc import Mapping
from typing import Final

from fairlead import errors

__all__ = ["Configuration", "read"]

_EXPORTERS: Final = ("otlp", "console", "none")
_SAMPLERS: Final = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
_PROTOCOL: Final = "http/protobuf"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_QUEUE_SIZE: Final = "OTEL_BSP_MAX_QUEUE_SIZE"
_BATCH_SIZE: Final = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_NUMBERS: Final = (
    *(_QUEUE_SIZE, _BATCH_SIZE, "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"),
    *("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How traces are made and where they go.

    Attributes:
        cause: the variable that asks for traces, for messages.
        exporters: ``otlp``, ``console`` or both.
        propagators: names of propagators, as they are given; None for the default, which is W3C and B3.
        queue_size: spans that may wait to be exported.
        batch_size: spans that are exported together.
    """

    cause: str
    exporters: tuple[str, ...]
    propagators: tuple[str, ...] | None
    queue_size: int
    batch_size: int


def read(environ: Mapping[str, str]) -> Configuration | None:
    """What the environment asks for; None when that is no traces.

    Raises:
        ConfigurationError: a variable has a value that cannot be followed.
    """
    given = {name: value.strip() for name, value in environ.items() if name.startswith("OTEL_") and value.strip()}
    # Checked even where there are no traces: the API that FastAPI imports loads them, and would end in a traceback.
    propagators = _propagators(given)
    if given.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    cause = next((name for name in ("OTEL_TRACES_EXPORTER", *_ENDPOINTS) if name in given), None)
    if cause is None:
        return None
    exporters = _exporters(given)
    if not exporters:
        return None
    if "otlp" in exporters:
        _check_protocol(given)
        _check_endpoints(given)
    _check_sampler(given)
    for name in _NUMBERS:
        _positive(given, name, 1)
    queue_size = _positive(given, _QUEUE_SIZE, 2048)
    batch_size = _positive(given, _BATCH_SIZE, min(512, queue_size))
    if batch_size > queue_size:
        raise errors.ConfigurationError(f"{_BATCH_SIZE}: {batch_size} is more than {_QUEUE_SIZE}, {queue_size}.")
    return Configuration(
        cause=cause, exporters=exporters, propagators=propagators, queue_size=queue_size, batch_size=batch_size
    )


def _exporters(given: Mapping[str, str]) -> tuple[str, ...]:
    name = "OTEL_TRACES_EXPORTER"
    wanted = dict.fromkeys(each.strip().lower() for each in given.get(name, "otlp").split(","))
    for each in wanted:
        if each not in _EXPORTERS:
            raise errors.ConfigurationError(f"{name}: {each!r} is not one of {', '.join(_EXPORTERS)}.")
    if "none" in wanted and len(wanted) > 1:
        raise errors.ConfigurationError(f"{name}: none excludes the others.")
    return tuple(each for each in wanted if each != "none")


def _check_protocol(given: Mapping[str, str]) -> None:
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if name in given:
            if given[name].lower() != _PROTOCOL:
                raise errors.ConfigurationError(
                    f"{name}: {given[name]!r} is not {_PROTOCOL}, the only protocol that traces are exported by.",
                    remedy=f"Write {_PROTOCOL}, and the collector's port for it, which is 4318 by default.",
                )
            return


def _check_endpoints(given: Mapping[str, str]) -> None:
    for name in _ENDPOINTS:
        if name in given:
            url = urllib.parse.urlsplit(given[name])
            if url.scheme not in ("http", "https") or not url.hostname:
                raise errors.ConfigurationError(
                    f"{name}: {given[name]!r} is not the URL of a collector.", remedy="Write http://host:4318."
                )


def _check_sampler(given: Mapping[str, str]) -> None:
    name, argument = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
    sampler = given.get(name, "").lower()
    if sampler and sampler not in _SAMPLERS:
        raise errors.ConfigurationError(f"{name}: {sampler!r} is not one of {', '.join(_SAMPLERS)}.")
    if sampler.endswith("traceidratio") and argument in given:
        try:
            ratio = float(given[argument])
        except ValueError:
            ratio = -1.0
        if not 0 <= ratio <= 1:
            raise errors.ConfigurationError(
                f"{argument}: {given[argument]!r} is not a share of the traces.", remedy="Write a number from 0 to 1."
            )


def _propagators(given: Mapping[str, str]) -> tuple[str, ...] | None:
    variable = "OTEL_PROPAGATORS"
    if variable not in given:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in given[variable].split(",")))
    if any(name.lower() == "none" for name in names):
        return ()
    for name in names:
        if not importlib.metadata.entry_points(group="opentelemetry_propagator", name=name):
            raise errors.ConfigurationError(
                f"{variable}: no installed distribution has the propagator {name!r}.",
                remedy="b3 and b3multi come with: pip install 'fairlead[tracing]'" if name.startswith("b3") else None,
            )
    return names


def _positive(given: Mapping[str, str], name: str, default: int) -> int:
    if name not in given:
        return default
    try:
        value = float(given[name]) if name.endswith("_TIMEOUT") else int(given[name])
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise errors.ConfigurationError(f"{name}: {given[name]!r} is not a number above 0.")
    return int(value)
