"""What a predictor answers in the place of an answer, as errors for the client of the transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.protocol import documents

if TYPE_CHECKING:
    from fairlead.predictor.connections import Reply

__all__ = ["of_reply", "unreadable"]

_LONGEST: Final = 1000
"""Characters of a predictor's text that are passed on."""
_TOLD: Final = frozenset((501, 503, 504))
"""Statuses of servers that tell a client something; of others it has to know no more than that the predictor failed."""


def of_reply(reply: Reply, authority: str) -> errors.PredictorFailed:
    """The error for an answer that is none.

    A mistake of the client keeps its status (400 to 499), and so do 501, 503 and 504; the rest is 502.
    """
    said = _text_of(reply)
    if 400 <= reply.status < 500:  # the client's mistakes
        reason = said or f"The predictor at {authority} refuses the request ({reply.status})."
        return errors.PredictorFailed(reason, status=reply.status, retry_after=_retry_after(reply))
    reason = f"The predictor at {authority} failed ({reply.status})" + (f": {said}" if said else ".")
    status = reply.status if reply.status in _TOLD else 502
    return errors.PredictorFailed(reason, status=status, retry_after=_retry_after(reply))


def unreadable(error: Exception, authority: str) -> errors.PredictorFailed:
    """The error for an answer that the protocol cannot read."""
    return errors.PredictorFailed(f"The predictor at {authority} answered what cannot be read: {error}")


def _retry_after(reply: Reply) -> int | None:
    text = reply.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _text_of(reply: Reply) -> str:
    """What an error's body says: ``error`` or ``detail`` of an object, as KServe's and others' servers write it."""
    found: Any = None
    if "json" in reply.headers.get("content-type", "json"):
        try:
            found = documents.load(reply.body)
        except errors.InvalidInput:
            found = None
    if isinstance(found, dict):
        found = found.get("error", found.get("detail", found))
    if found is None:
        found = reply.body.decode("utf-8", "replace").strip()
    text = found if isinstance(found, str) else documents.dump(found).decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
