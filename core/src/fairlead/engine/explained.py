"""A model and its explainer as one model that explains.

A model with a thread is explained in its thread, and answers nothing meanwhile. A model on the event loop goes on
answering: the explainer has the thread, and asks across.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts import deadline
from fairlead.contracts.runtime import AsyncModel, Capability, Model
from fairlead.engine import failure

if TYPE_CHECKING:
    from fairlead.contracts.runtime import AnyModel, ModelMetadata
    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.engine.explanation import Explanations
    from fairlead.engine.thread import ModelThread

__all__ = ["AsyncExplainedModel", "ExplainedModel", "is_explained"]


class ExplainedModel(Model):
    """A model with a thread, and its explainer.

    Args:
        model: the model.
        explanations: those of its explainer.
    """

    def __init__(self, model: Model, explanations: Explanations) -> None:
        self._model = model
        self._explanations = explanations
        self._metadata = _with_explain(model.metadata)
        _take_over(self, model)

    @property
    def metadata(self) -> ModelMetadata:
        """That of the model, which explains."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """Those of the model."""
        return self._model.samples()

    def device_memory(self) -> int:
        """That of the model."""
        return self._model.device_memory()

    def predict(self, request: InferRequest) -> InferResponse:
        """As the model itself."""
        return self._model.predict(request)

    def explain(self, request: InferRequest) -> InferResponse:
        """Explain, asking the model in this thread."""
        return self._explanations.explain(request, self._model.predict)

    def unload(self) -> None:
        """Unload both."""
        self._explanations.unload()
        self._model.unload()


class AsyncExplainedModel(AsyncModel):
    """A model on the event loop, and its explainer in a thread; one explanation after another.

    Args:
        model: the model.
        explanations: those of its explainer.
        thread: the thread.
    """

    def __init__(self, model: AsyncModel, explanations: Explanations, thread: ModelThread) -> None:
        self._model = model
        self._explanations = explanations
        self._thread = thread
        self._metadata = _with_explain(model.metadata)
        _take_over(self, model)

    @property
    def metadata(self) -> ModelMetadata:
        """That of the model, which explains."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """Those of the model."""
        return self._model.samples()

    def device_memory(self) -> int:
        """That of the model."""
        return self._model.device_memory()

    async def predict(self, request: InferRequest) -> InferResponse:
        """As the model itself."""
        return await self._model.predict(request)

    async def explain(self, request: InferRequest) -> InferResponse:
        """Explain in the thread, asking the model on this event loop.

        Who stops waiting for this ends the explanation, and the call of the model that is under way.
        """
        bridge = _Bridge(self._model, asyncio.get_running_loop())
        context = contextvars.copy_context()  # the deadline, and the trace

        def work() -> InferResponse:
            with deadline.watched(deadline.remaining(), bridge.closed.is_set):
                return self._explanations.explain(request, bridge.predict)

        try:
            return await self._thread.run(lambda: context.run(work))
        finally:
            bridge.close()

    def unload(self) -> None:
        """Unload both."""
        self._explanations.unload()
        self._model.unload()


class _Bridge:
    """Asks a model on an event loop from a thread.

    Attributes:
        closed: set when nobody waits for what is asked.
    """

    def __init__(self, model: AsyncModel, loop: asyncio.AbstractEventLoop) -> None:
        self._model = model
        self._loop = loop
        self._lock = threading.Lock()
        self._call: Future[InferResponse] | None = None
        self.closed: Final = threading.Event()

    def predict(self, request: InferRequest) -> InferResponse:
        """Ask, and wait for the answer; in the thread."""
        asked = failure.contained(self._model.predict(request))
        with self._lock:
            if self.closed.is_set():
                asked.close()
                raise errors.DeadlineExceeded("Nobody waits for the answer any more.")
            self._call = asyncio.run_coroutine_threadsafe(asked, self._loop)
        try:
            return self._call.result()
        except CancelledError:
            raise errors.DeadlineExceeded("Nobody waits for the answer any more.") from None

    def close(self) -> None:
        """End the call that is under way, and let there be no other; on the event loop."""
        with self._lock:
            self.closed.set()
            if self._call is not None:
                self._call.cancel()


def _with_explain(metadata: ModelMetadata) -> ModelMetadata:
    return dataclasses.replace(metadata, capabilities=metadata.capabilities | {Capability.EXPLAIN})


def _take_over(explained: AnyModel, model: AnyModel) -> None:
    """What else is known of a model."""
    explained.saved_with, explained.untried, explained.notes = model.saved_with, model.untried, model.notes
    explained.native, explained.features = model.native, model.features


def is_explained(model: AnyModel) -> bool:
    """Whether an explainer was loaded with a model."""
    return isinstance(model, ExplainedModel | AsyncExplainedModel)
