"""Giving a request up when its client goes away while it waits for the answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from fairlead.rest import body as bodies

if TYPE_CHECKING:
    from starlette.types import Receive

__all__ = ["Watch"]


class Watch:
    """Cancels what it surrounds when the client has gone, and raises `ClientDisconnected` then.

    It begins to look after a while: most answers come before that, and need not pay for a task that looks.

    Args:
        receive: the ASGI callable, once the body is read.
    """

    AFTER: Final = 0.02

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._asking = asyncio.current_task()
        self._looking: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(self.AFTER, self._look)
        self._has_gone = False

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
        if self._has_gone and isinstance(raised, asyncio.CancelledError):
            assert self._asking is not None
            self._asking.uncancel()
            raise bodies.ClientDisconnected

    def _look(self) -> None:
        self._looking = asyncio.ensure_future(self._until_gone())

    async def _until_gone(self) -> None:
        await self._receive()  # after the body, this returns when the client has gone
        self._has_gone = True
        assert self._asking is not None
        self._asking.cancel()
