"""What a strategy answers, looked at before anything is done of it: a plugin may return anything."""

from __future__ import annotations

from typing import Final

from fairlead.contracts.autoscaler import Decision

__all__ = ["fault", "shown"]

_SHOWN: Final = 200


def fault(answer: object) -> str | None:
    """What is wrong with an answer, as the rest of a sentence about its strategy; None where it is a decision."""
    if not isinstance(answer, Decision):
        return f"answered {shown(answer)}, which is no decision"
    replicas: object = answer.replicas
    reason: object = answer.reason
    through: object = answer.through_activator
    if replicas is not None and (not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0):
        return f"asked for {shown(replicas)} replicas"
    if not isinstance(reason, str):
        return f"gave {shown(reason)} as its reason, which is no text"
    if through is not None and not isinstance(through, bool):
        return f"answered {shown(through)} to whether requests come through the activator"
    return None


def shown(value: object) -> str:
    """A plugin's object for a message: the first 200 characters of its text, whatever that does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 -- it is the plugin's, as everything about the object
        return f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
