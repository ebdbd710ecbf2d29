"""What one level says: the ConfigMap of the cluster, that of a namespace, or the annotations of a service."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NoReturn

from fairlead import errors
from fairlead.resolve.findings import nearest, shown
from fairlead_operator.configuration.fields import BY_PATH, CONFIG_MAP, FIELDS, KEYS, Field

__all__ = ["PREFIX", "Level", "Said", "of_annotations", "of_config_map"]

PREFIX: Final = "config.fairlead.io/"
"""How annotations begin that lay something over; ``key.field`` follows."""

_COMMENT: Final = "_"  # keys such as _example, which explain the others
_LONGEST: Final = 120

_FOLDED: Final[Mapping[str, Field]] = {path.lower(): field for path, field in BY_PATH.items()}
_PARENTS: Final = frozenset(
    path[:end].lower() for path in BY_PATH for end, letter in enumerate(path) if letter == "." and end
)


class Level(StrEnum):
    """Who says something, the weakest first."""

    DEFAULT = "default"
    CLUSTER = "cluster"
    NAMESPACE = "namespace"
    SERVICE = "service"


@dataclasses.dataclass(slots=True)
class Said:
    """What a level says.

    Attributes:
        level: which it is.
        values: the fields that it gives a value, with what that comes to.
        problems: what is wrong, each as sentences that begin with where.
        refused: the paths of what is wrong.
    """

    level: Level
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)
    refused: set[str] = dataclasses.field(default_factory=set)

    def where(self, path: str) -> str:
        """How sentences begin that are about a path."""
        if self.level is Level.SERVICE:
            return f"The annotation {PREFIX}{_safe(path)}"
        return f"{_safe(path)} in the ConfigMap {CONFIG_MAP} of the {self.level}"

    def problem(self, path: str, text: str) -> None:
        """Note what is wrong with what is at a path."""
        self.refused.add(path)
        self.problems.append(f"{self.where(path)} {text}")

    def take(self, field: Field, value: Any) -> None:
        """Take the value of a field, or note why not."""
        try:
            self.values[field.path] = field.kind.read(value)
        except errors.ConfigurationError as error:
            self.problem(field.path, f"is {shown(value)}, and not {error.reason}. It does not count.")


def of_config_map(level: Level, data: Mapping[str, str] | None) -> Said:
    """What a ConfigMap says.

    Args:
        level: the cluster's or a namespace's.
        data: its ``data``; None where there is no such ConfigMap.
    """
    said = Said(level)
    for key, text in (data or {}).items():
        if key.startswith(_COMMENT):
            continue
        name = next((each for each in KEYS if each.lower() == key.lower()), None)
        if name is None:
            said.problem(key, f"is no key that is known.{nearest(key, KEYS)} It does not count.")
            continue
        try:
            _walk(said, name, _parsed(text))
        except errors.ConfigurationError as error:
            said.problem(name, f"{error.reason}. None of it counts.")
    return said


def of_annotations(annotations: Mapping[str, str]) -> Said:
    """What the annotations of an InferenceService say; those that begin otherwise are left aside."""
    said = Said(Level.SERVICE)
    for name, text in annotations.items():
        if not name.startswith(PREFIX):
            continue
        path = name.removeprefix(PREFIX)
        field = _FOLDED.get(path.lower())
        if field is None:
            said.problem(path, f"names no field that is known.{_hint(path)} It does not count.")
            continue
        try:
            value = text if field.kind.is_text else _json(text)
        except errors.ConfigurationError as error:
            said.problem(field.path, f"{error.reason}; it has to be {field.kind.wanted}. It does not count.")
            continue
        said.take(field, value)
    return said


def _walk(said: Said, path: str, value: Mapping[str, Any]) -> None:
    """Take all fields below a path."""
    for name, below in value.items():
        here = f"{path}.{name}"
        folded = here.lower()
        if below is None:
            continue
        if folded in _FOLDED:
            said.take(_FOLDED[folded], below)
        elif folded not in _PARENTS:
            said.problem(here, f"is no field that is known.{_hint(here)} It does not count.")
        elif isinstance(below, Mapping):
            _walk(said, here, below)
        else:
            said.problem(here, f"is {shown(below)}, and not an object. It does not count.")


def _hint(path: str) -> str:
    """What may have been meant by a path: a field with nearly that name, there or elsewhere."""
    path = path[:_LONGEST]
    if path.lower() in _PARENTS:
        return f" It has {', '.join(field.path for field in _below(path))}."
    parent, _, name = path.rpartition(".")
    siblings = [field.path.removeprefix(f"{parent}.") for field in _below(parent)]
    if near := nearest(name, siblings):
        return near
    return nearest(path, BY_PATH)


def _below(parent: str) -> Iterator[Field]:
    return (field for field in FIELDS if field.path.lower().startswith(f"{parent.lower()}."))


def _parsed(text: str) -> Mapping[str, Any]:
    """The object in the text of a key.

    Raises:
        ConfigurationError: there is none.
    """
    value = _json(text)
    if not isinstance(value, Mapping):
        raise errors.ConfigurationError(f"is {shown(value)}, and not a JSON object")
    return value


def _json(text: str) -> Any:
    """The value that a JSON text stands for.

    Raises:
        ConfigurationError: it is no JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError as error:
        raise errors.ConfigurationError("nests too deep") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise errors.ConfigurationError(f"is no JSON: {error.msg} in {place}") from error
    except ValueError as error:
        raise errors.ConfigurationError("has a number that is too long") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise errors.ConfigurationError(f"has the field {_safe(repeated)} twice")
    return found


def _no_number(constant: str) -> NoReturn:
    raise errors.ConfigurationError(f"has {constant}, which is no number of JSON")


def _safe(path: str) -> str:
    """A path as it may be printed: in one line, short, and without control characters."""
    return path if path.isprintable() and len(path) <= _LONGEST else shown(path)
