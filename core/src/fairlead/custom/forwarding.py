"""Leaving `predict` to a predictor: what goes to it, and what `postprocess` is given of its answer."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from fairlead import errors
from fairlead.contracts.runtime import Capability
from fairlead.contracts.tensors import InferRequest, InferResponse
from fairlead.custom import answers, hints, values
from fairlead.custom.hooks import Hook
from fairlead.predictor.client import predicted

if TYPE_CHECKING:
    from fairlead.predictor.client import Predictor

__all__ = ["AsSent", "hook"]


class AsSent(values.Request):
    """The request itself, of V1 the JSON as it came: what is only passed on needs no tensors."""

    capabilities = frozenset({Capability.COLUMNS, Capability.JSON})


def hook(predictor: Predictor, before: Hook | None, after: Hook | None) -> Hook:
    """What stands in the place of ``predict``.

    Args:
        predictor: who answers.
        before: the author's ``preprocess``, whose result is sent; without one, the request itself is.
        after: the author's ``postprocess``, which is given the answer as it is annotated.

    Raises:
        ModelLoadError: no answer can be turned into what ``postprocess`` is annotated to take.
    """
    return Hook(
        name="predictor",
        call=_Forward(predictor, before, after),
        place=predictor.target.authority,
        awaits=True,
        extras=("request",),
        annotation=InferRequest,
    )


class _Forward:
    """Asks the predictor; called as a hook is."""

    def __init__(self, predictor: Predictor, before: Hook | None, after: Hook | None) -> None:
        self._predictor = predictor
        self._before = before
        self._after = after
        self._taker = None if after is None or after.annotation is InferResponse else hints.taker_for(after)
        if after is not None and self._takes_json and predictor.target.protocol != "v1":
            raise errors.ModelLoadError(
                f"{after.name} takes JSON, and the predictor answers {predictor.target.protocol} with tensors "
                f"({after.place}).",
                remedy="Annotate its value with np.ndarray, dict[str, np.ndarray] or InferResponse.",
            )

    @property
    def _takes_json(self) -> bool:
        return isinstance(self._taker, (values.Json, values.Body))

    async def __call__(self, value: Any, *, request: InferRequest) -> Any:
        asked = value if self._before is None else answers.ask(value, self._before, request)
        if self._after is None:
            if request.payload is not None:  # a client of V1 gets the JSON as it is
                return await self._predictor.ask(asked)
            return _tensors_of(await self._predictor.predict(asked))
        if self._before is None:
            asked = dataclasses.replace(asked, outputs=())  # those that a client asks for are what postprocess makes
        if self._takes_json:
            return _json_of(await self._predictor.ask(asked), self._taker, self._after)
        answer = await self._predictor.predict(asked)
        if self._taker is None or isinstance(self._taker, values.Request):
            return answer
        return _taken(_tensors_of(answer), self._taker, self._after)


def _tensors_of(answer: InferResponse) -> InferResponse:
    """An answer of tensors; of one that says more than its predictions, those."""
    if answer.payload is None:
        return answer
    outputs = predicted(answer.payload)
    if not outputs:
        raise errors.PredictorFailed(
            "The predictor's answer cannot be tensors.",
            remedy="Ask by V1, or annotate the value of postprocess with dict.",
        )
    return dataclasses.replace(answer, outputs=outputs, payload=None)


def _json_of(answer: InferResponse, taker: values.Taker | None, after: Hook) -> Any:
    payload = answer.payload
    if isinstance(taker, values.Body):
        if isinstance(payload, bytes):
            return payload.decode("utf-8", "replace") if taker.text else payload
        raise _unfit(after, "it is JSON, and no raw body")
    assert isinstance(taker, values.Json)
    if taker.kind is list and isinstance(payload, dict):
        payload = payload.get("predictions")
    if not isinstance(payload, taker.kind):
        raise _unfit(after, "it has no list of predictions" if taker.kind is list else "it is no JSON object")
    return payload


def _taken(answer: InferResponse, taker: values.Taker, after: Hook) -> Any:
    names = ", ".join(repr(tensor.name) for tensor in answer.outputs)
    if isinstance(taker, (values.Array, values.Elements)) and len(answer.outputs) != 1:
        raise _unfit(after, f"it has the outputs {names}; dict[str, np.ndarray] takes them all")
    try:
        return taker.take(InferRequest(model_name=answer.model_name, inputs=answer.outputs))
    except errors.InvalidInput as error:
        raise _unfit(after, str(error).rstrip(".")) from error


def _unfit(after: Hook, why: str) -> errors.InferenceFailed:
    return errors.InferenceFailed(f"The predictor's answer is not what {after.name} takes ({after.place}): {why}.")
