"""What is found in an object that is checked: what is wrong with it, and what its user should know."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairlead.api.base import Resource

__all__ = ["Findings", "listed", "nearest", "shown", "who"]

_SHOWN: Final = 60


@dataclasses.dataclass(slots=True)
class Findings:
    """What was found in one object.

    Attributes:
        who: the object, such as ``InferenceService default/iris``.
        problems: what is wrong with it, each as ``<path>: <sentences>``.
        warnings: what its user should know, in the same form.
    """

    who: str
    problems: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)

    def problem(self, path: str, text: str) -> None:
        """Note what is wrong with what is at a path, and what to do."""
        self.problems.append(f"{path}: {text}")

    def warn(self, path: str, text: str) -> None:
        """Note what a user should know of what is at a path."""
        self.warnings.append(f"{path}: {text}")

    def full_problems(self) -> list[str]:
        """The problems, each beginning with the object."""
        return [f"{self.who}: {text}" for text in self.problems]

    def full_warnings(self) -> list[str]:
        """The warnings, each beginning with the object."""
        return [f"{self.who}: {text}" for text in self.warnings]


def who(resource: Resource) -> str:
    """The kind, the namespace and the name of an object that has been given its namespace."""
    namespace = resource.metadata.namespace
    name = f"{namespace}/{resource.metadata.name}" if namespace else resource.metadata.name
    return f"{resource.kind} {name if name.isprintable() and len(name) <= 4 * _SHOWN else shown(name)}"


def shown(value: Any) -> str:
    """A value of a manifest as it may be printed: in one line, short, and without control characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if not text.isprintable():
        text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def listed(names: Iterable[str], last: str = "or") -> str:
    """Names in a sentence: ``hpa, keda or none``."""
    *others, end = names
    return f"{', '.join(others)} {last} {end}" if others else end


def nearest(name: str, known: Iterable[str]) -> str:
    """A question for the name that was meant, with a space before it; empty where none is near."""
    folded = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    return f" Did you mean {folded[near[0]]}?" if near else ""
