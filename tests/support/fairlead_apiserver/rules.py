"""What the schema of a CustomResourceDefinition asks of an object, its rules in CEL included."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from fairlead_apiserver.decoding import named
from fairlead_apiserver.failures import Cause
from fairlead_apiserver.schemas import Node

__all__ = ["broken"]

_MISSING: Final = object()


def broken(node: Node, value: Any, old: Any = _MISSING, path: str = "") -> Iterator[Cause]:
    """What is wrong with a value; ``old`` is what it was, where it was.

    A value that was there before and is not changed is not held to a schema that may have become stricter.
    """
    same = old is not _MISSING and old == value
    if not same:
        yield from _types(node, value, path)
        if node.raw:
            yield from _bounds(node.raw, value, path)
    if node.raw:
        yield from _choices(node.raw, value, path)
    if isinstance(value, dict):
        for key in node.required:
            if key not in value:
                yield Cause.of("FieldValueRequired", f"{path}.{key}".lstrip("."))
        before = old if isinstance(old, dict) else {}
        for key, each in value.items():
            child = node.properties.get(key) or node.additional
            if child is not None:
                below = f"{path}.{key}" if path else key
                yield from broken(child, each, before.get(key, _MISSING), below)
    elif isinstance(value, list) and node.items is not None:
        yield from _items(node, value, old, path)
    if "x-kubernetes-validations" in node.raw:
        seen, before = (value, old) if path else (_root(value), _root(old))
        yield from _rules(node.raw["x-kubernetes-validations"], seen, before, path)


def _root(value: Any) -> Any:
    """What rules see of an object: of its metadata the name alone."""
    if not isinstance(value, dict) or "metadata" not in value:
        return value
    metadata = {key: each for key, each in value["metadata"].items() if key in ("name", "generateName")}
    return {**value, "metadata": metadata}


def _types(node: Node, value: Any, path: str) -> Iterator[Cause]:
    kind, given = node.type, named(value)
    if not kind or kind == given or (value is None and node.nullable):
        return
    if kind == "number" and given == "integer":
        return
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return
    if kind in ("int-or-string", "quantity") and given in ("integer", "string"):
        return
    wanted = "integer,string" if kind == "int-or-string" else kind
    text = f'{path} in body must be of type {wanted}: "{given}"'
    yield Cause.of("FieldValueTypeInvalid", path, text, given)


def _items(node: Node, value: list[Any], old: Any, path: str) -> Iterator[Cause]:
    seen: dict[str, Any] = {}
    before = {}
    if isinstance(old, list) and node.list_type == "map":
        before = {json.dumps(node.keys(each), sort_keys=True): each for each in old}
    for index, each in enumerate(value):
        below = f"{path}[{index}]"
        identity = json.dumps(node.keys(each) if node.list_type == "map" else each, sort_keys=True)
        if node.list_type in ("map", "set") and identity in seen:
            yield Cause.of("FieldValueDuplicate", below, value=node.keys(each) if isinstance(each, dict) else each)
        seen[identity] = each
        yield from broken(node.item, each, before.get(identity, _MISSING), below)


def _bounds(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[Cause]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        if "minimum" in schema and value < schema["minimum"]:
            text = f"{path} in body should be greater than or equal to {schema['minimum']}"
            yield Cause.of("FieldValueInvalid", path, text, value)
        if "maximum" in schema and value > schema["maximum"]:
            text = f"{path} in body should be less than or equal to {schema['maximum']}"
            yield Cause.of("FieldValueInvalid", path, text, value)
    elif isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            text = f"{path} in body should be at least {schema['minLength']} chars long"
            yield Cause.of("FieldValueInvalid", path, text, value)
        if len(value) > schema.get("maxLength", len(value)):
            yield Cause(path, "FieldValueTooLong", f"Too long: may not be more than {schema['maxLength']} bytes")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            text = f"{path} in body should match '{schema['pattern']}'"
            yield Cause.of("FieldValueInvalid", path, text, value)
    else:
        yield from _sizes(schema, value, path)


def _sizes(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[Cause]:
    least, most = ("minItems", "maxItems") if isinstance(value, list) else ("minProperties", "maxProperties")
    if len(value) < schema.get(least, 0):
        text = f"{path} in body should have at least {schema[least]} {least[3:].lower()}"
        yield Cause.of("FieldValueInvalid", path, text, len(value))
    if len(value) > schema.get(most, len(value)):
        yield Cause(path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {schema[most]} items")


def _choices(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[Cause]:
    if "enum" in schema and value not in schema["enum"] and value is not None:
        supported = ", ".join(json.dumps(each) for each in schema["enum"])
        yield Cause.of("FieldValueNotSupported", path, f"supported values: {supported}", value)
    for each in schema.get("allOf", ()):
        yield from broken(_partial(json.dumps(each)), value, path=path)
    if "anyOf" in schema and not any(_holds(each, value) for each in schema["anyOf"]):
        yield Cause.of("FieldValueInvalid", path, f"{path} in body must validate at least one schema (anyOf)", value)
    if "oneOf" in schema and sum(_holds(each, value) for each in schema["oneOf"]) != 1:
        yield Cause.of(
            "FieldValueInvalid", path, f"{path} in body must validate one and only one schema (oneOf)", value
        )
    if "not" in schema and _holds(schema["not"], value):
        yield Cause.of("FieldValueInvalid", path, f"{path} in body must not validate the schema (not)", value)


def _holds(schema: Mapping[str, Any], value: Any) -> bool:
    return not any(broken(_partial(json.dumps(schema)), value))


@functools.cache
def _partial(text: str) -> Node:
    return _bare(json.loads(text))


def _bare(schema: Mapping[str, Any]) -> Node:
    kind = schema.get("type", "")
    properties = {key: _bare(value) for key, value in schema.get("properties", {}).items()}
    items = _bare(schema["items"]) if "items" in schema else None
    required = tuple(schema.get("required", ()))
    return Node(type=kind, properties=properties, items=items, required=required, preserve=True, raw=schema)


def _rules(rules: list[dict[str, Any]], value: Any, old: Any, path: str) -> Iterator[Cause]:
    for rule in rules:
        transition = re.search(r"\boldSelf\b", rule["rule"]) is not None
        optional = bool(rule.get("optionalOldSelf"))
        if transition and old is _MISSING and not optional:
            continue
        if not transition and old is not _MISSING and old == value:
            continue
        names = {"self": _mentioned(rule["rule"], "self", value)}
        if transition and old is not _MISSING:
            names["oldSelf"] = _mentioned(rule["rule"], "oldSelf", old)
        fault = _judged(rule["rule"], orjson.dumps(names, option=orjson.OPT_SORT_KEYS))
        if fault is not None:
            where = f"{path}{rule.get('fieldPath', '')}".lstrip(".")
            text = rule.get("message") or fault or f"failed rule: {rule['rule']}"
            yield Cause.of(rule.get("reason", "FieldValueInvalid"), where, text, value)


def _mentioned(rule: str, name: str, value: Any) -> Any:
    """The part of a value that a rule speaks of, so that a verdict holds for all values that share it."""
    fields = _fields(rule, name)
    if fields is None or not isinstance(value, dict):
        return value
    return {key: each for key, each in value.items() if key in fields}


@functools.cache
def _fields(rule: str, name: str) -> frozenset[str] | None:
    """The fields of ``self`` that a rule names, or None where it speaks of all of it."""
    named = re.findall(rf"(?<![.\w]){name}\b(\.\w+)?(?!\w)(?!\s*\()", rule)
    every = len(re.findall(rf"\b{name}\b", rule))
    if len(named) != every or not all(named):
        return None
    return frozenset(each[1:] for each in named)


@functools.lru_cache(maxsize=50_000)
def _judged(rule: str, names: bytes) -> str | None:
    from celpy import adapter, evaluation

    try:
        given = {key: adapter.json_to_cel(value) for key, value in orjson.loads(names).items()}
        verdict = _program(rule).evaluate(given)
    except evaluation.CELEvalError as error:
        return f"rule evaluation error: {error.args[0]}"
    return None if verdict else ""


@functools.cache
def _program(rule: str) -> Any:
    import celpy

    environment = celpy.Environment()
    return environment.program(environment.compile(rule))
