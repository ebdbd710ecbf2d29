"""What an explainer that is a component of its own explains: the model of its predictor, asked over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.contracts.runtime import AsyncModel, Capability, ModelMetadata
from fairlead.predictor.client import ASKED_FOR

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.predictor.client import Predictor

__all__ = ["Forwarded"]


class Forwarded(AsyncModel):
    """The model of a predictor, as one of this server.

    Args:
        predictor: who answers.
    """

    untried = "A component that asks a predictor is not tried, because the predictor may come later"

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._metadata = ModelMetadata(platform="predictor", capabilities=frozenset({Capability.COLUMNS}))

    @property
    def metadata(self) -> ModelMetadata:
        """Nothing is known of the inputs: the predictor may come later."""
        return self._metadata

    async def predict(self, request: InferRequest) -> InferResponse:
        """Ask the predictor; a body of V1 goes to it, and its answer comes back, as they are.

        Raises:
            PredictorFailed: it answers with an error, or what it answers to tensors is none.
            PredictorUnavailable: it cannot be reached.
            DeadlineExceeded: there was no answer in time.
        """
        ASKED_FOR.set(request)  # of this task alone
        if request.payload is not None:
            return await self._predictor.ask(request)
        answer = await self._predictor.predict(request)
        if answer.payload is not None:
            raise errors.PredictorFailed(
                "The predictor's answer cannot be tensors.", remedy="Ask by V1, or ask the predictor by V2."
            )
        return answer

    def unload(self) -> None:
        """Close the connections."""
        self._predictor.close()
