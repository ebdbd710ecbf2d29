"""Challenges: what a registry asks for in ``WWW-Authenticate`` (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["Challenge", "parse"]

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # a token of the grammar
_PART: Final = re.compile(
    rf'[\s,]*(?:(?P<name>{_TOKEN})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_TOKEN}))|(?P<scheme>{_TOKEN})(?=[\s,]|$))'
)
_MAX_LENGTH: Final = 8192


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to authenticate.

    Attributes:
        scheme: ``bearer`` or ``basic``, or another one, in lower case.
        parameters: by name, in lower case.
    """

    scheme: str
    parameters: Mapping[str, str]


def parse(header: str) -> Sequence[Challenge]:
    """The challenges of a header, or of several joined by commas; what cannot be read ends them."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    text = header[:_MAX_LENGTH]
    while part := _PART.match(text, position):
        position = part.end()
        if scheme := part.group("scheme"):
            found.append((scheme.lower(), {}))
        elif found:
            quoted = part.group("quoted")
            value = part.group("plain") if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1][part.group("name").lower()] = value
    return [Challenge(scheme=scheme, parameters=parameters) for scheme, parameters in found]
