"""The thread in which one model is loaded and answers, so that no model ever blocks the event loop or another."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["ModelThread"]

T = TypeVar("T")


class ModelThread:
    """Runs one call after another; a daemon, so that a model that hangs does not keep the process alive.

    Args:
        name: the thread's name, for debuggers and profilers.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], None]) -> None:
        """Run a call after those before it; it must not raise, and hands its result over itself."""
        self._calls.put(call)

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call after those before it, and wait for its result or its exception."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            result: T | None = None
            raised: BaseException | None = None
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001  # sys.exit() in a model must not end its thread
                raised = error
            try:
                loop.call_soon_threadsafe(_deliver, future, result, raised)
            except RuntimeError:
                return  # the loop was closed while the call ran: nobody waits any more

        self.submit(work)
        return await future

    def close(self) -> None:
        """End the thread once the calls before this one are done."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _deliver(future: asyncio.Future[T], result: T | None, raised: BaseException | None) -> None:
    if future.done():
        return
    if raised is None:
        future.set_result(result)  # type: ignore[arg-type]  # without an exception it is the call's own result
    elif isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        future.set_exception(raised)
    else:  # a future takes none of these, and sys.exit() in a model must not end the server
        future.set_exception(RuntimeError(f"{type(raised).__name__}: {raised}"))
