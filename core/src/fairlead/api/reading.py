"""Manifests as objects: every document of a text, or every mistake in it."""

from __future__ import annotations

from typing import Any, Final

import pydantic

from fairlead import errors
from fairlead.api import base, documents, kinds, mistakes

__all__ = ["parse", "read"]

_SHOWN: Final = 60


def read(text: str, source: str, *, max_bytes: int = documents.MOST_BYTES) -> list[base.Resource]:
    """Read the objects of a text, in its order.

    Args:
        text: YAML of one or several documents, or one JSON object. Documents that hold nothing are left out.
        source: where it comes from, such as the name of a file; errors begin with it.
        max_bytes: the size of the longest text that is read, in UTF-8.

    Raises:
        InvalidManifest: something in it is wrong. All mistakes in fields are told at once, each with its line.
    """
    found: list[base.Resource] = []
    problems: list[str] = []
    for document in documents.split(text, source, max_bytes=max_bytes):
        kind = _kind(document, problems)
        if kind is None:
            continue
        try:
            found.append(kind.parse(document.value))
        except pydantic.ValidationError as error:
            problems += mistakes.described(kind, error, document)
    if problems:
        raise errors.InvalidManifest(*problems)
    return found


def parse(value: Any, source: str) -> base.Resource:
    """Make an object of plain data, such as an API server answers.

    Args:
        value: the data.
        source: where it comes from, such as ``the API server``; errors begin with it.

    Raises:
        InvalidManifest: something in it is wrong. All mistakes in fields are told at once.
    """
    document, problems = documents.Document(value, source), list[str]()
    kind = _kind(document, problems)
    if kind is not None:
        try:
            return kind.parse(value)
        except pydantic.ValidationError as error:
            problems += mistakes.described(kind, error, document)
    raise errors.InvalidManifest(*problems)


def _kind(document: documents.Document, problems: list[str]) -> type[base.Resource] | None:
    """The kind that a document says it is of; where that is none, why is added to the problems."""
    value: Any = document.value
    if not isinstance(value, dict):
        problems.append(f"{document.place()}: this is no object with apiVersion and kind.")
        return None
    missing = [name for name in ("apiVersion", "kind") if not isinstance(value.get(name), str)]
    if missing:
        known = " or ".join(sorted({kind.identity()[0] for kind in kinds.KINDS}))
        problems.append(f"{document.place()}: it needs {' and '.join(missing)}; apiVersion is {known}.")
        return None
    kind = kinds.find(value["apiVersion"], value["kind"])
    if kind is None:
        why = kinds.why_unknown(value["apiVersion"][:_SHOWN], value["kind"][:_SHOWN])
        problems.append(f"{document.place(('kind',))}: {why}")
    return kind
