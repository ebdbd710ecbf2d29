"""Which fields an object has and which differ: the arithmetic below server-side apply.

A path is a tuple of the keys that ``FieldsV1`` uses: ``f:spec``, ``k:{"name":"x"}``, ``v:"x"``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead_apiserver.schemas import Node

__all__ = ["Changes", "Path", "compare", "merge", "of", "read", "shown", "with_parents", "without", "write"]

Path = tuple[str, ...]


@dataclasses.dataclass(slots=True)
class Changes:
    """What differs between two objects."""

    added: set[Path] = dataclasses.field(default_factory=set)
    modified: set[Path] = dataclasses.field(default_factory=set)
    removed: set[Path] = dataclasses.field(default_factory=set)

    @property
    def written(self) -> set[Path]:
        """What a writer is answerable for."""
        return self.added | self.modified


def granular(node: Node, value: Any) -> bool:
    """Whether the parts of a value are owned one by one."""
    if isinstance(value, dict):
        return not node.atomic
    return isinstance(value, list) and node.list_type in ("map", "set")


def parts(node: Node, value: Any) -> dict[str, tuple[Node, Any]]:
    """The parts of a granular value by their path element."""
    if isinstance(value, dict):
        return {f"f:{key}": (node.child(key), each) for key, each in value.items()}
    found: dict[str, tuple[Node, Any]] = {}
    for each in value:
        found[element(node, each)] = (node.item, each)
    return found


def element(node: Node, item: Any) -> str:
    """The path element of an item of a list."""
    keys = node.keys(item) if node.list_type == "map" else None
    if keys is not None:
        return "k:" + json.dumps(keys, sort_keys=True, separators=(",", ":"))
    return "v:" + json.dumps(item, sort_keys=True, separators=(",", ":"))


def of(node: Node, value: Any, path: Path = ()) -> set[Path]:
    """The fields that who applies this object owns."""
    found: set[Path] = set()
    _collect(node, value, path, found, inner=False)
    return found


def _collect(node: Node, value: Any, path: Path, found: set[Path], *, inner: bool) -> None:
    if not granular(node, value):
        found.add(path)
        return
    if path and (inner or (isinstance(value, dict) and not value)):
        found.add(path)
    for key, (child, each) in parts(node, value).items():
        below = (*path, key)
        _collect(child, each, below, found, inner=inner)
        if key[0] != "f" or (isinstance(value, dict) and key[2:] not in node.properties):
            found.add(below)


def compare(node: Node, old: Any, new: Any) -> Changes:
    """What became of the fields of an object."""
    changes = Changes()
    _compare(node, old, new, (), changes)
    return changes


def _compare(node: Node, old: Any, new: Any, path: Path, changes: Changes) -> None:
    if type(old) is type(new) and old == new:
        return
    if not (granular(node, old) and granular(node, new) and type(old) is type(new)):
        changes.modified.add(path)
        if granular(node, old):
            _collect(node, old, path, changes.removed, inner=True)
            changes.removed.discard(path)
        if granular(node, new):
            _collect(node, new, path, changes.added, inner=True)
        return
    before, after = parts(node, old), parts(node, new)
    for key, (child, value) in after.items():
        if key not in before:
            _collect(child, value, (*path, key), changes.added, inner=True)
        else:
            _compare(child, before[key][1], value, (*path, key), changes)
    for key, (child, value) in before.items():
        if key not in after:
            _collect(child, value, (*path, key), changes.removed, inner=True)


def merge(node: Node, live: Any, applied: Any) -> Any:
    """The live object with what is applied laid over it."""
    if not (granular(node, live) and granular(node, applied) and type(live) is type(applied)):
        return applied
    if isinstance(applied, dict):
        merged = dict(live)
        for key, value in applied.items():
            merged[key] = merge(node.child(key), live[key], value) if key in live else value
        return merged
    return _merged_list(node, live, applied)


def _merged_list(node: Node, live: list[Any], applied: list[Any]) -> list[Any]:
    before = {element(node, each): each for each in live}
    wanted = {element(node, each): each for each in applied}
    merged = {key: merge(node.item, before[key], value) if key in before else value for key, value in wanted.items()}
    # What is applied comes in its own order; what others have keeps its place before what follows it.
    order: list[str] = []
    rest = list(wanted)
    for key in before:
        if key in wanted:
            while rest and key in rest:
                order.append(rest.pop(0))
        else:
            order.append(key)
    return [merged.get(key, before.get(key)) for key in (*order, *rest)]


def with_parents(node: Node, paths: Iterable[Path]) -> set[Path]:
    """The paths and the declared fields that they lie in."""
    found: set[Path] = set()
    for path in paths:
        found.add(path)
        here = node
        for depth, key in enumerate(path, start=1):
            declared = key[0] == "f" and key[2:] in here.properties
            if declared:
                found.add(path[:depth])
            here = here.child(key[2:]) if key[0] == "f" else here.item
    return found


def without(node: Node, value: Any, removed: set[Path], path: Path = ()) -> Any:
    """The value without some of its fields."""
    if not granular(node, value) or not any(each[: len(path)] == path for each in removed):
        return value
    kept = {}
    for key, (child, each) in parts(node, value).items():
        below = (*path, key)
        if below not in removed:
            kept[key] = without(child, each, {one for one in removed if one[: len(below)] == below}, below)
    return {key[2:]: each for key, each in kept.items()} if isinstance(value, dict) else list(kept.values())


def write(paths: Iterable[Path]) -> dict[str, Any]:
    """The paths as ``fieldsV1``."""
    tree: dict[str, Any] = {}
    nodes = set(paths)
    for path in sorted(nodes):
        here = tree
        for key in path:
            here = here.setdefault(key, {})
    for path in nodes:
        here = tree
        for key in path:
            here = here[key]
        if here and "." not in here:
            here["."] = {}
    return tree


def read(tree: Mapping[str, Any]) -> set[Path]:
    """The paths in a ``fieldsV1``."""
    found: set[Path] = set()
    _read(tree, (), found)
    return found


def _read(tree: Mapping[str, Any], path: Path, found: set[Path]) -> None:
    if path and (not tree or "." in tree):
        found.add(path)
    for key, below in tree.items():
        if key != ".":
            _read(below, (*path, key), found)


def shown(path: Path) -> str:
    """A path as messages have it: ``.spec.containers[name="x"].image``."""
    text = ""
    for key in path:
        if key[0] == "f":
            text += f".{key[2:]}"
        elif key[0] == "k":
            pairs = json.loads(key[2:])
            text += "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in pairs.items()) + "]"
        else:
            text += f"[={key[2:]}]"
    return text
