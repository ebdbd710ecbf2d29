"""One author's object as a chain of hooks: what each verb calls, and how a request goes in and an answer comes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairlead import errors
from fairlead.contracts import sampling
from fairlead.contracts.runtime import Capability, Model, ModelMetadata
from fairlead.contracts.tensors import InferRequest, InferResponse
from fairlead.custom import answers, forwarding, hints, hooks, specs, values

if TYPE_CHECKING:
    from fairlead.custom.model import CustomModel
    from fairlead.predictor.client import Predictor

__all__ = ["Chain", "Pipeline"]


@dataclasses.dataclass(frozen=True, slots=True)
class Chain:
    """The hooks that answer one verb, in order, and what the first of them takes."""

    hooks: tuple[hooks.Hook, ...]
    taker: values.Taker


class Pipeline:
    """Everything that is known of an author's object once it has loaded.

    Args:
        model: the object; its `CustomModel.load` has been called.
        predictor: who answers where the class defines no ``predict``.

    Raises:
        ModelLoadError: a hook, an annotation or a declaration of the class is wrong.
    """

    def __init__(self, model: CustomModel, predictor: Predictor | None = None) -> None:
        self.model = model
        self._asks = predictor is not None
        self._inputs = specs.check_declared("inputs", model.inputs)
        self._outputs = specs.check_declared("outputs", model.outputs)
        before, after = hooks.find(model, "preprocess"), hooks.find(model, "postprocess")
        predict, explain = hooks.find(model, "predict"), hooks.find(model, "explain")
        self.explain = _chain(before, explain, after) if explain is not None else None
        if predict is not None:
            self.predict = _chain(before, predict, after)
        elif predictor is not None:
            self.predict = self._forwarding(predictor, before, after)
        else:
            raise errors.ModelLoadError(
                f"{type(model).__name__} defines no predict.",
                remedy="Define `def predict(self, value)`, or leave it to a predictor with --predictor_host.",
            )
        self.awaits = any(hook.awaits for hook in self.hooks)
        self._check()
        self.metadata = ModelMetadata(
            platform="python", inputs=self._inputs, outputs=self._outputs, capabilities=self._capabilities()
        )

    def _forwarding(self, predictor: Predictor, before: hooks.Hook | None, after: hooks.Hook | None) -> Chain:
        chain = _chain(before, forwarding.hook(predictor, before, after), after)
        # Tensors are made of V1 instances only where somebody looks at them.
        wants_json = self.explain is None or Capability.JSON in self.explain.taker.capabilities
        if before is None and wants_json and not self._inputs and predictor.target.protocol == "v1":
            return Chain(chain.hooks, forwarding.AsSent())
        return chain

    @property
    def untried(self) -> str:
        """Why there are no samples, where there are none."""
        if self._asks:
            return "A model that asks a predictor is not tried, because the predictor may come later"
        return Model.untried

    @property
    def hooks(self) -> tuple[hooks.Hook, ...]:
        """Every hook of every verb."""
        return self.predict.hooks + (self.explain.hooks if self.explain is not None else ())

    def value(self, chain: Chain, request: InferRequest) -> Any:
        """What the first hook is called with.

        Raises:
            InvalidInput: the request is not what the model takes.
        """
        # Without tensors the taker knows better what to say: not JSON, no rectangle.
        if self._inputs and (request.inputs or isinstance(chain.taker, values.Request)):
            given = request.inputs
            if request.payload is not None and len(given) == 1 and len(self._inputs) > 1:
                given = specs.split(given[0], self._inputs)
            try:
                request = dataclasses.replace(request, inputs=specs.conform(given, self._inputs))
            except ValueError as error:
                raise errors.InvalidInput(f"The request is not what the model takes: {error}.") from error
        return chain.taker.take(request)

    def answer(self, chain: Chain, request: InferRequest, result: Any) -> InferResponse:
        """The answer that the last hook's result stands for.

        Raises:
            InferenceFailed: it stands for none.
        """
        # `outputs` describes predictions; an explanation has a shape of its own.
        return answers.respond(result, chain.hooks[-1], request, self._outputs if chain is self.predict else ())

    def samples(self) -> Sequence[InferRequest]:
        """The author's sample, else one made from the declared inputs; none where a predictor is asked.

        Raises:
            SampleFailed: the author's ``sample`` raises, or what it returned is not what the first hook takes.
        """
        if self._asks:
            return ()
        if not hooks.defines(self.model, "sample"):
            return sampling.from_metadata(self.metadata)
        place = hooks.place_of(self.model.sample)
        try:
            sample = self.model.sample()
        except Exception as error:
            raise errors.SampleFailed(f"sample raises {type(error).__name__}: {error} ({place}).") from error
        if isinstance(sample, InferRequest):
            return (sample,)
        try:
            return (self.predict.taker.give(sample, self._inputs),)
        except (TypeError, ValueError, errors.InvalidInput) as error:
            first = self.predict.hooks[0]
            raise errors.SampleFailed(
                f"sample returned a value that {error} ({place}).",
                remedy=f"Return what {first.name} takes ({first.place}), or an InferRequest.",
            ) from error

    def _capabilities(self) -> frozenset[Capability]:
        capabilities = set(self.predict.taker.capabilities)
        if self.model.batching:
            capabilities.add(Capability.BATCHING)
        if self.model.any_thread:
            capabilities.add(Capability.ANY_THREAD)
        if self.explain is not None:
            capabilities.add(Capability.EXPLAIN)
        return frozenset(capabilities)

    def _check(self) -> None:
        """Refuse what contradicts itself, rather than ignore half of it."""
        takes_json = Capability.JSON in self.predict.taker.capabilities
        problem = None
        if self.model.batching and self.awaits:
            problem = "`batching` is set, and a hook is async: requests to a model that awaits are never joined"
        elif self.model.batching and takes_json:
            problem = "`batching` is set, and the model takes JSON or a raw body, which cannot be joined"
        elif self.model.batching and any("headers" in hook.extras for hook in self.hooks):
            problem = "`batching` is set, and a hook takes headers, of which joined requests have several"
        elif self.model.any_thread and self.awaits:
            problem = "`any_thread` is set, and a hook is async: those run on the server's event loop"
        elif self._inputs and isinstance(self.predict.taker, values.Json):
            problem = "`inputs` describes tensors, and the model takes JSON"
        elif self.explain is not None and takes_json != (Capability.JSON in self.explain.taker.capabilities):
            problem = "one of predict and explain takes JSON and the other tensors; annotate both alike"
        elif hooks.defines(self.model, "sample") and hooks.is_async(self.model, "sample"):
            problem = "`sample` is async; define it with def"
        if problem is not None:
            raise errors.ModelLoadError(f"{type(self.model).__name__}: {problem} ({self.predict.hooks[0].place}).")


def _chain(before: hooks.Hook | None, verb: hooks.Hook, after: hooks.Hook | None) -> Chain:
    chain = tuple(hook for hook in (before, verb, after) if hook is not None)
    return Chain(chain, hints.taker_for(chain[0]))
