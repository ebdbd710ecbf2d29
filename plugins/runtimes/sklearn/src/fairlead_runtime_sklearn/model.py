"""A loaded estimator that answers requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import (
    Capability,
    Datatype,
    InferRequest,
    InferResponse,
    Model,
    ModelMetadata,
    Tensor,
    TensorSpec,
    errors,
)
from fairlead_runtime_sklearn import anatomy, features, inputs, outputs, threads
from fairlead_runtime_sklearn._plugin import METHODS
from fairlead_runtime_sklearn.features import Certainty, Kind, Signature

if TYPE_CHECKING:
    from fairlead_runtime_sklearn.threads import Limit

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
        self._methods = _methods(estimator, method)
        self._default = method
        self._limit: Limit | None = threads.one  # while it is loaded
        self._not_fitted = NotFittedError
        self._signature = features.read(estimator)
        takes_matrix = self._signature.kind is Kind.MATRIX and anatomy.forget_names(estimator)
        self._reader = inputs.InputReader(self._signature, framed=self._signature.named and not takes_matrix)
        self._answers = False
        self._metadata = ModelMetadata(
            platform="sklearn",
            inputs=_input_specs(self._signature),
            outputs=self._output_specs(),
            capabilities=_capabilities(self._signature, self._methods),
        )
        self._limit = limit

    @property
    def metadata(self) -> ModelMetadata:
        """The inputs as the fitted parts tell, and the outputs that the default method had for a sample."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """One request for each method that the estimator has; none when what it takes is not known."""
        return [
            InferRequest(model_name="", inputs=tensors, parameters={**parameters, "method": method})
            for tensors, parameters in _sample(self._signature)
            for method in sorted(self._methods, key=lambda name: name != self._default)
        ]

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer with ``output-0``, by the method that the parameter ``method`` names, or by the default one.

        Raises:
            InvalidInput: the request has another form than the estimator takes, or names a method that it lacks, or
                the estimator refuses the values.
        """
        call = self._methods[self._method_of(request)]
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
        return InferResponse(model_name=request.model_name, outputs=outputs.tensors(result), id=request.id)

    def _method_of(self, request: InferRequest) -> str:
        parameters = request.parameters
        if not ("method" in parameters or "predict_proba" in parameters):
            return self._default
        proba = parameters.get("predict_proba")
        if not isinstance(proba, (bool, type(None))):
            raise errors.InvalidInput(f"The parameter predict_proba is true or false, got {proba!r}.")
        named = {True: "predict_proba", False: "predict", None: self._default}[proba]
        method = parameters.get("method", named)
        if proba is not None and method != named:
            raise errors.InvalidInput(f"The parameters method={method!r} and predict_proba={proba} contradict.")
        if method not in self._methods:
            raise errors.InvalidInput(f"The model has no method {method!r}; it has {', '.join(self._methods)}.")
        return str(method)

    def _output_specs(self) -> tuple[TensorSpec, ...]:
        """What the default method returns for a sample; nothing when there is no sample, or it is not answered."""
        for tensors, parameters in _sample(self._signature):
            request = InferRequest(model_name="", inputs=tensors, parameters=parameters)
            try:
                found = self.predict(request).outputs
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
    if default not in found:
        raise errors.ModelLoadError(
            f"The model is a {kind}, which has no method {default}; it has {', '.join(found)}.",
            remedy=f"Set method to one of these, for example --set method={next(iter(found))}.",
        )
    return found


def _capabilities(signature: Signature, methods: Mapping[str, object]) -> frozenset[Capability]:
    found = {Capability.ANY_THREAD, Capability.BATCHING}
    if signature.named or signature.kind is Kind.TABLE:
        found.add(Capability.COLUMNS)
    if "predict_proba" in methods:
        found.add(Capability.PREDICT_PROBA)
    return frozenset(found)


def _input_specs(signature: Signature) -> tuple[TensorSpec, ...]:
    if signature.kind is Kind.TEXT:
        return (TensorSpec("input-0", Datatype.BYTES, (-1,)),)
    if signature.kind is Kind.TABLE:
        return tuple(TensorSpec(feature.name, feature.datatype, (-1,)) for feature in signature.features)
    datatype = signature.features[0].datatype if signature.features else Datatype.FP64
    return (TensorSpec("input-0", datatype, (-1, len(signature.features) or -1)),)


def _sample(signature: Signature) -> list[tuple[list[Tensor], dict[str, bool | int | float | str]]]:
    """The inputs and the parameters of one row that the estimator can take; empty when that is not known."""
    if signature.kind is Kind.TEXT:
        return [([_tensor("input-0", [signature.word])], {})]
    found = signature.features
    if not found or any(feature.certainty is Certainty.UNKNOWN for feature in found):
        return []
    if signature.kind is Kind.TABLE:
        return [([_tensor(feature.name, [feature.example]) for feature in found], {"content_type": "pd"})]
    return [([_tensor("input-0", [[feature.example for feature in found]])], {})]


def _tensor(name: str, values: Sequence[Any]) -> Tensor:
    return Tensor.from_numpy(name, np.array(values))
