"""What ``fairlead plugins doctor`` finds: plugins that cannot be used, and descriptors that make no sense."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from fairlead import errors
from fairlead.cli import inspection
from fairlead.contracts.autoscaler import Autoscaler, AutoscalerMode, AutoscalerSpec
from fairlead.contracts.explainer import ExplainerSpec
from fairlead.contracts.runtime import RuntimeSpec, Setting
from fairlead.contracts.storage import StorageSpec
from fairlead.plugins import (
    ALLOW_LIST_VARIABLE,
    Kind,
    PluginInfo,
    Plugins,
    PluginState,
    strict_from_environment,
    traceback_of,
)

__all__ = ["Finding", "examine"]

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ENVIRONMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:=(.+))?")
_FLAG: Final = re.compile(r"--?[A-Za-z][A-Za-z0-9_-]*")
_PROTOCOLS: Final = ("v1", "v2", "grpc-v2")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        plugin: the plugin's id, or what else it is about.
        problem: what is wrong, in one sentence.
        remedy: what to do about it; empty when that is plain.
        traceback: where a plugin raised; empty otherwise.
    """

    plugin: str
    problem: str
    remedy: str = ""
    traceback: str = ""


def examine(plugins: Plugins) -> list[Finding]:
    """Import every plugin and its factory, and check its spec; libraries are not imported."""
    findings = [_from_error("installation", error) for error in plugins.unreadable]
    findings += [
        Finding(
            plugin=ALLOW_LIST_VARIABLE,
            problem=f"It names {word}, and no such plugin is installed.",
            remedy="Install it, or take it off the list.",
        )
        for word in plugins.missing
    ]
    prefixes: dict[str, list[str]] = collections.defaultdict(list)
    for info in plugins.infos():
        findings += _examine_one(plugins, info, prefixes)
    for prefix, names in prefixes.items():
        if len(names) > 1:
            problem = f"The storage providers {' and '.join(names)} all take {prefix}, and only one is asked."
            findings.append(Finding(plugin="storage", problem=problem, remedy="Uninstall or block all but one."))
    return findings


def _examine_one(plugins: Plugins, info: PluginInfo, prefixes: dict[str, list[str]]) -> Iterator[Finding]:
    if info.state is PluginState.BLOCKED and not strict_from_environment():
        return
    if info.error is not None:
        yield _from_error(info.id, info.error)
        return
    if _NAME.fullmatch(info.name) is None:
        yield Finding(plugin=info.id, problem="Its name has other characters than a-z, 0-9 and single hyphens.")
    try:
        specs: Sequence[Any] = plugins.specs(info.kind, info.name)
    except errors.PluginError as error:
        yield _from_error(info.id, error)
        return
    for spec in specs:
        try:
            factory: object = plugins.factory(info.kind, spec)
        except errors.PluginError as error:
            yield _from_error(info.id, error)
            factory = None
        for problem in _problems(spec, factory):
            yield Finding(plugin=info.id, problem=problem)
        if info.kind is Kind.STORAGE:
            for prefix in spec.prefixes:
                prefixes[prefix].append(info.name)
        for library in getattr(spec, "libraries", ()):
            if inspection.installed_version(library) is None:
                problem = f"Its library {library.distribution} is not installed."
                yield Finding(plugin=info.id, problem=problem, remedy=library.remedy)


def _from_error(plugin: str, error: errors.PluginError) -> Finding:
    shown = traceback_of(error)
    remedy = error.remedy or ""
    if shown and "fairlead plugins doctor" in remedy:
        remedy = ""  # it points to what is being printed
    return Finding(plugin=plugin, problem=error.reason, remedy=remedy, traceback=shown)


# -- descriptors ----------------------------------------------------------------------------------------


def _problems(spec: object, factory: object) -> Iterator[str]:
    match spec:
        case RuntimeSpec():
            yield from _runtime(spec)
            yield from _settings(spec.settings)
        case StorageSpec():
            yield from _storage(spec)
        case ExplainerSpec():
            if not spec.explains:
                yield "It explains no kind of model: explains is empty."
            yield from _settings(spec.settings)
        case AutoscalerSpec():
            yield from _autoscaler(spec, factory)


def _runtime(spec: RuntimeSpec) -> Iterator[str]:
    if not spec.formats:
        yield "It serves no model format: formats is empty."
    yield from _repeated("model format", [f"{each.name} {each.version or ''}".strip() for each in spec.formats])
    if not spec.artifacts:
        yield "It loads no file: artifacts is empty."
    for pattern in spec.artifacts:
        if "/" in pattern[:-1] or not pattern.strip("/"):
            yield f"Its artifact pattern {pattern!r} can match nothing: patterns are names at the top level."
    if not spec.protocols:
        yield "It can be asked by no protocol: protocols is empty."
    for protocol in spec.protocols:
        if protocol not in _PROTOCOLS:
            yield f"Its protocol {protocol!r} is not one of {', '.join(_PROTOCOLS)}."


def _storage(spec: StorageSpec) -> Iterator[str]:
    if not spec.prefixes and not spec.patterns:
        yield "It takes no URI: prefixes and patterns are empty."
    if "" in spec.prefixes:
        yield "It has an empty prefix, which every URI starts with."
    for pattern in spec.patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"Its pattern {pattern!r} is not a regular expression: {error}."


def _autoscaler(spec: AutoscalerSpec, factory: object) -> Iterator[str]:
    if not spec.modes:
        yield "It neither decides nor delegates: modes is empty."
    if AutoscalerMode.DECIDES in spec.modes and not spec.metrics:
        yield "It decides and wants no metric: metrics is empty."
    delegates = isinstance(factory, type) and getattr(factory, "manifests", None) is not Autoscaler.manifests
    if AutoscalerMode.DELEGATES in spec.modes and factory is not None and not delegates:
        yield f"It delegates, and {spec.factory} does not define manifests."
    if AutoscalerMode.DELEGATES in spec.modes and not spec.kinds:
        yield "It delegates, and does not say which kinds of objects it makes: kinds is empty."


def _settings(settings: Sequence[Setting]) -> Iterator[str]:
    yield from _repeated("setting", [setting.name for setting in settings])
    yield from _repeated("flag", [flag for setting in settings for flag in setting.flags])
    yield from _repeated("environment variable", [env for setting in settings for env in setting.env])
    for setting in settings:
        where = f"Its setting {setting.name}"
        if setting.choices and setting.default not in setting.choices:
            yield f"{where} has the default {setting.default!r}, which is not one of its choices."
        for choice in setting.choices:
            if type(choice) is not type(setting.default):
                yield f"{where} has the choice {choice!r}, which is not of the type of its default."
        for flag in setting.flags:
            if _FLAG.fullmatch(flag) is None:
                yield f"{where} has the flag {flag!r}, which is not of the form --name."
        for variable in setting.env:
            yield from (f"{where} {problem}" for problem in _environment(setting, variable))


def _environment(setting: Setting, text: str) -> Iterator[str]:
    match = _ENVIRONMENT.fullmatch(text)
    if match is None:
        yield f"has the environment variable {text!r}, which is not of the form NAME or NAME=value."
    elif match[2] is not None:
        try:
            setting.parse(match[2])
        except errors.ConfigurationError as error:
            yield f"cannot be set by {text}: {error.reason}"


def _repeated(what: str, values: Sequence[str]) -> Iterator[str]:
    for value, count in collections.Counter(values).items():
        if count > 1:
            yield f"It declares the {what} {value} {count} times."
