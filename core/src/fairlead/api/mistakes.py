"""What pydantic finds wrong with a document, in words: the place, the field, and what was meant."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.api import base, component, pod

if TYPE_CHECKING:
    import pydantic
    from pydantic_core import ErrorDetails

    from fairlead.api.documents import Document

__all__ = ["described"]

_NEAR: Final = 3
_LISTED: Final = 12
_SHOWN: Final = 60

_WANTED: Final = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "string_type": "a text",
}


def described(kind: type[base.Resource], error: pydantic.ValidationError, document: Document) -> list[str]:
    """Every mistake of a document of a kind, in the order of its lines.

    Each text begins with the source and the line, then the kind and the name of the object.
    """
    who = _who(kind, document.value)
    found = [
        (document.line(each["loc"]) or 0, f"{document.place(each['loc'])}: {who}: {_mistake(kind, each)}")
        for each in error.errors(include_url=False)
    ]
    return [text for _, text in sorted(found, key=lambda each: each[0])]


def _who(kind: type[base.Resource], value: dict[str, Any]) -> str:
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    title = kind.identity()[1]
    return f"{title} {_safe(name)}" if isinstance(name, str) and name else title


def _mistake(kind: type[base.Resource], error: ErrorDetails) -> str:
    path = error["loc"]
    match error["type"]:
        case "extra_forbidden":
            return _unknown(kind, path)
        case "missing":
            return f"{_shown(path[:-1]) or 'it'} needs {path[-1]}."
        case _ if path[0] in kind.hidden_fields:
            wanted = _WANTED.get(error["type"]) or "allowed here"
            return f"{_shown(path)} is not {wanted}." + (" Write it in quotes." if wanted == "a text" else "")
        case _:
            wanted = _WANTED.get(error["type"]) or _bound(error)
            quotes = isinstance(error["input"], int | float) and error["type"] in ("string_type", "quantity")
            remedy = " Write it in quotes." if quotes else ""
            return f"{_shown(path)} is {_value(error['input'])}, and not {wanted}.{remedy}"


def _bound(error: ErrorDetails) -> str:
    """What a value has to be, where its type is right."""
    ctx = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"at least {ctx['ge']}"
        case "less_than_equal":
            return f"at most {ctx['le']}"
        case "literal_error":
            return str(ctx["expected"])
        case "string_pattern_mismatch":
            return f"a text that matches {ctx['pattern']}"
        case "string_too_long":
            return f"a text of at most {ctx['max_length']} characters"
        case "string_too_short" | "too_short":  # no field has another bound than 1
            return "a text that is not empty" if error["type"] == "string_too_short" else "a list that is not empty"
        case _:
            return error["msg"]


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if not text.isprintable():
        text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _safe(name: str) -> str:
    """A name of the document's as it may be printed: short, in one line, and without control characters."""
    return name if name.isprintable() and len(name) <= _SHOWN else _value(name)


def _shown(path: Sequence[str | int]) -> str:
    """A path as it is written elsewhere: ``spec.canary[0].predictor``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{_safe(step)}" for step in path)
    return text.removeprefix(".")


# -- fields that there are not ----------------------------------------------------------------------------


def _unknown(kind: type[base.Resource], path: Sequence[str | int]) -> str:
    name = str(path[-1])
    part: Any = kind
    for step in path[:-1]:
        part = _below(part, step)
    near = _nearest(part, name)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"It may have: {', '.join(_own(part))}."
    return f"{_shown(path[:-1]) or 'it'} has no field {name[:_SHOWN]!r}. {hint}"


def _nearest(part: type[base.Part], name: str) -> list[str]:
    """The fields that come near to a name: first the field of a field that has exactly this name."""
    fields = {base.json_name(attribute): field for attribute, field in part.model_fields.items()}
    inside = [outer for outer, field in fields.items() if name in _names(_plain(field.annotation))]
    folded = {known.lower(): known for known in fields}
    if name.lower() in folded:
        return [folded[name.lower()]]
    near = [folded[each] for each in difflib.get_close_matches(name.lower(), folded, n=_NEAR)]
    return [f"{outer}.{name}" for outer in inside[:1]] + near


def _own(part: type[base.Part]) -> list[str]:
    """The fields that a part has, without those of Kubernetes and of every component where that would be too many."""
    names = _names(part)
    if len(names) > _LISTED:
        common = {*_names(pod.PodFields), *_names(pod.ContainerFields), *_names(component.ComponentFields)}
        names = [name for name in names if name not in common] or names
    return names


def _names(annotation: Any) -> list[str]:
    if not _is_part(annotation):
        return []
    return [base.json_name(attribute) for attribute in annotation.model_fields]


def _below(annotation: Any, step: str | int) -> Any:
    """The type of what is at a step below a value of a type."""
    if _is_part(annotation):
        field = next(each for name, each in annotation.model_fields.items() if base.json_name(name) == step)
        return _plain(field.annotation)
    return _plain(typing.get_args(annotation)[-1])  # of a list, or the values of a map


def _plain(annotation: Any) -> Any:
    """A type without its constraints, and without None."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in (typing.Union, types.UnionType):
            annotation = next(each for each in typing.get_args(annotation) if each is not types.NoneType)
        else:
            return annotation


def _is_part(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, base.Part)
