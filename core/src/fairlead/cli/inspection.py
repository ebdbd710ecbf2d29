"""The descriptors of plugins as text to read and as JSON."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from fairlead.contracts.runtime import Library, ModelFormat, Setting

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["as_json", "installed_version", "lines"]


def lines(spec: DataclassInstance) -> list[str]:
    """One line for every field of a spec; settings and other tuples of descriptors have a line each."""
    fields = [(field.name, getattr(spec, field.name)) for field in dataclasses.fields(spec)]
    width = max(len(name) for name, _ in fields)
    text: list[str] = []
    for name, value in fields:
        shown = _shown(value)
        text.append(f"{name:<{width}}  {shown[0]}")
        text += [f"{'':<{width}}  {line}" for line in shown[1:]]
    return text


def as_json(value: Any) -> Any:
    """A spec as what `json.dumps` takes; libraries gain the version that is installed."""
    if isinstance(value, frozenset):
        return sorted(as_json(each) for each in value)
    if isinstance(value, tuple):
        return [as_json(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {**fields, "installed": installed_version(value)} if isinstance(value, Library) else fields
    return value


def installed_version(library: Library) -> str | None:
    """The installed version of a library; None when it is not installed."""
    found = library.installed()
    return None if found is None else found[1]


def _shown(value: object) -> list[str]:
    """A field's value, as one line or several."""
    if value is None or value == () or value == frozenset():
        return ["-"]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, frozenset):
        return [", ".join(sorted(map(str, value)))]
    if isinstance(value, tuple) and dataclasses.is_dataclass(value[0]):
        return [line for each in value for line in _described(each)]
    if isinstance(value, tuple):
        return [", ".join(map(str, value))]
    return [str(value)]


def _described(value: object) -> list[str]:
    match value:
        case ModelFormat():
            version = f" {value.version}" if value.version else ""
            choice = f"chosen automatically, priority {value.priority}" if value.auto_select else "only when named"
            return [f"{value.name}{version} ({choice})"]
        case Library():
            installed = installed_version(value)
            return [f"{value.distribution} ({f'{installed} is installed' if installed else 'not installed'})"]
        case Setting():
            return _setting(value)
        case _:
            return [str(value)]


def _setting(setting: Setting) -> list[str]:
    text = [f"{setting.name} = {setting.default!r}", f"    {setting.help}"]
    for label, values in (
        ("choices", setting.choices),
        ("flags", setting.flags),
        ("environment", tuple(map(_variable, setting.env))),
    ):
        if values:
            text.append(f"    {label}: {', '.join(map(str, values))}")
    return text


def _variable(text: str) -> str:
    """An environment variable of a setting, with the value of the setting that a true one stands for."""
    name, equals, value = text.partition("=")
    return f"{name}=true means {value}" if equals else name
