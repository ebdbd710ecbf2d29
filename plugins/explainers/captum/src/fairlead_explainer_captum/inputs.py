"""What is explained: the arrays of a request, and the baseline that they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Artifact, Datatype, InferRequest, Tensor, TensorSpec, errors
from fairlead.runtimes.signature import Signature

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Inputs", "baseline_of"]

_FLOATS: Final = (Datatype.FP16, Datatype.BF16, Datatype.FP32, Datatype.FP64)
_PATTERNS: Final = ("*.npy",)


class Inputs:
    """The inputs of a model.

    Args:
        declared: what the model says of them; none where it does not.

    Raises:
        ModelLoadError: one of them has no gradient, because it is no floating-point number.
    """

    def __init__(self, declared: Sequence[TensorSpec]) -> None:
        for spec in declared:
            if spec.datatype not in _FLOATS:
                raise errors.ModelLoadError(
                    f"The model takes {spec.datatype} in {spec.name!r}, and only floating-point numbers have a "
                    "gradient by which a prediction can be attributed to them.",
                    remedy="Explain a model that takes the embedded values.",
                )
        self._signature = Signature(declared) if declared else None

    @property
    def declared(self) -> bool:
        """Whether the model says what they are."""
        return self._signature is not None

    def read(self, request: InferRequest) -> Mapping[str, NDArray[Any]]:
        """The arrays of a request, by input; of as many rows each, and one at least.

        Raises:
            InvalidInput: the request has another form.
        """
        found = self._undeclared(request.inputs) if self._signature is None else self._signature.read(request)
        rows = {array.shape[:1] for array in found.values()}
        if len(rows) != 1 or rows in ({()}, {(0,)}):
            shapes = ", ".join(f"{name!r} {list(array.shape)}" for name, array in found.items()) or "none"
            raise errors.InvalidInput(f"The inputs must have rows, and as many as each other; they have {shapes}.")
        return found

    def _undeclared(self, tensors: Sequence[Tensor]) -> Mapping[str, NDArray[Any]]:
        for tensor in tensors:
            if tensor.datatype is Datatype.BYTES:
                raise errors.InvalidInput(f"Input {tensor.name!r} holds text; numbers are explained.")
        if len({tensor.name for tensor in tensors}) < len(tensors):
            raise errors.InvalidInput("The request has two inputs of one name.")
        return {
            tensor.name: tensor.data if tensor.data.dtype.kind == "f" else tensor.data.astype(np.float32)
            for tensor in tensors
        }


def baseline_of(artifact: Artifact | None, value: float) -> Any:
    """The baseline: an array of one row, or a number for every element.

    Raises:
        ModelLoadError: the file is no array of numbers.
        ConfigurationError: both are given.
    """
    if artifact is None:
        return value
    if value:
        raise errors.ConfigurationError(
            "The baseline is given twice, by the setting baseline and by --explainer-dir.", remedy="Leave one out."
        )
    path = artifact.only(_PATTERNS)
    try:
        with path.open("rb") as file:
            array: Any = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # a damaged header has errors of Python's tokenizer, and may ask for all memory
        raise errors.ModelLoadError(
            f"The baseline in {path.name} cannot be read: {type(error).__name__}: {error}.",
            remedy="Write it again with numpy.save.",
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise errors.ModelLoadError(f"The baseline in {path.name} is no array of numbers.")
    return array.astype(np.float64)
