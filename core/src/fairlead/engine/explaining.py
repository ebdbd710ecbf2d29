"""A model and an explainer as one model that explains: what explains asks the model, within bounds.

A model with a thread is explained in its thread, and answers nothing meanwhile. A model on the event loop goes on
answering: the explainer has the thread, and asks across.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts import deadline
from fairlead.contracts.runtime import AsyncModel, Capability, Model, Runtime, RuntimeSpec
from fairlead.contracts.tensors import InferResponse
from fairlead.engine import failure
from fairlead.engine.serving import is_model

if TYPE_CHECKING:
    from fairlead.contracts.explainer import Explainer, ExplainerSpec, Predict
    from fairlead.contracts.runtime import AnyModel, Artifact, LoadSettings, ModelMetadata, SettingValue
    from fairlead.contracts.tensors import InferRequest
    from fairlead.engine.thread import ModelThread

__all__ = ["COMPONENT", "Component", "Explained", "ExplainerSource", "is_explained"]

_log = logging.getLogger("fairlead.models")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExplainerSource:
    """The explainer of a model.

    Attributes:
        name: the explainer's name, that of its plugin.
        uri: the address of its own files; None for none.
        options: its settings, as they were given.
    """

    name: str
    uri: str | None = None
    options: Mapping[str, SettingValue] = dataclasses.field(default_factory=dict)


COMPONENT: Final = RuntimeSpec(name="predictor", formats=(), factory="", artifacts=())
"""What stands for a runtime where an explainer is a component of its own, and nothing is loaded."""


class Component(Runtime):
    """Makes the model of a component: what asks the predictor.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], AsyncModel]) -> None:
        self._make = make

    def load(self, artifact: Artifact, settings: LoadSettings) -> AnyModel:  # noqa: ARG002  # there is nothing to load
        """Make it."""
        return self._make()


class Explained(Runtime):
    """Loads what another runtime loads, and an explainer with it.

    Args:
        runtime: the runtime of the model.
        explainer: the explainer, not loaded.
        spec: its spec.
        settings: what it is told.
        artifact: brings its own files here; None where there are none.
        thread: the thread of the model.
        max_calls: calls of the model that one explanation may cause; 0 for any number.
        beside: whether the model is in this process, so that the explainer may look at it.

    Raises:
        ConfigurationError: the explainer cannot run where it is to run.
    """

    def __init__(
        self,
        runtime: Runtime,
        explainer: Explainer,
        spec: ExplainerSpec,
        settings: LoadSettings,
        artifact: Callable[[], Artifact | None],
        thread: ModelThread,
        *,
        max_calls: int,
        beside: bool,
    ) -> None:
        if beside and not spec.in_process:
            raise errors.ConfigurationError(
                f"The explainer {spec.name} does not run in the process of the model.",
                remedy="Serve it as a component of its own: --predictor_host, and no model.",
            )
        if not beside and not spec.remote:
            raise errors.ConfigurationError(
                f"The explainer {spec.name} looks inside the model, and does not run as a component of its own.",
                remedy="Serve it together with the model, and without --predictor_host.",
            )
        self._runtime = runtime
        self._explainer = explainer
        self._spec = spec
        self._settings = settings
        self._artifact = artifact
        self._thread = thread
        self._max_calls = max_calls
        self._beside = beside

    def load(self, artifact: Artifact, settings: LoadSettings) -> AnyModel:
        """Load the model, and then the explainer, which may look at it.

        Raises:
            ModelLoadError: the explainer does not explain this model, or does not load.
        """
        model = self._runtime.load(artifact, settings)
        if not is_model(model):
            return model  # who asked for it says what is wrong
        try:
            return self._with_explainer(model)
        except BaseException:
            model.unload()
            raise

    def _with_explainer(self, model: AnyModel) -> AnyModel:
        name = self._spec.name
        if model.metadata.supports(Capability.EXPLAIN):
            raise errors.ModelLoadError(
                f"The model explains its predictions itself, and the explainer {name} would take the place of that.",
                remedy="Serve it without --explainer.",
            )
        own = self._artifact()
        try:
            self._explainer.load(own, self._settings, model if self._beside else None)
        except (errors.FairleadError, KeyboardInterrupt, GeneratorExit, MemoryError):
            raise
        except BaseException as error:  # a library that calls sys.exit() must not end the server
            what = f"{type(error).__name__}: {failure.text_of(error)}{failure.place_of(error)}"
            raise errors.ModelLoadError(f"The explainer {name} does not load: {what}.") from error
        explaining = _Explaining(self._explainer, name, self._max_calls)
        if isinstance(model, AsyncModel):
            return _AsyncExplained(model, explaining, self._thread)
        return _Explained(model, explaining)


class _Explaining:
    """Runs an explainer for one request after another.

    Args:
        explainer: the loaded explainer.
        name: its name, for messages.
        max_calls: calls of the model that one explanation may cause; 0 for any number.
    """

    def __init__(self, explainer: Explainer, name: str, max_calls: int) -> None:
        self._explainer = explainer
        self._name = name
        self._max_calls = max_calls

    def explain(self, request: InferRequest, predict: Predict) -> InferResponse:
        """Explain a request, asking by ``predict``.

        Raises:
            TooManyCalls: it asks the model more often than it may.
            DeadlineExceeded: nobody waits any more.
            Exception: whatever the explainer or the model raises.
        """
        deadline.check()  # the client may have gone while others were explained
        asking = _Asking(predict, request, self._name, self._max_calls)
        try:
            answer = self._explainer.explain(request, asking)
        except errors.FairleadError:
            if asking.ended is not None:
                raise asking.ended from None
            raise
        except Exception:
            if (reason := asking.ended or asking.failed) is not None:  # wrapped by a library that the explainer uses
                raise reason from None
            raise
        if asking.ended is not None:  # caught on the way, and the explanation is not complete
            raise asking.ended
        if not isinstance(answer, InferResponse):
            raise errors.InferenceFailed(
                f"The explainer {self._name} answered with {type(answer).__name__}, not an InferResponse."
            )
        return answer

    def unload(self) -> None:
        """Unload the explainer; what it raises is logged, because its model goes either way."""
        try:
            self._explainer.unload()
        except Exception:  # noqa: BLE001  # as documented
            _log.exception("the explainer %s raised while it was unloaded", self._name)


class _Asking:
    """What an explainer asks the model by, for one explanation.

    Attributes:
        ended: why it may ask no more; None while it may.
        failed: the last failure of the model.
    """

    def __init__(self, predict: Predict, explained: InferRequest, name: str, max_calls: int) -> None:
        self._predict = predict
        self._explained = explained
        self._name = name
        self._max_calls = max_calls
        self._calls = 0
        self.ended: errors.FairleadError | None = None
        self.failed: errors.FairleadError | None = None

    def __call__(self, request: InferRequest) -> InferResponse:
        """Ask the model."""
        try:
            self._check()
        except errors.FairleadError as error:
            self.ended = self.ended or error
            raise
        self._calls += 1
        try:
            return self._predict(self._own(request))
        except errors.FairleadError as error:
            self.failed = error
            raise

    def _check(self) -> None:
        deadline.check()
        if 0 < self._max_calls <= self._calls:
            raise errors.TooManyCalls(
                f"One explanation may ask the model {self._max_calls} times, and this one of the explainer "
                f"{self._name} needs more.",
                remedy="Ask for fewer rows, let the explainer take fewer samples, or raise explain_max_calls: "
                "--explain-max-calls, FAIRLEAD_EXPLAIN_MAX_CALLS.",
            )

    def _own(self, request: InferRequest) -> InferRequest:
        """What is asked, without what was said of the explanation, and for the sake of the same client."""
        asked = self._explained
        return dataclasses.replace(
            request,
            payload=None if request.inputs else request.payload,
            outputs=() if request.outputs is asked.outputs else request.outputs,
            headers=request.headers or asked.headers,
        )


class _Explained(Model):
    """A model with a thread, and its explainer."""

    def __init__(self, model: Model, explaining: _Explaining) -> None:
        self._model = model
        self._explaining = explaining
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
        return self._explaining.explain(request, self._model.predict)

    def unload(self) -> None:
        """Unload both."""
        self._explaining.unload()
        self._model.unload()


class _AsyncExplained(AsyncModel):
    """A model on the event loop, and its explainer in a thread; one explanation after another."""

    def __init__(self, model: AsyncModel, explaining: _Explaining, thread: ModelThread) -> None:
        self._model = model
        self._explaining = explaining
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
                return self._explaining.explain(request, bridge.predict)

        try:
            return await self._thread.run(lambda: context.run(work))
        finally:
            bridge.close()

    def unload(self) -> None:
        """Unload both."""
        self._explaining.unload()
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
    return isinstance(model, _Explained | _AsyncExplained)
