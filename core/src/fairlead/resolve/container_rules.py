"""Rules about the shape of containers, as Kubernetes' API defines them (``core/v1`` Container).

Whoever merges and runs containers relies on these shapes. Fields that are not looked at here are passed on as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from fairlead.resolve import findings, quantities

__all__ = ["check_block", "check_containers", "environment"]

_CONTAINER_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TEXTS: Final = ("image", "workingDir", "imagePullPolicy")
_LISTS_OF_TEXTS: Final = ("command", "args")
_LISTS_OF_OBJECTS: Final = ("env", "envFrom", "ports", "volumeMounts")
_HIGHEST_PORT: Final = 65535


def environment(container: Any) -> Iterator[tuple[int, str, Any]]:
    """The position, the name and the value of each variable of a container; what has no name is left out."""
    entries = container.get("env") if isinstance(container, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            yield index, entry["name"], entry.get("value")


def check_containers(found: findings.Findings, path: str, containers: Sequence[dict[str, Any]]) -> None:
    """Containers of a pod: each on its own, and that no two have one name."""
    names: set[str] = set()
    for index, container in enumerate(containers):
        place = f"{path}[{index}]"
        name = container.get("name")
        if name is None or name == "":
            found.problem(f"{place}.name", "it is missing. Name the container.")
        elif not isinstance(name, str) or not _CONTAINER_NAME.fullmatch(name):
            found.problem(
                f"{place}.name",
                f"{findings.shown(name)} is no name of a container. Use at most 63 lower case letters, digits and "
                "hyphens, with a letter or digit at both ends.",
            )
        elif name in names:
            found.problem(f"{place}.name", f"{name} is the name of a container above. Choose another one.")
        names.add(str(name))
        check_block(found, place, container)


def check_block(found: findings.Findings, path: str, container: dict[str, Any]) -> None:
    """The fields of one container, its name left aside."""
    for field in _TEXTS:
        _check_text(found, f"{path}.{field}", container.get(field))
    for field in (*_LISTS_OF_TEXTS, *_LISTS_OF_OBJECTS):
        _check_list(found, f"{path}.{field}", container.get(field), of_texts=field in _LISTS_OF_TEXTS)
    for index, entry in _objects(container.get("env")):
        _check_variable(found, f"{path}.env[{index}]", entry)
    for index, entry in _objects(container.get("ports")):
        port = entry.get("containerPort")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port <= _HIGHEST_PORT:
            found.problem(
                f"{path}.ports[{index}].containerPort", f"{findings.shown(port)} is no port from 1 to {_HIGHEST_PORT}."
            )
    _check_resources(found, f"{path}.resources", container.get("resources"))


def _check_text(found: findings.Findings, path: str, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        remedy = " Write it in quotes." if isinstance(value, int | float) else ""
        found.problem(path, f"{findings.shown(value)} is no text.{remedy}")


def _check_list(found: findings.Findings, path: str, value: Any, *, of_texts: bool) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        found.problem(path, f"{findings.shown(value)} is no list.")
        return
    for index, entry in enumerate(value):
        if of_texts and entry is None:
            found.problem(f"{path}[{index}]", "nothing is no text. Write it in quotes.")
        elif of_texts:
            _check_text(found, f"{path}[{index}]", entry)
        elif not isinstance(entry, dict):
            found.problem(f"{path}[{index}]", f"{findings.shown(entry)} is no object.")


def _check_variable(found: findings.Findings, path: str, entry: dict[str, Any]) -> None:
    name = entry.get("name")
    if not isinstance(name, str) or not name or "=" in name or "\0" in name:
        found.problem(f"{path}.name", f"{findings.shown(name)} is no name of a variable.")
    _check_text(found, f"{path}.value", entry.get("value"))
    if entry.get("value") and entry.get("valueFrom"):
        found.problem(path, "it has a value and valueFrom. Keep one of them.")


def _check_resources(found: findings.Findings, path: str, resources: Any) -> None:
    if resources is None:
        return
    if not isinstance(resources, dict):
        found.problem(path, f"{findings.shown(resources)} is no object with requests and limits.")
        return
    for side in ("requests", "limits"):
        amounts = resources.get(side)
        if amounts is not None and not isinstance(amounts, dict):
            found.problem(f"{path}.{side}", f"{findings.shown(amounts)} is no object with amounts by resource.")
            continue
        for name, value in (amounts or {}).items():
            amount = quantities.amount(value)
            if amount is None or amount < 0:
                found.problem(f"{path}.{side}.{name}", f"{findings.shown(value)} is no amount such as 500m, 2Gi or 3.")
    _check_requests_fit(found, path, resources)


def _check_requests_fit(found: findings.Findings, path: str, resources: dict[str, Any]) -> None:
    requests, limits = resources.get("requests"), resources.get("limits")
    if not isinstance(requests, dict) or not isinstance(limits, dict):
        return
    for name, value in requests.items():
        wanted, most = quantities.amount(value), quantities.amount(limits.get(name))
        if wanted is not None and most is not None and wanted > most:
            found.problem(
                f"{path}.requests.{name}",
                f"{findings.shown(value)} is more than the limit {findings.shown(limits[name])}. Raise the limit, or "
                "request less.",
            )


def _objects(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        if isinstance(entry, dict):
            yield index, entry
