"""Who owns which field: ``metadata.managedFields``, kept for every write, and server-side apply on top of it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead_apiserver import fields
from fairlead_apiserver.failures import Cause, Failure

if TYPE_CHECKING:
    from fairlead_apiserver.fields import Path
    from fairlead_apiserver.schemas import Node

__all__ = ["Manager", "Managers", "applied", "updated"]

_SYSTEM: Final = frozenset(
    {"f:name", "f:namespace", "f:creationTimestamp", "f:selfLink", "f:uid", "f:generation", "f:managedFields",
     "f:resourceVersion", "f:deletionTimestamp", "f:deletionGracePeriodSeconds"}
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Manager:
    """Somebody who writes."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclasses.dataclass(slots=True)
class Managers:
    """The owners of the fields of one object."""

    sets: dict[Manager, set[Path]] = dataclasses.field(default_factory=dict)
    times: dict[Manager, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Managers:
        """The owners that an object names."""
        found = cls()
        for entry in (given or {}).get("metadata", {}).get("managedFields", ()):
            manager = Manager(
                entry.get("manager", ""), entry["operation"], entry.get("apiVersion", ""), entry.get("subresource", "")
            )
            found.sets[manager] = fields.read(entry.get("fieldsV1", {}))
            found.times[manager] = entry.get("time", "")
        return found

    def entries(self) -> list[dict[str, Any]]:
        """The owners as the object has them."""
        found = []
        for manager in sorted(self.sets, key=lambda each: (each.operation, self.times.get(each, ""), each.name)):
            if self.sets[manager]:
                entry: dict[str, Any] = {
                    "manager": manager.name,
                    "operation": manager.operation,
                    "apiVersion": manager.api_version,
                }
                entry |= {"time": self.times[manager], "fieldsType": "FieldsV1"}
                entry["fieldsV1"] = fields.write(self.sets[manager])
                found.append(entry | ({"subresource": manager.subresource} if manager.subresource else {}))
        return found

    def release(self, paths: set[Path], but: Manager | None = None) -> None:
        """Take fields from all owners."""
        for manager, owned in self.sets.items():
            if manager != but and not owned.isdisjoint(paths):
                self.sets[manager] = owned - paths


def updated(
    node: Node, old: Any, new: Any, holders: Any, manager: Manager, now: str, reset: Iterable[str]
) -> list[dict[str, Any]]:
    """The owners after a write that is not an apply: what it changed is its own, the rest is of those in `holders`."""
    managers = Managers.of(holders)
    changes = fields.compare(node, _bare(old or {}), _bare(new))
    written = _owned(changes.written, reset)
    managers.release(written, but=manager)
    managers.release(_owned(changes.removed, reset))
    before = managers.sets.get(manager, set())
    after = before | written
    if after != before or (changes.removed and manager in managers.sets and manager not in managers.times):
        managers.times[manager] = now
    managers.sets[manager] = after
    return managers.entries()


def applied(
    node: Node, live: Any, given: Any, manager: Manager, now: str, reset: Iterable[str], *, force: bool
) -> dict[str, Any]:
    """The object after an apply, with its owners.

    Raises:
        Failure: Others own fields that are applied with other values.
    """
    managers = Managers.of(live)
    live, given = _bare(live or {}), _bare(given)
    wanted = _owned(fields.of(node, given), reset)
    last = managers.sets.get(manager, set())
    merged: dict[str, Any] = fields.merge(node, live, given)
    written = _owned(fields.compare(node, live, merged).written, reset)
    conflicts = {
        other: found for other, owned in managers.sets.items() if other != manager and (found := owned & written)
    }
    if conflicts and not force:
        raise _conflict(conflicts, managers.times)
    for other, found in conflicts.items():
        managers.sets[other] = managers.sets[other] - found
    managers.sets[manager] = wanted
    if wanted != last:
        managers.times[manager] = now
    merged = _pruned(node, merged, last, managers)
    # The names in the metadata are nobody's, so that what else is in it takes it along when it goes.
    metadata = {**{key: live.get("metadata", {})[key] for key in _kept(live)}, **merged.get("metadata", {})}
    return {**merged, "metadata": {**metadata, "managedFields": managers.entries()}}


def _kept(live: Mapping[str, Any]) -> list[str]:
    return [key for key in live.get("metadata", {}) if f"f:{key}" in _SYSTEM]


def _pruned(node: Node, merged: dict[str, Any], last: set[Path], managers: Managers) -> dict[str, Any]:
    """Without what this manager applied before, applies no longer, and nobody else owns."""
    owned: set[Path] = set()
    for paths in managers.sets.values():
        for path in paths:
            owned.update(path[:depth] for depth in range(1, len(path) + 1))
    gone = {path for path in fields.with_parents(node, last) if path not in owned}
    found: dict[str, Any] = fields.without(node, merged, gone) if gone else merged
    return found


def _bare(given: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in given.get("metadata", {}).items() if key != "managedFields"}
    return {**given, "metadata": metadata}


def _owned(paths: Iterable[Path], reset: Iterable[str]) -> set[Path]:
    barred = {"f:apiVersion", "f:kind", *(f"f:{each}" for each in reset)}
    found = set()
    for path in paths:
        if path[0] in barred or path == ("f:metadata",):
            continue
        if path[0] == "f:metadata" and path[1] in _SYSTEM:
            continue
        found.add(path)
    return found


def _conflict(conflicts: Mapping[Manager, set[Path]], times: Mapping[Manager, str]) -> Failure:
    causes, texts = [], defaultdict(list)
    for manager, paths in sorted(conflicts.items(), key=lambda each: dataclasses.astuple(each[0])):
        who = f'"{manager.name}"'
        if manager.subresource:
            who += f' with subresource "{manager.subresource}"'
        if manager.operation == "Update":
            who += f" using {manager.api_version}"
        for path in sorted(fields.shown(each) for each in paths):
            texts[who].append(path)
            causes.append(Cause(path, "FieldManagerConflict", f"conflict with {who}"))
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        lines = [f"conflicts with {who}:\n" + "\n".join(f"- {each}" for each in paths) for who, paths in texts.items()]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return Failure.apply_conflict(message, causes)
