"""What the parts of Envoy's configuration have in common: typed messages, and the answers of its discovery."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["BUFFER_LIMIT", "Message", "Resource", "answer", "typed"]

Message = dict[str, Any]
"""A message of Envoy's API in the JSON form of protobuf."""

BUFFER_LIMIT: Final = 1 << 20
"""Bytes that are held of one body in one direction before its sender has to wait."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A file that Envoy reads, and reads again when it is replaced.

    Attributes:
        file: its name.
        text: what is in it.
        version: what Envoy repeats once it works by it.
        counter: the prefix of the statistics in which it does.
    """

    file: str
    text: str
    version: str
    counter: str


def typed(name: str, /, **fields: Any) -> Message:
    """A message in a place that takes messages of any type.

    Args:
        name: its full name, such as ``envoy.extensions.filters.http.router.v3.Router``.
        fields: its fields.
    """
    return {"@type": f"type.googleapis.com/{name}", **fields}


def answer(file: str, counter: str, resources: Sequence[Message]) -> Resource:
    """The file with which Envoy's question for resources is answered.

    Its version is a digest of its content, so that equal content is never written twice.
    """
    content = json.dumps(resources, separators=(",", ":"))
    version = hashlib.sha256(content.encode()).hexdigest()[:16]
    text = f'{{"version_info":"{version}","resources":{content}}}\n'
    return Resource(file=file, text=text, version=version, counter=counter)
