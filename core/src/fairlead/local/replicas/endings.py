"""Why a replica ended, or does not answer, in sentences that tell what to do: from its last lines of log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

__all__ = ["exit_code", "last_words"]

_SHOWN: Final = 5
_LONGEST: Final = 400
_RECENT: Final = 10
"""Lines in which an error is taken for what ended the process; one before them was survived."""


def exit_code(status: int) -> int:
    """An exit status as Kubernetes and shells write it: 137 for what SIGKILL has ended."""
    return status if status >= 0 else 128 - status


def last_words(lines: Sequence[str]) -> str:
    """What a process said before it ended: its last error with the remedy, or else its last lines; empty for nothing.

    ``fairlead serve`` and others write a JSON object a line, with ``level``, ``message`` and perhaps ``remedy``.
    """
    for line in reversed(lines[-_RECENT:]):
        found = _logged(line)
        if found and str(found.get("level", "")).lower() in ("error", "critical", "fatal"):
            return " ".join(str(found[key]) for key in ("message", "remedy") if found.get(key))
    shown = [_shown(line) for line in lines[-_SHOWN:]]
    return "Its last lines: " + "\n".join(shown) if shown else ""


def _logged(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "message" in found else None


def _shown(line: str) -> str:
    found = _logged(line)
    text = str(found["message"]) if found else line
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
