"""Reading an object as its kind has it: unknown fields and nulls go, amounts get their one form, defaults come."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from fairlead_apiserver import quantities

if TYPE_CHECKING:
    from fairlead_apiserver.schemas import Node

__all__ = ["Findings", "decode", "with_defaults"]

_KEEPS_EMPTY: Final = frozenset({"storageClassName", "volumeAttributesClassName", "ingressClassName"})
_NAMES: Final = {"integer": "int32", "number": "float64", "string": "string", "boolean": "bool"}
# Fields of Kubernetes' own kinds that are not written when they say what is so without them.
_SILENT: Final = frozenset(
    {"readOnly", "hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "paused", "publishNotReadyAddresses",
     "unschedulable", "minReadySeconds", "initialDelaySeconds", "hostPort", "nodePort", "observedGeneration"}
)  # fmt: skip


@dataclasses.dataclass(slots=True)
class Findings:
    """What was found while an object was read."""

    unknown: list[str] = dataclasses.field(default_factory=list)
    mistyped: list[tuple[str, str, Any]] = dataclasses.field(default_factory=list)


def decode(node: Node, value: Any, path: str, findings: Findings, *, own: bool) -> Any:
    """A copy of a value that holds only what its kind knows; ``own`` says that the kind is one of Kubernetes' own."""
    kind = node.type
    if isinstance(value, dict) and kind in ("object", ""):
        return _object(node, value, path, findings, own=own)
    if isinstance(value, list) and kind in ("array", ""):
        return [decode(node.item, each, f"{path}[{index}]", findings, own=own) for index, each in enumerate(value)]
    if kind == "quantity" and isinstance(value, str | int | float) and not isinstance(value, bool):
        amount = quantities.canonical(str(value))
        if amount is None:
            findings.mistyped.append((path, "quantity", value))
        return amount
    if not _fits(kind, value) and not (value is None and node.nullable):
        findings.mistyped.append((path, kind, value))
    return value


def _object(node: Node, value: dict[str, Any], path: str, findings: Findings, *, own: bool) -> dict[str, Any]:
    found = {}
    properties, additional = node.properties, node.additional
    for key, each in value.items():
        child = properties.get(key) or additional
        below = f"{path}.{key}" if path else key
        if child is None:
            if node.preserve:
                found[key] = copy.deepcopy(each)
            else:
                findings.unknown.append(below)
            continue
        if each is None and not child.nullable and not (child.preserve and not child.type):
            continue
        read = decode(child, each, below, findings, own=own)
        if own and key in properties and key not in node.required and _empty(key, child, read):
            continue
        found[key] = read
    return found


def _empty(key: str, child: Node, value: Any) -> bool:
    if isinstance(value, dict):
        return not value and child.additional is not None
    if isinstance(value, list):
        return not value
    if value == "":
        return key not in _KEEPS_EMPTY
    return key in _SILENT and (value is False or value == 0)


def _fits(kind: str, value: Any) -> bool:
    if kind in ("", "object", "array"):
        return kind == ""
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if kind == "number":
        return isinstance(value, int | float)
    return isinstance(value, int | str)  # int-or-string, quantity


def named(value: Any) -> str:
    """What JSON calls the type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    kinds = {str: "string", dict: "object", list: "array", int: "integer", float: "number"}
    return kinds[type(value)]


def unmarshalling(kind: str, path: str, expected: str, value: Any) -> str:
    """The sentence about a value of the wrong type in one of Kubernetes' own kinds."""
    given = {"integer": f"number {json.dumps(value)}", "number": f"number {json.dumps(value)}", "boolean": "bool"}
    name = named(value)
    if expected == "quantity":
        return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    return (
        f"json: cannot unmarshal {given.get(name, name)} into Go struct field {kind}.{path} "
        f"of type {_NAMES.get(expected, expected)}"
    )


def with_defaults(node: Node, value: Any) -> Any:
    """The value with the defaults of a CustomResourceDefinition's schema; nothing is copied that stays as it is."""
    if not node.defaulted and node.items is None and node.additional is None:
        return value
    if isinstance(value, list) and node.items is not None:
        return [with_defaults(node.items, each) for each in value]
    if not isinstance(value, dict):
        return value
    found = dict(value)
    for key, child in node.properties.items():
        if key not in found and "default" in child.raw:
            found[key] = copy.deepcopy(child.raw["default"])
        if key in found:
            found[key] = with_defaults(child, found[key])
    if node.additional is not None:
        for key in value:
            if key not in node.properties:
                found[key] = with_defaults(node.additional, value[key])
    return found
