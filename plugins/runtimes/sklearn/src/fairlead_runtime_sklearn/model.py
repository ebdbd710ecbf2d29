"""A loaded estimator that answers requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import (
    Capability,
    InferRequest,
    InferResponse,
    Model,
    ModelMetadata,
    Tensor,
    TensorSpec,
    errors,
)
from fairlead.runtimes import methods, outputs, threads
from fairlead.runtimes.tabular import Kind, Table, TableReader
from fairlead_runtime_sklearn import anatomy, features
from fairlead_runtime_sklearn._plugin import METHODS

if TYPE_CHECKING:
    from fairlead.runtimes.threads import Limit

__all__ = ["SklearnModel"]


class SklearnModel(Model):
    """Serves an estimator.

    Args:
        estimator: a fitted estimator; it is this model's own from now on.
        method: the method that answers a request which names none.
        limit: makes the context that holds a call to a number of threads; None for no limit.
        saved_with: the versions that the estimator was saved with, by distribution name.
        notes: findings of the load.

    Raises:
        ModelLoadError: the object has none of the methods that can be served, or not the one that is asked for, or
            takes what no request holds, or its table needs pandas, which is not installed.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        method: str = "predict",
        limit: Limit | None = None,
        saved_with: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        from sklearn.exceptions import NotFittedError

        self.saved_with = dict(saved_with or {})
        self.notes = tuple(notes)
        self.native = estimator
        self._methods = _methods(estimator, method)
        self._default = method
        self._limit = threads.limit(1)  # a pool of OpenMP that is started now would not survive a fork
        self._not_fitted = NotFittedError
        self._table = features.read(estimator)
        self.features = self._table.names if self._table.named else ()
        self.features = self._table.names if self._table.named else ()
        takes_matrix = self._table.kind is Kind.MATRIX and anatomy.forget_names(estimator)
        self._reader = TableReader(self._table, framed=self._table.named and not takes_matrix)
        self._answers = False
        self._metadata = ModelMetadata(
            platform="sklearn",
            inputs=self._table.input_specs(),
            outputs=self._output_specs(),
            capabilities=_capabilities(self._table, self._methods),
        )
        self._limit = limit

    @property
    def metadata(self) -> ModelMetadata:
        """The inputs as the fitted parts tell, and the outputs that the default method had for a sample."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """One request for each method that the estimator has; none when what it takes is not known."""
        return [
            dataclasses.replace(sample, parameters={**sample.parameters, "method": method})
            for sample in self._table.samples()
            for method in sorted(self._methods, key=lambda name: name != self._default)
        ]

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer with ``output-0``, by the method that the parameter ``method`` names, or by the default one.

        Raises:
            InvalidInput: the request has another form than the estimator takes, or names a method that it lacks, or
                the estimator refuses the values.
        """
        call = self._methods[methods.asked(request, self._default, self._methods)]
        argument = self._reader.read(request)
        try:
            if self._limit is None:
                result = call(argument)
            else:
                with self._limit():
                    result = call(argument)
        except self._not_fitted:
            raise  # it is a ValueError as well, and no fault of the client's
        except ValueError as error:
            raise errors.InvalidInput(str(error)) from error
        except (TypeError, IndexError) as error:
            if not self._answers:
                raise  # not even to a sample: the fault may be the model's own
            raise errors.InvalidInput(f"{type(error).__name__}: {error}") from error
        return InferResponse(model_name=request.model_name, outputs=_widened(outputs.tensors(result)), id=request.id)

    def _output_specs(self) -> tuple[TensorSpec, ...]:
        """What the default method returns for a sample; nothing when there is no sample, or it is not answered."""
        for sample in self._table.samples():
            try:
                found = self.predict(sample).outputs
            except Exception:  # noqa: BLE001  # the engine asks the same sample before Ready, and reports what it raises
                return ()
            self._answers = True
            return tuple(TensorSpec(tensor.name, tensor.datatype, (-1, *tensor.shape[1:])) for tensor in found)
        return ()


def _methods(estimator: Any, default: str) -> dict[str, Callable[[Any], Any]]:
    found = {name: getattr(estimator, name) for name in METHODS if callable(getattr(estimator, name, None))}
    kind = type(estimator).__name__
    if not found or isinstance(estimator, type):
        raise errors.ModelLoadError(
            f"The file holds an object of type {kind}, which has none of the methods {', '.join(METHODS)}.",
            remedy="Save the fitted estimator itself.",
        )
    if anatomy.is_unfitted(estimator):
        raise errors.ModelLoadError(f"The {kind} in the file is not fitted.", remedy="Fit it, and save it again.")
    methods.check(default, found, kind)
    return found


def _widened(tensors: list[Tensor]) -> list[Tensor]:
    """Floats as FP64, whatever the precision of the request: the metadata declares one datatype."""
    return [
        Tensor.from_numpy(tensor.name, tensor.data.astype(np.float64, copy=False))
        if tensor.data.dtype.kind == "f"
        else tensor
        for tensor in tensors
    ]


def _capabilities(table: Table, found_methods: Mapping[str, object]) -> frozenset[Capability]:
    found = {Capability.ANY_THREAD, Capability.BATCHING}
    if table.named or table.kind is Kind.TABLE:
        found.add(Capability.COLUMNS)
    if "predict_proba" in found_methods:
        found.add(Capability.PREDICT_PROBA)
    return frozenset(found)
