"""Reading a request as what the signature of a model declares."""

from __future__ import annotations

import abc
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead import Datatype, InferRequest, Tensor, TensorSpec, errors
from fairlead.runtimes.signature import Signature, cast
from fairlead_runtime_mlflow import schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fairlead_runtime_mlflow.schema import Column

__all__ = ["AnyInput", "ColumnInput", "Input", "TensorInput", "of"]

_MATRIX_RANK = 2


class Input(abc.ABC):
    """What a model takes."""

    specs: tuple[TensorSpec, ...] = ()
    """What metadata says of it."""
    is_table: bool = False
    """Whether it is a table of named columns."""
    is_nested: bool = False
    """Whether a table has columns of lists or objects."""
    is_plain: bool = True
    """Whether tensors hold its columns as the model takes them."""

    @abc.abstractmethod
    def tensors(self, request: InferRequest) -> list[Tensor]:
        """The tensors of a request, in the order and of the datatypes that the signature declares.

        Raises:
            InvalidInput: the request does not fit the signature.
        """

    @abc.abstractmethod
    def argument(self, request: InferRequest) -> Any:
        """What ``predict`` of MLflow is called with.

        Raises:
            InvalidInput: the request does not fit the signature.
        """


def of(signature: Mapping[str, Any], *, hinted: bool) -> Input:
    """What a model of this signature takes.

    Args:
        signature: the decoded signature; empty for a model without one.
        hinted: whether it comes from the type hints of ``predict``, so that the model takes a list of values.

    Raises:
        ModelLoadError: it cannot be read.
    """
    inputs = signature.get("inputs")
    if not inputs:
        return AnyInput()
    if not isinstance(inputs, list) or not all(isinstance(each, dict) for each in inputs):
        raise errors.ModelLoadError(
            "The inputs of the MLflow model's signature are no list of columns or tensors.",
            remedy="Save the model again with a signature that 'mlflow.models.infer_signature' makes.",
        )
    if schema.is_tensors(inputs):
        return TensorInput(inputs)
    return ColumnInput(schema.columns(inputs), named=any("name" in each for each in inputs), hinted=hinted)


class AnyInput(Input):
    """A model without a signature: a table as a DataFrame, one tensor as an array, several as arrays by name."""

    def tensors(self, request: InferRequest) -> list[Tensor]:
        """The tensors as they are; see `Input.tensors`."""
        if not request.inputs:
            raise errors.InvalidInput("The request holds no tensors, and the model has no signature that takes JSON.")
        return list(request.inputs)

    def argument(self, request: InferRequest) -> Any:
        """See `Input.argument`."""
        given = {tensor.name: _plain(tensor) for tensor in self.tensors(request)}
        if len(given) < len(request.inputs):
            raise errors.InvalidInput("Several inputs have the same name.")
        if request.columns:
            _check_lengths(request.inputs)
            return _frame({name: array.reshape(-1) for name, array in given.items()})
        return next(iter(given.values())) if len(given) == 1 else given


class TensorInput(Input):
    """A model of tensors: one without a name as an array, several as arrays by name."""

    def __init__(self, inputs: Sequence[Mapping[str, Any]]) -> None:
        declared = schema.tensors(inputs)
        self.specs = tuple(spec for spec, _ in declared)
        self._dtypes = {spec.name: dtype for spec, dtype in declared}
        self._is_named = any("name" in each for each in inputs)
        self._signature = Signature(self.specs)

    def tensors(self, request: InferRequest) -> list[Tensor]:
        """See `Input.tensors`."""
        arrays = self._signature.read(request)
        return [Tensor(spec.name, arrays[spec.name], spec.datatype) for spec in self.specs]

    def argument(self, request: InferRequest) -> Any:
        """See `Input.argument`."""
        arrays = {tensor.name: self._typed(tensor) for tensor in self.tensors(request)}
        return arrays if self._is_named else next(iter(arrays.values()))

    def _typed(self, tensor: Tensor) -> NDArray[Any]:
        dtype = self._dtypes[tensor.name]
        if tensor.datatype is not Datatype.BYTES:
            return tensor.data
        if dtype.kind == "S":
            return tensor.data.astype(dtype)
        text = tensor.as_strings()
        try:
            return text if dtype.kind == "O" else text.astype(dtype)
        except ValueError as error:
            raise errors.InvalidInput(f"Input {tensor.name!r} does not become {dtype}: {error}.") from error


class ColumnInput(Input):
    """A model of a table: a DataFrame of columns.

    Args:
        columns: the columns.
        named: whether they have names.
        hinted: whether the model takes a list of the values of its only column.
    """

    is_table = True

    def __init__(self, columns: Sequence[Column], *, named: bool, hinted: bool) -> None:
        self._columns = {column.name: column for column in columns}
        self._named = named
        self._hinted = hinted
        self.specs = tuple(column.spec for column in columns)
        self.is_nested = any(column.kind == schema.JSON_TEXT for column in columns)
        self.is_plain = not any(column.kind in (schema.JSON_TEXT, schema.ISO_TEXT, "binary") for column in columns)

    def __str__(self) -> str:
        """What a client should send, as the end of "expected ..."."""
        return ", ".join(
            f"{each.name!r} {each.kind}{'' if each.required else ' (optional)'}" for each in self._columns.values()
        )

    def tensors(self, request: InferRequest) -> list[Tensor]:
        """The columns, each of one dimension; those that may be left out, and are, are not among them."""
        given = self._given(request)
        return [self._typed(column, given[name]) for name, column in self._columns.items() if name in given]

    def argument(self, request: InferRequest) -> Any:
        """See `Input.argument`."""
        if self.is_nested and not request.inputs:
            return self._records(request.payload)
        values = {tensor.name: _values(self._columns[tensor.name], tensor) for tensor in self.tensors(request)}
        if self._hinted:
            return list(next(iter(values.values())))
        return _frame(values if self._named else dict(enumerate(values.values())))

    def _given(self, request: InferRequest) -> dict[str, Tensor]:
        """The columns that a request holds: named ones, or those of one matrix by their places."""
        tensors = request.inputs
        if len(tensors) == 1 and not request.columns and tensors[0].name not in self._columns:
            return self._by_position(tensors[0])
        given = {tensor.name: tensor for tensor in tensors}
        missing = [each.name for each in self._columns.values() if each.required and each.name not in given]
        unknown = [name for name in given if name not in self._columns]
        if missing or unknown or not given or len(given) < len(tensors):
            parts = []
            if missing:
                parts.append(f"lacks the columns {', '.join(map(repr, missing))}")
            if unknown:
                parts.append(f"has columns that the signature does not: {', '.join(map(repr, unknown))}")
            what = " and ".join(parts) or ("has two columns of one name" if given else "holds no columns")
            raise errors.InvalidInput(f"The request {what}; expected {self}.")
        _check_lengths(tensors)
        return given

    def _by_position(self, tensor: Tensor) -> dict[str, Tensor]:
        """The columns of a matrix; one of a single column may be a list."""
        data = tensor.data.reshape(-1, 1) if tensor.data.ndim == 1 and len(self._columns) == 1 else tensor.data
        if data.ndim != _MATRIX_RANK or data.shape[1] != len(self._columns):
            raise errors.InvalidInput(
                f"Input {tensor.name!r} has the shape {list(tensor.shape)}, and the signature has "
                f"{len(self._columns)} columns; expected {self}, or rows of as many values."
            )
        return {name: Tensor(name, data[:, place], tensor.datatype) for place, name in enumerate(self._columns)}

    def _typed(self, column: Column, tensor: Tensor) -> Tensor:
        data = tensor.data.reshape(-1)
        if tensor.datatype is not column.datatype:
            if Datatype.BYTES in (tensor.datatype, column.datatype):
                raise errors.InvalidInput(
                    f"Column {column.name!r} is {column.kind} in the signature, which is {column.datatype}; "
                    f"got {tensor.datatype}."
                )
            try:
                data = _cast(data, column.datatype.numpy)
            except ValueError as error:
                raise errors.InvalidInput(f"Column {column.name!r} is {column.kind}: {error}.") from error
        return Tensor(column.name, data, column.datatype)

    def _records(self, payload: Any) -> Any:
        """The instances of a V1 body; MLflow checks them against the signature."""
        instances = payload.get("instances", payload.get("inputs")) if isinstance(payload, dict) else None
        if not isinstance(instances, list) or not instances:
            raise errors.InvalidInput('Expected an object with "instances", a list that is not empty.')
        if self._hinted:
            return instances
        if not all(isinstance(each, dict) for each in instances):
            raise errors.InvalidInput(f"Expected a list of records with {self}.")
        import pandas as pd

        return pd.DataFrame.from_records(instances)


def _cast(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """As `fairlead.runtimes.signature.cast`; floats without a fraction become integers too."""
    if dtype.kind == "i" and array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ValueError("a value is missing, and an integer cannot be")
        whole = array.astype(np.int64)
        if not np.array_equal(whole, array):
            raise ValueError("a value has a fraction")
        array = whole
    return cast(array, dtype)


def _values(column: Column, tensor: Tensor) -> Any:
    """A column as the model takes it."""
    if column.kind == "binary" or tensor.datatype is not Datatype.BYTES:
        return tensor.data
    text = tensor.as_strings()
    if column.kind == schema.ISO_TEXT:
        import pandas as pd

        try:
            return pd.to_datetime(pd.Series(text), format="ISO8601").to_numpy()
        except ValueError as error:
            raise errors.InvalidInput(f"Column {column.name!r} takes dates in ISO 8601: {error}.") from error
    if column.kind == schema.JSON_TEXT:
        nested = np.empty(len(text), dtype=object)
        try:
            nested[:] = [json.loads(each) for each in text]
        except ValueError as error:
            raise errors.InvalidInput(f"Column {column.name!r} takes JSON text: {error}.") from error
        return nested
    return text


def _plain(tensor: Tensor) -> NDArray[Any]:
    return tensor.as_strings() if tensor.datatype is Datatype.BYTES else tensor.data


def _frame(columns: Mapping[Any, Any]) -> Any:
    """Columns as a DataFrame; text as objects, in whatever way pandas would store it by default."""
    import pandas as pd

    dtypes = {values.dtype for values in columns.values()}
    if len(dtypes) == 1:  # the quickest way there is
        return pd.DataFrame(np.column_stack([*columns.values()]), columns=[*columns], dtype=dtypes.pop(), copy=False)
    series = {
        name: pd.Series(values, dtype=object) if values.dtype == object else values for name, values in columns.items()
    }
    return pd.DataFrame(series, copy=False)


def _check_lengths(tensors: Sequence[Tensor]) -> None:
    lengths = {
        tensor.shape[0]
        if tensor.data.ndim == 1 or (tensor.shape[1:] == (1,) and tensor.data.ndim == _MATRIX_RANK)
        else None
        for tensor in tensors
    }
    if None in lengths or len(lengths) > 1:
        shapes = ", ".join(f"{tensor.name!r} {list(tensor.shape)}" for tensor in tensors)
        raise errors.InvalidInput(f"The columns of a table have the shape [n] or [n, 1], of one n; got {shapes}.")
