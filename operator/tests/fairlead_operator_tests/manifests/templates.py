"""Helm's templates, as much of them as our chart uses: Go's actions, and some of the functions that Helm adds.

Where there is a ``helm`` on the path, a test holds this to what it makes of the chart.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["TemplateError", "rendered"]

_ACTION: Final = re.compile(r"(?P<left>\s*)\{\{(?P<trims>- )?\s*(?P<text>.*?)\s*(?P<after> -)?\}\}", re.DOTALL)
_TOKEN: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|:=|[()|]|[^\s()|]+)')


class TemplateError(Exception):
    """A template asks for something that is not there, or says that the values are wrong."""


@dataclasses.dataclass(slots=True)
class _Block:
    """An action that goes on to its ``end``."""

    word: str = ""
    expression: list[str] = dataclasses.field(default_factory=list)
    then: list[Any] = dataclasses.field(default_factory=list)
    otherwise: list[Any] = dataclasses.field(default_factory=list)


def rendered(chart: Path, values: Mapping[str, Any] | None = None, namespace: str = "fairlead") -> dict[str, str]:
    """The templates of a chart, filled in, by the name of their file.

    Args:
        chart: the folder of the chart.
        values: in place of those that the chart has.
        namespace: where it is installed.

    Raises:
        TemplateError: a template cannot be filled in.
    """
    about = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    scope = {
        "Values": _merged(dict(values or {}), defaults),
        "Release": {"Namespace": namespace, "Name": "fairlead"},
        "Chart": {"AppVersion": about["appVersion"], "Version": about["version"]},
        "Files": {"Get": lambda name: _content(chart / name)},
    }
    return {
        path.name: _Filling(scope).fill(_parsed(path.read_text(encoding="utf-8")))
        for path in sorted((chart / "templates").iterdir())
    }


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


# -- reading --------------------------------------------------------------------------------------------


def _parsed(text: str) -> list[Any]:
    """Texts, expressions (lists of tokens) and blocks."""
    stack = [_Block()]
    branches = [stack[0].then]
    place, trim = 0, False
    for found in _ACTION.finditer(text):
        before = text[place : found.start()] + ("" if found["trims"] else found["left"])
        branches[-1].append(before.lstrip() if trim else before)
        place, trim = found.end(), bool(found["after"])
        tokens = _TOKEN.findall(found["text"])
        match tokens[0]:
            case "if" | "range" | "with" as word:
                block = _Block(word, tokens[1:])
                branches[-1].append(block)
                stack.append(block)
                branches.append(block.then)
            case "else":
                branches[-1] = stack[-1].otherwise
            case "end":
                stack.pop()
                branches.pop()
            case _:
                branches[-1].append(tokens)
    rest = text[place:]
    branches[-1].append(rest.lstrip() if trim else rest)
    if len(stack) != 1:
        raise TemplateError("a block has no end")
    return stack[0].then


# -- filling in -----------------------------------------------------------------------------------------


class _Filling:
    """One template."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._root = scope
        self._variables: dict[str, Any] = {}

    def fill(self, nodes: list[Any], dot: Any = None) -> str:
        """The text that nodes come to."""
        here = self._root if dot is None else dot
        return "".join(self._one(each, here) for each in nodes)

    def _one(self, node: Any, dot: Any) -> str:
        if isinstance(node, str):
            return node
        if isinstance(node, _Block):
            return self._block(node, dot)
        if node[0].startswith("$") and node[1:2] == [":="]:
            self._variables[node[0]] = self._value(node[2:], dot)
            return ""
        value = self._value(node, dot)
        if isinstance(value, bool):
            return str(value).lower()
        return "" if value is None else str(value)

    def _block(self, block: _Block, dot: Any) -> str:
        value = self._value(block.expression, dot)
        if not value:
            return self.fill(block.otherwise, dot)
        if block.word == "range":
            return "".join(self.fill(block.then, each) for each in value)
        return self.fill(block.then, value if block.word == "with" else dot)

    def _value(self, tokens: list[str], dot: Any) -> Any:
        """A pipeline: each command gets what the one before it gave as its last argument."""
        left = list(tokens)
        value = self._pipeline(left, dot)
        if left:
            raise TemplateError(f"{' '.join(tokens)!r} is not understood")
        return value

    def _pipeline(self, left: list[str], dot: Any) -> Any:
        given: list[Any] = []
        while True:
            given = [self._command(left, dot, given)]
            if not left or left[0] != "|":
                return given[0]
            left.pop(0)

    def _command(self, left: list[str], dot: Any, given: list[Any]) -> Any:
        first = left.pop(0)
        call: Callable[..., Any] | None = _FUNCTIONS.get(first)
        value = None if call else self._operand(first, left, dot)
        if callable(value):
            call = value
        arguments = []
        while left and left[0] not in ("|", ")"):
            arguments.append(self._operand(left.pop(0), left, dot))
        if call is None:
            if arguments or given:
                raise TemplateError(f"{first} is no function that is known")
            return value
        return call(*arguments, *given)

    def _operand(self, token: str, left: list[str], dot: Any) -> Any:
        if token == "(":
            within = self._pipeline(left, dot)
            if not left or left.pop(0) != ")":
                raise TemplateError("a parenthesis is not closed")
            return within
        if token.startswith('"'):
            return json.loads(token)
        if re.fullmatch(r"-?\d+", token):
            return int(token)
        head, *path = token.split(".")
        value: Any = dot if not head else self._root if head == "$" else self._variables.get(head)
        if head and head != "$" and head not in self._variables:
            raise TemplateError(f"{token} is not known")
        for key in filter(None, path):
            if not isinstance(value, Mapping) or key not in value:
                raise TemplateError(f"{token} is not there")
            value = value[key]
        return value


def _merged(first: dict[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """The first of several maps that has a key has its say; maps within them likewise."""
    for other in others:
        for key, value in other.items():
            if isinstance(first.get(key), dict) and isinstance(value, Mapping):
                _merged(first[key], value)
            else:
                first.setdefault(key, copy.deepcopy(value))
    return first


def _required(message: str, value: Any) -> Any:
    if value in (None, ""):
        raise TemplateError(message)
    return value


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "and": lambda *each: next((one for one in each if not one), each[-1]),
    "default": lambda default, value: value or default,
    "dict": dict,
    "fromYaml": yaml.safe_load,
    "join": lambda between, each: between.join(each),
    "merge": _merged,
    "nindent": lambda width, text: "\n" + "\n".join(" " * width + line for line in text.splitlines()),
    "not": lambda value: not value,
    "or": lambda *each: next((one for one in each if one), each[-1]),
    "printf": lambda text, *each: text % each,
    "quote": json.dumps,
    "required": _required,
    "toYaml": lambda value: yaml.safe_dump(value, sort_keys=True, width=10**6).removesuffix("\n"),
}
