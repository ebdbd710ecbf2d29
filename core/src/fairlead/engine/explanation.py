"""One explanation after another: an explainer asks the model, within bounds."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.contracts import deadline
from fairlead.contracts.tensors import InferResponse

if TYPE_CHECKING:
    from fairlead.contracts.explainer import Explainer, Predict
    from fairlead.contracts.tensors import InferRequest

__all__ = ["Explanations"]

_log = logging.getLogger("fairlead.models")


class Explanations:
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
