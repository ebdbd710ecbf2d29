"""YAML and JSON text as plain data: safe, bounded, without repeated keys, and with the lines that things are on.

The events of PyYAML's parser are read, and none of its constructors: only JSON's types can come out.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

import yaml

from fairlead import errors
from fairlead.api import scalars

__all__ = ["DEEPEST", "MOST_BYTES", "Document", "is_too_deep", "split"]

MOST_BYTES: Final = 1024 * 1024
"""The size of the longest text that is read; etcd stores no larger object either."""

DEEPEST: Final = 100
"""How many levels of objects and lists a manifest may have."""

_LONGEST: Final = 240
_MERGE: Final = "<<"
_COLLECTION_TAGS: Final = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One document of a text.

    Attributes:
        value: what it holds: objects, lists, texts, numbers, truth values and None.
        source: where the text comes from.
        start: the line that it starts on, from 1; None for JSON, which is read without lines.
        lines: for each object and list by its identity, itself and the line of each key or index.
    """

    value: Any
    source: str
    start: int | None = None
    lines: dict[int, tuple[Any, dict[str | int, int]]] = dataclasses.field(default_factory=dict)

    def line(self, path: Sequence[str | int]) -> int | None:
        """The line of what is at a path; where it has none, that of what it is in."""
        line, value = self.start, self.value
        for step in path:
            line = self.lines.get(id(value), (None, {}))[1].get(step, line)
            if isinstance(value, dict) and step in value:
                value = value[str(step)]
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                break
        return line

    def place(self, path: Sequence[str | int] = ()) -> str:
        """The source and the line of a path, as editors understand them."""
        line = self.line(path)
        return self.source if line is None else f"{self.source}:{line}"


def split(text: str, source: str, *, max_bytes: int = MOST_BYTES) -> list[Document]:
    """Read every document of a text; those that hold nothing are left out.

    Args:
        text: YAML, or one JSON object.
        source: where it comes from, for errors.
        max_bytes: the size of the longest text that is read, in UTF-8.

    Raises:
        InvalidManifest: it is too long, is neither YAML nor JSON, repeats a key, nests too deep, grows by its aliases
            beyond the limit, or holds what JSON cannot.
    """
    size = len(_encoded(text, source))
    if size > max_bytes:
        raise errors.InvalidManifest(f"{source}: it has {size} bytes, and may have {max_bytes}.")
    if text.lstrip().startswith("{"):
        found = _from_json(text, source)
        if found is not None:
            return [found]
    try:
        return list(_Builder(text, source, max_bytes).documents())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = source if mark is None else f"{source}:{mark.line + 1}"
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise errors.InvalidManifest(f"{place}: this is not YAML: {what}.") from error
    except yaml.YAMLError as error:  # of characters that YAML does not allow; its text has several lines
        raise errors.InvalidManifest(f"{source}: this is not YAML: {str(error).splitlines()[0]}.") from error


def _encoded(text: str, place: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise errors.InvalidManifest(
            f"{place}: it holds half of a pair of surrogates, which is no character."
        ) from error


# -- JSON -----------------------------------------------------------------------------------------------


def _from_json(text: str, source: str) -> Document | None:
    """The only document of a JSON text; None where it is not JSON, and may be YAML."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            repeated = next(name for name in names if names.count(name) > 1)
            raise errors.InvalidManifest(f"{source}: {_cut(f'the key {repeated!r} is there twice')}.")
        return found

    def refused(constant: str) -> NoReturn:
        raise errors.InvalidManifest(f"{source}: {constant} is no number that JSON has.")

    try:
        value = json.loads(text, object_pairs_hook=once, parse_constant=refused)
    except RecursionError as error:
        raise _too_deep(source) from error
    except ValueError:
        return None
    _check_depth(value, source)
    _encoded(json.dumps(value, ensure_ascii=False), source)
    return Document(value, source)


def _check_depth(value: Any, source: str) -> None:
    if is_too_deep(value):
        raise _too_deep(source)


def is_too_deep(value: Any) -> bool:
    """Whether objects and lists nest more than `DEEPEST` levels deep; it needs no stack to find out."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            below
            for each in level
            for below in (each.values() if isinstance(each, dict) else each)
            if isinstance(below, dict | list)
        ]
        if not level:
            return False
    return True


def _cut(reason: str) -> str:
    """What is wrong, without most of a name that is very long."""
    return reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}..."


def _too_deep(place: str) -> errors.InvalidManifest:
    return errors.InvalidManifest(f"{place}: it nests more than {DEEPEST} levels deep.")


# -- YAML -----------------------------------------------------------------------------------------------


class _Builder:
    """Makes plain data of the events of a text."""

    def __init__(self, text: str, source: str, limit: int) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        self._source = source
        self._limit = limit
        self._size = 0  # characters and values so far, those of aliases counted each time
        self._start_document()

    def _start_document(self) -> None:
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._lines: dict[int, tuple[Any, dict[str | int, int]]] = {}

    def documents(self) -> Iterator[Document]:
        """Each document that holds something."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._start_document()
                first = next(self._events)
                value = self._value(first, 0)
                if value is not None:
                    yield Document(value, self._source, first.start_mark.line + 1, self._lines)

    def _value(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._size
        self._size += 1
        if isinstance(event, yaml.ScalarEvent):
            self._size += len(event.value)
            _encoded(event.value, self._place(event))
            value: Any = self._scalar(event)
        else:
            if depth >= DEEPEST:
                raise _too_deep(self._place(event))
            if event.tag not in _COLLECTION_TAGS:
                self._refuse(event, f"the tag {event.tag} is not allowed")
            value = (self._mapping if isinstance(event, yaml.MappingStartEvent) else self._sequence)(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._size - before)
        return value

    def _scalar(self, event: Any) -> scalars.Scalar:
        try:
            if event.tag not in (None, "!"):
                return scalars.tagged(event.value, event.tag)
            return scalars.resolved(event.value) if event.implicit[0] and event.tag is None else str(event.value)
        except ValueError as error:
            self._refuse(event, str(error))

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:  # one that is still open is not there yet, so none can hold itself
            self._refuse(event, f"there is no complete anchor &{event.anchor} above the alias *{event.anchor}")
        value, size = self._anchors[event.anchor]
        self._size += size
        if self._size > self._limit:
            self._refuse(event, f"its aliases make more than {self._limit} bytes of it")
        return copy.deepcopy(value)  # nobody who changes one of them may change the others

    def _sequence(self, depth: int) -> list[Any]:
        found: list[Any] = []
        lines: dict[str | int, int] = {}
        self._lines[id(found)] = (found, lines)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            lines[len(found)] = event.start_mark.line + 1
            found.append(self._value(event, depth + 1))
        return found

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str | int, int] = {}
        merged: list[Any] = []
        self._lines[id(found)] = (found, lines)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            merging = isinstance(event, yaml.ScalarEvent) and event.value == _MERGE and event.implicit[0]
            key = self._value(event, depth + 1)
            if not isinstance(key, str):
                self._refuse(event, f"the key {json.dumps(key)[:80]} is no text; write it in quotes")
            following = next(self._events)
            value = self._value(following, depth + 1)
            if merging:
                merged += self._sources(event, value)
                continue
            if key in found:
                self._refuse(event, f"the key {key!r} is there twice, first in line {lines[key]}")
            found[key] = value
            lines[key] = event.start_mark.line + 1
        for source in merged:  # what is said here wins, then the earlier source
            for key, value in source.items():
                found.setdefault(key, value)
        return found

    def _sources(self, event: Any, value: Any) -> list[dict[str, Any]]:
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in sources):
            self._refuse(event, "<< merges objects, and this is none")
        return sources

    def _place(self, event: Any) -> str:
        return f"{self._source}:{event.start_mark.line + 1}"

    def _refuse(self, event: Any, reason: str) -> NoReturn:
        raise errors.InvalidManifest(f"{self._place(event)}: {_cut(reason)}.")
