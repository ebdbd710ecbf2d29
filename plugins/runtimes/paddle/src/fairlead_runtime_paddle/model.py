"""A loaded program that answers requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead import Capability, Datatype, InferRequest, InferResponse, Model, ModelMetadata, Tensor, TensorSpec, errors
from fairlead.runtimes.signature import Signature

__all__ = ["PaddleModel"]


class PaddleModel(Model):
    """Serves a predictor of ``paddle.inference``.

    Args:
        predictor: the predictor.
        declared: the tensors that the program declares, by name.
        saved_with: the versions that saved it, by distribution.
        notes: findings of the load.

    Raises:
        ModelLoadError: it has an input that the program does not declare with a datatype of the protocol.
    """

    untried = "Its inputs have dimensions of any length beside the first, and no sample could be made"

    def __init__(
        self,
        predictor: Any,
        declared: Mapping[str, TensorSpec],
        *,
        saved_with: Mapping[str, str],
        notes: Sequence[str] = (),
    ) -> None:
        self.native = predictor
        self.saved_with = saved_with
        self.notes = notes
        inputs = _inputs(predictor.get_input_names(), declared)
        names = predictor.get_output_names()
        # What answers alone is named as KServe names it: the names of programs are made up by PaddlePaddle.
        answers = [*names] if len(names) > 1 else ["output-0"]
        self._predictor = predictor
        self._signature = Signature(inputs)
        self._inputs = {spec.name: predictor.get_input_handle(spec.name) for spec in inputs}
        self._outputs = {answer: predictor.get_output_handle(name) for answer, name in zip(answers, names, strict=True)}
        outputs = tuple(
            TensorSpec(answer, declared[name].datatype, declared[name].shape)
            for answer, name in zip(answers, names, strict=True)
            if name in declared
        )
        self._metadata = ModelMetadata(
            platform="paddle",
            inputs=inputs,
            outputs=outputs if len(outputs) == len(names) else (),
            capabilities=_capabilities(inputs, outputs, len(names)),
            properties={"device": "cpu"},
        )

    @property
    def metadata(self) -> ModelMetadata:
        """The inputs and outputs as the program declares them."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """Zeros of the declared shapes; none where more than the first dimension may have any length."""
        if any(-1 in spec.shape[1:] for spec in self._metadata.inputs):
            return ()
        return super().samples()

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer with all outputs of the program.

        Raises:
            InvalidInput: the request has other inputs than the program, or the program refuses their shapes.
        """
        arrays = self._signature.read(request)
        if any(array.size == 0 for array in arrays.values()):
            return self._nothing(request)
        for name, array in arrays.items():
            handle = self._inputs[name]
            handle.reshape(array.shape)
            handle.copy_from_cpu(array)
        try:
            self._predictor.run()
        except ValueError as error:  # what PaddlePaddle raises for an invalid argument
            raise errors.InvalidInput(_first_lines(error)) from error
        outputs = [Tensor.from_numpy(name, handle.copy_to_cpu()) for name, handle in self._outputs.items()]
        return InferResponse(model_name=request.model_name, id=request.id, outputs=outputs)

    def _nothing(self, request: InferRequest) -> InferResponse:
        """The answer to a request without rows, of which PaddlePaddle makes an error or a crash."""
        specs = self._metadata.outputs
        if not specs or any(spec.shape[:1] != (-1,) or -1 in spec.shape[1:] for spec in specs):
            raise errors.InvalidInput(f"The request holds no values; expected {self._signature}.")
        empty = [
            Tensor(spec.name, np.empty((0, *spec.shape[1:]), spec.datatype.numpy), spec.datatype) for spec in specs
        ]
        return InferResponse(model_name=request.model_name, id=request.id, outputs=empty)

    def unload(self) -> None:
        """Release the program and its parameters."""
        self.native = self._predictor = None
        self._inputs = {}
        self._outputs = {}


def _inputs(names: Sequence[str], declared: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
    unknown = [name for name in names if name not in declared or declared[name].datatype is Datatype.BYTES]
    if unknown:
        raise errors.ModelLoadError(
            f"The program takes {', '.join(map(repr, unknown))}, of which it declares no datatype that can be sent.",
            remedy="Export the model with inputs of numbers: an InputSpec for each.",
        )
    return tuple(declared[name] for name in names)


def _capabilities(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], count: int) -> frozenset[Capability]:
    is_free = all(spec.shape[:1] == (-1,) for spec in (*inputs, *outputs))
    batching = {Capability.BATCHING} if is_free and len(outputs) == count else set()
    return frozenset({Capability.ANY_THREAD, *batching})


def _first_lines(error: Exception) -> str:
    """What PaddlePaddle says, without the place in its sources."""
    lines = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in lines if line and not line.startswith(("In user code", "[operator"))).partition(
        " (at /"
    )[0]
