"""Label and field selectors."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from fairlead_apiserver.failures import Failure

__all__ = ["Selector", "labels_match", "parse"]

_TERM: Final = re.compile(
    r"""\s*(?:
      (?P<absent>!)\s*(?P<nokey>[\w./-]+)
    | (?P<key>[\w./-]+)\s*(?:
          (?P<set>in|notin)\s*\((?P<values>[^)]*)\)
        | (?P<operator>==|=|!=)\s*(?P<value>[\w.-]*)
        | (?P<exists>)
      )
    )\s*(?:,|$)""",
    re.VERBOSE,
)
_FIELDS: Final = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
    "events": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "reason",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "source", "type",
        "reportingComponent",
    ),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "replicasets": ("status.replicas",),
    "jobs": ("status.successful",),
    "nodes": ("spec.unschedulable",),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class _Term:
    key: str
    values: tuple[str, ...] | None
    negated: bool

    def holds(self, value: str | None) -> bool:
        if self.values is None:
            return (value is not None) != self.negated
        return (value in self.values) != self.negated


@dataclasses.dataclass(frozen=True, slots=True)
class Selector:
    """Which objects are meant."""

    labels: tuple[_Term, ...] = ()
    fields: tuple[_Term, ...] = ()

    def matches(self, given: Mapping[str, Any]) -> bool:
        """Whether an object is one of them."""
        if not (self.labels or self.fields):
            return True
        labels = given["metadata"].get("labels") or {}
        return all(each.holds(labels.get(each.key)) for each in self.labels) and all(
            each.holds(_field(given, each.key)) for each in self.fields
        )


def parse(labels: str, fields: str, plural: str, *, own: bool) -> Selector:
    """Read the selectors of a request.

    Raises:
        Failure: A selector cannot be read, or names a field that cannot be selected by.
    """
    if not labels and not fields:
        return Selector()
    terms = tuple(_terms(labels))
    wanted = []
    allowed = ("metadata.name", "metadata.namespace", *(_FIELDS.get(plural, ()) if own else ()))
    for part in filter(None, fields.split(",")):
        key, operator, value = re.match(r"([^=!]*)(!=|==|=|)(.*)", part).groups()  # type: ignore[union-attr]
        if not operator:
            raise Failure.bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if key not in allowed:
            plain = f'"{key}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            known = own and plural not in _FIELDS
            raise Failure.bad_request(plain if known else f"field label not supported: {key}")
        wanted.append(_Term(key, (value,), operator == "!="))
    return Selector(terms, tuple(wanted))


def _terms(text: str) -> list[_Term]:
    found, position = [], 0
    while position < len(text):
        term = _TERM.match(text, position)
        if term is None:
            raise Failure.bad_request(f"unable to parse requirement: {text[position:]!r} is not a label selector")
        position = term.end()
        if term["absent"]:
            found.append(_Term(term["nokey"], None, negated=True))
        elif term["set"]:
            values = tuple(each.strip() for each in term["values"].split(","))
            found.append(_Term(term["key"], values, term["set"] == "notin"))
        elif term["operator"]:
            found.append(_Term(term["key"], (term["value"],), term["operator"] == "!="))
        else:
            found.append(_Term(term["key"], None, negated=False))
    return found


def labels_match(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether labels are those that a selector in an object asks for."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for each in selector.get("matchExpressions", ()):
        operator, value = each["operator"], labels.get(each["key"])
        if operator in ("Exists", "DoesNotExist"):
            held = (value is not None) == (operator == "Exists")
        else:
            held = (value in each.get("values", ())) == (operator == "In")
        if not held:
            return False
    return True


def _field(given: Mapping[str, Any], path: str) -> str:
    here: Any = given
    for key in path.split("."):
        here = here.get(key) if isinstance(here, Mapping) else None
    return "" if here is None else str(here)
