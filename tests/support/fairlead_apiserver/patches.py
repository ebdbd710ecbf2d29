"""Patches that say what changes: JSON patch, merge patch and strategic merge patch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead_apiserver.failures import Failure

if TYPE_CHECKING:
    from fairlead_apiserver.schemas import Node

__all__ = ["json_patch", "merge_patch", "strategic"]

_REFUSED: Final = "the server rejected our request due to an error in our request"


def merge_patch(target: Any, patch: Any) -> Any:
    """The object after a merge patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merge_patch(found.get(key), value)
    return found


def json_patch(target: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """The object after a JSON patch (RFC 6902).

    Raises:
        Failure: A test does not hold, or a path is not there.
    """
    found = copy.deepcopy(target)
    for operation in operations:
        try:
            found = _operate(found, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise Failure(422, "Invalid", _REFUSED) from error
    return found


def _operate(target: Any, operation: Mapping[str, Any]) -> Any:
    path, action = _steps(operation["path"]), operation["op"]
    if action == "test":
        if _at(target, path) != operation["value"]:
            raise ValueError(operation["path"])
        return target
    if action == "remove":
        _take(target, path)
        return target
    if action == "replace":
        if not path:
            return operation["value"]
        _at(target, path[:-1])
        _put(target, path, copy.deepcopy(operation["value"]), replace=True)
        return target
    if action in ("move", "copy"):
        source = _steps(operation["from"])
        value = copy.deepcopy(_at(target, source)) if action == "copy" else _take(target, source)
    elif action == "add":
        value = copy.deepcopy(operation["value"])
    else:
        raise ValueError(action)
    if not path:
        return value
    _put(target, path, value)
    return target


def _steps(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise ValueError(pointer)
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer[1:].split("/")]


def _at(target: Any, path: Sequence[str]) -> Any:
    for step in path:
        target = target[int(step)] if isinstance(target, list) else target[step]
    return target


def _put(target: Any, path: Sequence[str], value: Any, *, replace: bool = False) -> None:
    parent, last = _at(target, path[:-1]), path[-1]
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if index > len(parent):
            raise IndexError(last)
        if replace:
            parent[index] = value
        else:
            parent.insert(index, value)
    else:
        parent[last] = value


def _take(target: Any, path: Sequence[str]) -> Any:
    parent, last = _at(target, path[:-1]), path[-1]
    return parent.pop(int(last)) if isinstance(parent, list) else parent.pop(last)


def strategic(node: Node, target: Any, patch: Any) -> Any:
    """The object after a strategic merge patch, as the schema of a kind of Kubernetes' own directs it."""
    if not isinstance(patch, Mapping):
        return patch
    directive = patch.get("$patch")
    plain = {key: value for key, value in patch.items() if not key.startswith("$")}
    if directive == "replace":
        return plain
    found = dict(target) if isinstance(target, Mapping) else {}
    if "$retainKeys" in patch:
        found = {key: value for key, value in found.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            found[name] = [each for each in found.get(name, ()) if each not in value]
    for key, value in plain.items():
        child = node.child(key)
        if value is None or (isinstance(value, Mapping) and value.get("$patch") == "delete"):
            found.pop(key, None)
        elif isinstance(value, list) and "merge" in child.strategy:
            found[key] = _listed(child, found.get(key) or [], value)
        elif isinstance(value, Mapping):
            found[key] = strategic(child, found.get(key), value)
        else:
            found[key] = value
    return found


def _listed(node: Node, target: list[Any], patch: list[Any]) -> list[Any]:
    if not node.merge_key:
        return [*target, *(each for each in patch if each not in target)]
    if any(isinstance(each, Mapping) and each.get("$patch") == "replace" for each in patch):
        return [each for each in patch if "$patch" not in each]
    key, found = node.merge_key, list(target)
    for each in patch:
        if key not in each:
            text = f"map: {dict(each)} does not contain declared merge key: {key}"
            raise Failure(400, "BadRequest", text)
        index = next((at for at, one in enumerate(found) if one.get(key) == each[key]), None)
        if each.get("$patch") == "delete":
            found = [one for one in found if one.get(key) != each[key]]
        elif index is None:
            found.append(strategic(node.item, {}, each))
        else:
            found[index] = strategic(node.item, found[index], each)
    return found
