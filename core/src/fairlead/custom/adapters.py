"""An author's object as a `Model` or, when one of its hooks is ``async def``, as an `AsyncModel`."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from fairlead.contracts.runtime import AsyncModel, Model, ModelMetadata
from fairlead.custom import hooks
from fairlead.custom.thread import HookThread
from fairlead.predictor.client import ASKED_FOR

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.custom.pipeline import Chain, Pipeline

__all__ = ["AsyncAdapter", "SyncAdapter", "run_hook"]

_UNLOAD_SECONDS: Final = 30.0
"""How long an ``async def unload`` may take on the loop that served the model."""


class SyncAdapter(Model):
    """A model whose hooks are all plain methods: they run in the model's own thread.

    Args:
        pipeline: the author's object.
        forget: called after the author's ``unload``.
    """

    def __init__(self, pipeline: Pipeline, forget: Callable[[], None]) -> None:
        self._pipeline = pipeline
        self._forget = forget
        self.untried = pipeline.untried

    @property
    def metadata(self) -> ModelMetadata:
        """What the author declared, and what the annotations tell."""
        return self._pipeline.metadata

    def samples(self) -> Sequence[InferRequest]:
        """The author's sample, else one made from the declared inputs."""
        return self._pipeline.samples()

    def predict(self, request: InferRequest) -> InferResponse:
        """Run the hooks."""
        return self._run(self._pipeline.predict, request)

    def explain(self, request: InferRequest) -> InferResponse:
        """Run the hooks, with ``explain`` in the place of ``predict``."""
        if self._pipeline.explain is None:
            return super().explain(request)
        return self._run(self._pipeline.explain, request)

    def unload(self) -> None:
        """Run the author's ``unload``, and forget the module."""
        try:
            run_hook(self._pipeline.model.unload)
        finally:
            self._forget()

    def _run(self, chain: Chain, request: InferRequest) -> InferResponse:
        value = self._pipeline.value(chain, request)
        for hook in chain.hooks:
            value = hook.checked(hook.call(value, **hook.arguments(request)))
        return self._pipeline.answer(chain, request, value)


class AsyncAdapter(AsyncModel):
    """A model that awaits something: its async hooks run on the server's event loop, and requests overlap.

    Its plain hooks run in one thread beside the loop, one call after another, so that they neither block the server
    nor have to be prepared to overlap.

    Args:
        pipeline: the author's object.
        forget: called after the author's ``unload``.
    """

    def __init__(self, pipeline: Pipeline, forget: Callable[[], None]) -> None:
        self._pipeline = pipeline
        self._forget = forget
        self.untried = pipeline.untried
        self._thread = HookThread(f"fairlead-hooks-{pipeline.model.name}")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unloading: asyncio.Task[None] | None = None

    @property
    def metadata(self) -> ModelMetadata:
        """What the author declared, and what the annotations tell."""
        return self._pipeline.metadata

    def samples(self) -> Sequence[InferRequest]:
        """The author's sample, else one made from the declared inputs."""
        return self._pipeline.samples()

    async def predict(self, request: InferRequest) -> InferResponse:
        """Run the hooks."""
        return await self._run(self._pipeline.predict, request)

    async def explain(self, request: InferRequest) -> InferResponse:
        """Run the hooks, with ``explain`` in the place of ``predict``."""
        if self._pipeline.explain is None:
            return await super().explain(request)
        return await self._run(self._pipeline.explain, request)

    def unload(self) -> None:
        """Run the author's ``unload``, and forget the module.

        An async one runs on the loop that served the model, because that loop owns its connections: it is waited
        for from another thread, and started as a task when this is the loop's own.
        """
        call = self._pipeline.model.unload
        loop = self._loop if self._loop is not None and self._loop.is_running() else None
        if loop is None or not hooks.is_async(self._pipeline.model, "unload"):
            try:
                run_hook(call)
            finally:
                self._finish()
        elif loop is _running_loop():
            self._unloading = loop.create_task(self._unload())
        else:
            asyncio.run_coroutine_threadsafe(self._unload(), loop).result(_UNLOAD_SECONDS)

    async def _unload(self) -> None:
        try:
            await self._pipeline.model.unload()
        finally:
            self._finish()

    def _finish(self) -> None:
        self._thread.shutdown(wait=False)
        self._forget()

    async def _run(self, chain: Chain, request: InferRequest) -> InferResponse:
        self._loop = asyncio.get_running_loop()
        ASKED_FOR.set(request)  # of this task alone
        value = self._pipeline.value(chain, request)
        for hook in chain.hooks:
            call = functools.partial(hook.call, value, **hook.arguments(request))
            if hook.awaits:
                result = await _without_exit(call())
            else:
                context = contextvars.copy_context()
                result = await self._loop.run_in_executor(self._thread, context.run, _contained, call)
            value = hook.checked(result)
        return self._pipeline.answer(chain, request, value)


def _contained(call: Callable[[], Any]) -> Any:
    """Call a hook in a thread; what no future can carry to the loop, or would end the loop, becomes a RuntimeError."""
    try:
        return call()
    except (StopIteration, SystemExit) as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


async def _without_exit(coroutine: Awaitable[Any]) -> Any:
    """Await a hook on the loop; a ``sys.exit()`` in it must not end the server."""
    try:
        return await coroutine
    except SystemExit as error:
        raise RuntimeError(f"SystemExit: {error}") from error


def run_hook(call: Callable[[], Any]) -> None:
    """Call ``load`` or ``unload``; an async one runs to its end on a loop of its own, which is then closed."""
    if not asyncio.iscoroutinefunction(call):
        call()
    elif _running_loop() is None:
        asyncio.run(call())
    else:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(call())).result()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
