"""The ConfigMap as it is shipped: every field with an effect, with its default and what it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from fairlead_operator.configuration.fields import CONFIG_MAP, FIELDS, KEYS, Field

__all__ = ["manifest"]

_HEAD: Final = f"""\
# What the operator is configured with. Every field has its default here, so that none needs to be there.
# Made of the table in fairlead_operator/configuration/fields.py.
apiVersion: v1
kind: ConfigMap
metadata:
  name: {CONFIG_MAP}
data:
"""


def manifest() -> str:
    """The manifest, in YAML with comments."""
    return _HEAD + "\n".join(block for key in KEYS if (block := "".join(_block(key))))


def _block(key: str) -> Iterator[str]:
    """The lines of one key; none where nothing of it has an effect."""
    fields = [field for field in FIELDS if field.key == key and field.effect]
    if not fields:
        return
    for field in fields:
        unsaid = " (not set)" if field.default is None else ""
        yield f"  # {field.name}: {field.meaning}{unsaid}\n"
    yield f"  {key}: |-\n"
    for line in json.dumps(_nested(fields), indent=2).splitlines():
        yield f"    {line}\n"


def _nested(fields: list[Field]) -> dict[str, Any]:
    """The defaults of fields as the JSON of their key."""
    found: dict[str, Any] = {}
    for field in fields:
        *parents, name = field.name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        if field.default is not None:
            place[name] = field.default
    return found
