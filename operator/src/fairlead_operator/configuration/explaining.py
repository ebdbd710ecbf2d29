"""Which level decided what: what ``fairlead-operator config`` prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fairlead_operator.configuration import reading
from fairlead_operator.configuration.fields import FIELDS

if TYPE_CHECKING:
    from fairlead_operator.configuration.levels import Level
    from fairlead_operator.configuration.reading import Decided

__all__ = ["Explained", "explained", "show"]

_MODE: Final = "deploy.defaultDeploymentMode"
_STANDARD: Final = "Standard"


class Explained(NamedTuple):
    """One field: its key and name, what counts for it as JSON, and the level that decided that."""

    path: str
    value: str
    level: Level


def explained(
    cluster: Mapping[str, str] | None, namespace: Mapping[str, str] | None, annotations: Mapping[str, str]
) -> list[Explained]:
    """Every field that has an effect, in the order of the documentation.

    Args:
        cluster: ``data`` of the ConfigMap in the operator's namespace; None where there is none.
        namespace: ``data`` of the ConfigMap of the same name in the service's namespace.
        annotations: those of the InferenceService.
    """
    return _explained(reading.decided(cluster, namespace, annotations))


def show(
    cluster: Mapping[str, str] | None,
    namespace: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> int:
    """Print every field with its value and the level that decided it, then what is wrong and what has no effect.

    Returns:
        The exit status: 0, or 2 where something is wrong.
    """
    found = reading.decided(cluster, namespace, annotations or {})
    sys.stdout.write("".join(f"{line}\n" for line in _lines(found)))
    return 2 if found.problems else 0


def _explained(found: Decided) -> list[Explained]:
    return [
        Explained(field.path, _shown(found.values[field.path]), found.levels[field.path])
        for field in FIELDS
        if field.effect
    ]


def _lines(found: Decided) -> Iterator[str]:
    fields = _explained(found)
    width = max(len(each.path) for each in fields)
    for each in fields:
        yield f"{each.path:{width}}  {each.level:9}  {each.value}"
    for title, texts in (
        ("What is wrong:", [each.message for each in found.problems]),
        ("What does not run here:", _refused(found)),
        ("What has no effect:", found.notes),
    ):
        if texts:
            yield from ("", title, *(f"  {text}" for text in texts))


def _refused(found: Decided) -> list[str]:
    """What a configuration of KServe, which is right as such, keeps from running."""
    mode = found.values[_MODE]
    if mode == _STANDARD:
        return []
    return [f"{_MODE} is {mode}, so that services which name no mode are refused. Set it to {_STANDARD}."]


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
