"""A loaded evaluator that answers requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairlead import Capability, Datatype, InferRequest, InferResponse, Model, ModelMetadata, Tensor, TensorSpec, errors
from fairlead.runtimes.tabular import Certainty, Feature, Kind, Table, TableReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PmmlModel"]

_DATATYPES: Final[Mapping[str, tuple[Datatype, str | float]]] = {
    "string": (Datatype.BYTES, ""),
    "integer": (Datatype.INT64, 0),
    "float": (Datatype.FP32, 0.0),
    "double": (Datatype.FP64, 0.0),
    "boolean": (Datatype.BOOL, False),
    "date": (Datatype.BYTES, "2000-01-01"),
    "time": (Datatype.BYTES, "00:00:00"),
    "dateTime": (Datatype.BYTES, "2000-01-01T00:00:00"),
}
_MATRIX_RANK: Final = 2
_PARALLELISM: Final = -1
"""As many rows at once as the JVM finds good, the default of JPMML."""
_OF_VALUES: Final = "org.jpmml.evaluator."
"""The package of the errors by which JPMML refuses values."""
_OF_THE_DOCUMENT: Final = frozenset(
    f"{_OF_VALUES}{name}Exception"
    for name in (
        *("DuplicateField", "InvisibleField", "MissingField", "NotImplemented"),
        *("UnaggregableField", "UnlaggableField"),
    )
)
"""Those of the package that no other values would help against."""


class PmmlModel(Model):
    """Serves an evaluator of JPMML.

    Args:
        evaluator: the evaluator.
        values: for each categorical field, a value that it takes.
        notes: findings of the load.
    """

    def __init__(self, evaluator: Any, values: Mapping[str, Any], notes: Sequence[str] = ()) -> None:
        from jpmml_evaluator import JavaError, PythonEvaluatorUtil

        self.native = evaluator
        self.notes = tuple(notes)
        self._refused = JavaError
        self._util = PythonEvaluatorUtil
        self._evaluator = evaluator
        features = tuple(_feature(field, values) for field in evaluator.getInputFields())
        self._table = Table(Kind.TABLE, features, named=True)
        # A matrix is made in less time than a table; among numbers truth values would become numbers in it.
        framed = any(feature.datatype is Datatype.BOOL for feature in features)
        self._reader = TableReader(self._table, framed=framed, fill_missing=True)
        self._names = self.features = self._table.names
        self._metadata = ModelMetadata(
            platform="pmml",
            inputs=self._table.input_specs(),
            outputs=_outputs(evaluator),
            capabilities=frozenset({Capability.ANY_THREAD, Capability.COLUMNS}),
        )

    @property
    def metadata(self) -> ModelMetadata:
        """The active fields of the model as columns, and its targets and output fields."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """One row of zeros, of a value that the document lists for each categorical field."""
        return self._table.samples()

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer with the targets and the output fields: a record for each row over V1, a tensor for each over V2.

        Rows without names are taken in the order of the fields. A column that is left out is a missing value.

        Raises:
            InvalidInput: the request holds other columns, or the document does not allow a value.
        """
        table = self._reader.read(self._by_name(request))
        columns = self._evaluate(table) if len(table) else {spec.name: [] for spec in self._metadata.outputs}
        if request.payload is not None:
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            return InferResponse(model_name=request.model_name, id=request.id, payload=rows)
        kinds = {spec.name: spec.datatype for spec in self._metadata.outputs}
        outputs = [_tensor(name, values, kinds.get(name)) for name, values in columns.items()]
        return InferResponse(model_name=request.model_name, id=request.id, outputs=outputs)

    def unload(self) -> None:
        """Let the JVM forget the evaluator."""
        self.native = self._evaluator = None

    def _by_name(self, request: InferRequest) -> InferRequest:
        """The same request; a single matrix becomes the columns that it holds by their places."""
        if len(request.inputs) != 1 or request.columns or request.inputs[0].name in self._names:
            return request
        (matrix,) = request.inputs
        if matrix.data.ndim != _MATRIX_RANK or matrix.shape[1] != len(self._names):
            raise errors.InvalidInput(
                f"Input {matrix.name!r} has the shape {list(matrix.shape)}; "
                f"expected rows of {len(self._names)} values, or {self._table}."
            )
        columns = [Tensor(name, matrix.data[:, place], matrix.datatype) for place, name in enumerate(self._names)]
        return InferRequest(model_name=request.model_name, inputs=columns, parameters={"content_type": "pd"})

    def _evaluate(self, table: Any) -> dict[str, list[Any]]:
        """The results of all rows of a matrix or a DataFrame, by the name of their field."""
        is_matrix = isinstance(table, np.ndarray)
        if len(table) == 1:
            record = (
                dict(zip(self._names, table[0].tolist(), strict=True)) if is_matrix else table.to_dict("records")[0]
            )
            try:
                found = self._evaluator.evaluate(record)
            except self._refused as error:
                raise _explained(str(error), 0) from error
            return {str(name): [_plain(value)] for name, value in found.items()}
        # Evaluator.evaluateAll does the same by DataFrames, which takes several times as long.
        columns = table.T if is_matrix else (table[name].to_numpy() for name in self._names)
        given = {"columns": list(self._names), "data": [_cells(column) for column in columns]}
        evaluator = self._evaluator
        found = self._util.evaluateAll(evaluator.backend, evaluator.javaEvaluator, given, None, _PARALLELISM)
        for row, text in enumerate(found["errors"] or ()):
            if isinstance(text, str):
                raise _explained(text, row)
        return {
            str(name): [_plain(value) for value in values]
            for name, values in zip(found["columns"], found["data"], strict=True)
        }


def _feature(field: Any, values: Mapping[str, Any]) -> Feature:
    datatype, example = _DATATYPES.get(field.getDataType(), (Datatype.BYTES, ""))
    return Feature(field.getName(), datatype, values.get(field.getName(), example), Certainty.KNOWN)


def _outputs(evaluator: Any) -> tuple[TensorSpec, ...]:
    """Text as BYTES, truth values as BOOL, and all numbers as FP64, as KServe answers them."""
    fields = [*evaluator.getTargetFields(), *evaluator.getOutputFields()]
    kinds = [(field.getName(), _DATATYPES.get(field.getDataType(), (Datatype.BYTES, ""))[0]) for field in fields]
    wide = dict.fromkeys(Datatype, Datatype.FP64) | {kept: kept for kept in (Datatype.BYTES, Datatype.BOOL)}
    return tuple(TensorSpec(name, wide[datatype], (-1,)) for name, datatype in kinds)


def _tensor(name: str, values: list[Any], datatype: Datatype | None) -> Tensor:
    """Results of a field; one that is missing is NaN among numbers, and empty among text."""
    if datatype is None:
        is_text = any(isinstance(value, str) for value in values)
        datatype = Datatype.BYTES if is_text else Datatype.FP64
    if datatype is Datatype.BYTES:
        text = np.empty(len(values), dtype=object)
        text[:] = ["" if value is None else str(value) for value in values]
        return Tensor.from_numpy(name, text, datatype)
    if datatype is Datatype.FP64:
        return Tensor(name, np.array([np.nan if each is None else each for each in values], np.float64), datatype)
    return Tensor(name, np.array([bool(each) for each in values], np.bool_), datatype)


def _cells(column: NDArray[Any]) -> list[Any]:
    """A column as JPMML takes it, where None is a missing value."""
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f" and not np.isnan(column).any():
        return values
    return [None if isinstance(value, (float, np.floating)) and np.isnan(value) else value for value in values]


def _plain(value: Any) -> Any:
    """A value as JSON has it; numbers and text stay, a missing one is None, and what else there is becomes text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _explained(text: str, row: int) -> errors.FairleadError:
    """The error of a row: the client's where JPMML refuses a value."""
    kind, _, said = text.partition(": ")
    if kind.startswith(_OF_VALUES) and kind not in _OF_THE_DOCUMENT:
        return errors.InvalidInput(f"Row {row}: {said or kind}.")
    return errors.InferenceFailed(f"The document cannot be evaluated: {text}.")
