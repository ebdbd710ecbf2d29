"""Loaded MLflow models: those that MLflow itself asks, and those that the runtime of their framework does."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import Capability, InferRequest, InferResponse, Model, ModelMetadata, TensorSpec, errors
from fairlead_runtime_mlflow import example, outputs
from fairlead_runtime_mlflow.inputs import AnyInput, ColumnInput
from fairlead_runtime_mlflow.mlmodel import PYFUNC
from fairlead_runtime_mlflow.schema import Parameters

if TYPE_CHECKING:
    from fairlead.runtimes.threads import Limit
    from fairlead_runtime_mlflow.delegation import Handed
    from fairlead_runtime_mlflow.inputs import Input
    from fairlead_runtime_mlflow.mlmodel import MLModel

__all__ = ["HandedModel", "PyfuncModel"]

_ROW_BY_ROW: Final = frozenset({"catboost", "lightgbm", "onnx", "sklearn", "tensorflow", "xgboost"})
"""Flavours of libraries that answer each row for itself, in any thread."""

_OWN_ERRORS: Final = frozenset({"catboost", "lightgbm"})
"""Libraries that refuse values with an error of their own, which is no `ValueError`."""


class PyfuncModel(Model):
    """Serves a model as MLflow's ``python_function`` does.

    Args:
        loaded: what ``mlflow.pyfunc.load_model`` returned.
        model: what its folder says.
        takes: what it takes.
        limit: makes the context that holds a call to a number of threads; None for no limit.
        notes: findings of the load.
    """

    def __init__(
        self, loaded: Any, model: MLModel, takes: Input, *, limit: Limit | None = None, notes: Sequence[str] = ()
    ) -> None:
        from mlflow.exceptions import MlflowException

        self.saved_with = model.versions()
        self.notes = tuple(notes)
        with contextlib.suppress(Exception):  # a model of Python code need not hold one
            self.native = loaded.get_raw_model()
        self._refused = MlflowException
        self._predict = loaded.predict
        self._takes = takes
        self._parameters = Parameters(model.signature.get("params") or ())
        self._limit = limit
        self._example = example.first_row(model, takes.specs) if takes.is_table else None
        self._metadata = ModelMetadata(
            platform="mlflow",
            inputs=takes.specs,
            capabilities=_capabilities(model, takes),
            properties={"flavor": model.flavor, "loaded_by": "mlflow"},
        )
        if model.flavor in _ROW_BY_ROW:
            self._metadata = dataclasses.replace(self._metadata, outputs=self._output_specs())

    @property
    def metadata(self) -> ModelMetadata:
        """The inputs of the signature; outputs as a sample had them, where the flavour is a library's."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """The first row of the saved input example, else zeros as the signature declares them."""
        if self._example is not None:
            return [self._example]
        if isinstance(self._takes, ColumnInput) and (self._takes.is_nested or not self._takes.is_plain):
            return ()
        return super().samples()

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer with what the model returns; see `outputs.respond`.

        Raises:
            InvalidInput: the request does not fit the signature, or the model refuses its values.
        """
        argument = self._takes.argument(request)
        params = self._parameters.read(request) if self._parameters else None
        try:
            with contextlib.nullcontext() if self._limit is None else self._limit():
                result = self._predict(argument, params=params)
        except self._refused as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise errors.InvalidInput(str(error)) from error
        except Exception as error:
            if isinstance(error, ValueError) or type(error).__module__.partition(".")[0] in _OWN_ERRORS:
                raise errors.InvalidInput(str(error)) from error
            raise
        return outputs.respond(result, request)

    def _output_specs(self) -> tuple[TensorSpec, ...]:
        for sample in self.samples():
            try:
                found = self.predict(sample).outputs
            except Exception:  # noqa: BLE001  # the engine asks the same sample before Ready, and reports what it raises
                return ()
            return tuple(TensorSpec(tensor.name, tensor.datatype, (-1, *tensor.shape[1:])) for tensor in found)
        return ()


class HandedModel(Model):
    """Serves a model by the runtime of its framework, after its requests have been checked against its signature.

    Args:
        handed: what the other runtime has loaded.
        model: what its folder says.
        takes: what it takes.
    """

    def __init__(self, handed: Handed, model: MLModel, takes: Input) -> None:
        inner = handed.model
        self.saved_with = model.versions()
        self.untried = inner.untried
        self.notes = inner.notes
        self.native = inner.native
        self.features = inner.features
        self.features = inner.features
        self._inner = inner
        self._takes = takes
        self._example = example.first_row(model, takes.specs) if takes.is_table else None
        table = {Capability.COLUMNS} if takes.is_table else set()
        self._metadata = dataclasses.replace(
            inner.metadata,
            platform="mlflow",
            inputs=takes.specs or inner.metadata.inputs,
            capabilities=inner.metadata.capabilities | table,
            properties={
                **inner.metadata.properties,
                "flavor": model.flavor,
                "loaded_by": f"the runtime {handed.runtime}",
            },
        )

    @property
    def metadata(self) -> ModelMetadata:
        """The inputs of the signature, and what the other runtime says of the rest."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """The first row of the saved input example, else those of the other runtime."""
        return self._inner.samples() if self._example is None else [self._example]

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer as the other runtime does.

        Raises:
            InvalidInput: the request does not fit the signature, or the other runtime refuses it.
        """
        if isinstance(self._takes, AnyInput):
            return self._inner.predict(request)
        tensors = self._takes.tensors(request)
        parameters = {**request.parameters, "content_type": "pd"} if self._takes.is_table else request.parameters
        return self._inner.predict(dataclasses.replace(request, inputs=tensors, parameters=parameters))

    def device_memory(self) -> int:
        """What the other runtime's model holds on an accelerator."""
        return self._inner.device_memory()

    def unload(self) -> None:
        """Release what the other runtime holds."""
        self._inner.unload()


def _capabilities(model: MLModel, takes: Input) -> frozenset[Capability]:
    found = set()
    if takes.is_nested:
        return frozenset({Capability.JSON})
    if takes.is_table:
        found.add(Capability.COLUMNS)
    if model.flavor in _ROW_BY_ROW and model.flavor != PYFUNC:
        found.add(Capability.ANY_THREAD)
        if takes.specs and all(spec.shape[:1] == (-1,) for spec in takes.specs):
            found.add(Capability.BATCHING)
    return frozenset(found)
