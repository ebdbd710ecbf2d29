"""Placeholders in containers and address templates: the part of Go's templates that runtimes use.

``{{.Name}}``, ``{{.Namespace}}``, ``{{.Labels.x}}`` and ``{{.Annotations.x}}`` stand for the InferenceService's own.
Spaces within the braces, and the hyphens that trim white space, mean what they mean in Go. Anything else of Go's
templates is an error, so that no container ever runs with a placeholder as its argument.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fairlead import errors

__all__ = ["NO_VALUE", "rendered", "scope"]

NO_VALUE: Final = "<no value>"
"""What stands in place of a label or an annotation that there is not, as in Go."""

_FIELD: Final = re.compile(r"\s*\.(?P<field>[A-Za-z_]\w*)(?:\.(?P<key>[A-Za-z_]\w*))?\s*", re.ASCII)
_SPACE: Final = " \t\r\n"
_SHOWN: Final = 80

Scope = Mapping[str, "str | Mapping[str, str]"]
"""What placeholders stand for: texts by name, and maps of texts."""


def scope(
    name: str,
    namespace: str,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **more: str,
) -> Scope:
    """What placeholders stand for in an InferenceService.

    Args:
        name: its name.
        namespace: its namespace.
        labels: its labels.
        annotations: its annotations.
        more: other texts, by the names that placeholders have for them.
    """
    return {"Name": name, "Namespace": namespace, "Labels": labels or {}, "Annotations": annotations or {}, **more}


def rendered(value: Any, known: Scope, place: str, condition: str = "InvalidPredictorSpec") -> Any:
    """A copy of plain data in which the placeholders of all texts are filled in.

    Args:
        value: a text, or lists and objects of such.
        known: what placeholders stand for.
        place: where the value is, for errors.
        condition: the word by which conditions name a mistake.

    Raises:
        Unresolvable: there is a placeholder that stands for nothing that is known.
    """
    if isinstance(value, str):
        return _text(value, known, place, condition) if "{{" in value else value
    if isinstance(value, Mapping):
        return {key: rendered(each, known, place, condition) for key, each in value.items()}
    if isinstance(value, list):
        return [rendered(each, known, place, condition) for each in value]
    return value


def _text(text: str, known: Scope, place: str, condition: str) -> str:
    pieces: list[str] = []
    at, trims = 0, False
    while (start := text.find("{{", at)) >= 0:
        end = text.find("}}", start)
        if end < 0:
            raise errors.Unresolvable(
                condition,
                f"{place}: {text[start : start + _SHOWN]!r} opens a placeholder and does not close it.",
                remedy="Close it with }}, or take the braces out: this text is a template.",
            )
        body, before = text[start + 2 : end], text[at:start]
        before = before.lstrip(_SPACE) if trims else before
        if body[:1] == "-" and body[1:2] in tuple(_SPACE):
            body, before = body[1:], before.rstrip(_SPACE)
        trims = body[-1:] == "-" and body[-2:-1] in tuple(_SPACE)
        value = _value(body[:-1] if trims else body, known)
        if value is None:
            raise _unknown(text[start : end + 2], known, place, condition)
        pieces += before, value
        at = end + 2
    rest = text[at:]
    return "".join([*pieces, rest.lstrip(_SPACE) if trims else rest])


def _value(body: str, known: Scope) -> str | None:
    """What a placeholder stands for; None when it is none that is known."""
    match = _FIELD.fullmatch(body)
    found = known.get(match["field"]) if match else None
    if match is None or found is None:
        return None
    if isinstance(found, str):
        return found if match["key"] is None else None
    return None if match["key"] is None else found.get(match["key"], NO_VALUE)


def _unknown(text: str, known: Scope, place: str, condition: str) -> errors.Unresolvable:
    forms = [f"{{{{.{name}}}}}" if isinstance(value, str) else f"{{{{.{name}.x}}}}" for name, value in known.items()]
    return errors.Unresolvable(
        condition,
        f"{place}: {text[:_SHOWN]} is no placeholder that is known.",
        remedy=f"There are {', '.join(forms)}; the rest of Go's templates is not done here.",
    )
