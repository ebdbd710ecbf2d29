"""What a model raised: as the failure of one request, in words, and never the end of the server."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable
from pathlib import Path
from typing import Final, TypeVar

from fairlead import errors

__all__ = ["contained", "failed", "place_of", "text_of", "within"]

T = TypeVar("T")

_OURS: Final = (str(Path(__file__).parents[1]), asyncio.__path__[0])


def failed(error: BaseException) -> errors.InferenceFailed:
    """The failure of a request whose model raised this, in the words of KServe."""
    failure = errors.InferenceFailed(f"{type(error).__name__} : {text_of(error)}")
    failure.__cause__ = error
    return failure


async def contained(answer: Awaitable[T]) -> T:
    """Await a model on the event loop.

    Raises:
        InferenceFailed: it raised what would end the loop, or what would pass for a client that has gone.
        Exception: whatever else it raises.
    """
    try:
        return await answer
    except (SystemExit, KeyboardInterrupt) as error:
        raise failed(error) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise failed(error) from error


async def within(seconds: float, answer: Awaitable[T], reason: str) -> T:
    """Await a model no longer than this.

    Args:
        seconds: how long; 0 for any time.
        answer: what to await.
        reason: what to say when the time is up.

    Raises:
        DeadlineExceeded: the time is up.
    """
    deadline = asyncio.timeout(seconds or None)
    try:
        async with deadline:
            return await answer
    except TimeoutError:
        if not deadline.expired():
            raise  # the model's own
        raise errors.DeadlineExceeded(reason) from None


def place_of(error: BaseException) -> str:
    """Where a model raised, as `` (file:line)``: the innermost line that is not ours; empty when there is none."""
    cause = error.__cause__ or error
    frames = [frame for frame in traceback.extract_tb(cause.__traceback__) if not frame.filename.startswith(_OURS)]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def text_of(error: BaseException) -> str:
    """The text of an exception, which may come from a class whose ``__str__`` raises."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # whatever it raises, the request must be answered
        return "(its text cannot be shown)"
