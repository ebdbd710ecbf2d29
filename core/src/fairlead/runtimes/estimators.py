"""Models of rows of numbers and categories that answer by a method: what trained boosters have in common."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead import errors
from fairlead.contracts.runtime import Artifact, Capability, Model, ModelMetadata
from fairlead.contracts.tensors import InferRequest, InferResponse, TensorSpec
from fairlead.runtimes import methods, outputs, pickles
from fairlead.runtimes.tabular import Kind

if TYPE_CHECKING:
    from fairlead.contracts.runtime import Library
    from fairlead.runtimes.tabular import Table, TableReader

__all__ = ["PICKLES", "Call", "Estimator", "EstimatorModel", "is_newer", "model_file", "numbers", "top_package"]

PICKLES: Final = frozenset([".joblib", ".pickle", ".pkl"])
"""Endings of files that hold a pickled estimator, in small letters."""

Call: TypeAlias = "Callable[[Any], Any]"
"""A method: from rows, as the model takes them, to an array of as many rows."""

# "[12:00:00] /src/file.cc:7: Check failed", then a stack of addresses: the place is nothing to a client.
_PLACE: Final = re.compile(r"^(\[[\d:]+\] )?[^\s:]+\.(cc|cpp|h):\d+: ")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """A loaded estimator, and how it is asked.

    Attributes:
        native: the library's own object.
        calls: its methods by name, in the order in which they are tried before the model is Ready.
        table: what it takes.
        reader: reads requests as rows.
        prepared: makes of these what the methods take; raises `InvalidInput` for what they cannot take.
        refusals: what the library raises when the values of a request are wrong.
    """

    native: Any
    calls: Mapping[str, Call]
    table: Table
    reader: TableReader
    prepared: Call
    refusals: tuple[type[Exception], ...]


class EstimatorModel(Model):
    """Serves an estimator.

    Args:
        estimator: the estimator.
        platform: the framework.
        method: the method that answers a request which names none.
        saved_with: the versions that it was saved with, by distribution name.
        notes: findings of the load.

    Raises:
        ModelLoadError: the estimator lacks the method.
    """

    def __init__(
        self,
        estimator: Estimator,
        *,
        platform: str,
        method: str,
        saved_with: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        methods.check(method, estimator.calls, type(estimator.native).__name__)
        self.native = estimator.native
        self.features = estimator.table.names if estimator.table.named else ()
        self.saved_with = dict(saved_with or {})
        self.notes = tuple(notes)
        self._estimator = estimator
        self._default = method
        self._answers = False
        self._metadata = ModelMetadata(
            platform=platform,
            inputs=estimator.table.input_specs(),
            outputs=self._output_specs(),
            capabilities=_capabilities(estimator),
        )

    @property
    def metadata(self) -> ModelMetadata:
        """The inputs as the model tells, and the outputs that the default method had for a sample."""
        return self._metadata

    def samples(self) -> Sequence[InferRequest]:
        """One request of one row for each method, the default one first."""
        return [
            dataclasses.replace(sample, parameters={**sample.parameters, "method": method})
            for sample in self._estimator.table.samples()
            for method in sorted(self._estimator.calls, key=lambda name: name != self._default)
        ]

    def predict(self, request: InferRequest) -> InferResponse:
        """Answer with ``output-0``, by the method that the parameter ``method`` names, or by the default one.

        Raises:
            InvalidInput: the request has another form than the model takes, holds no rows, or names a method that the
                model lacks, or the library refuses the values.
        """
        estimator = self._estimator
        call = estimator.calls[methods.asked(request, self._default, estimator.calls)]
        rows = estimator.reader.read(request)
        if len(rows) == 0:
            raise errors.InvalidInput("The request holds no rows.")
        rows = estimator.prepared(rows)
        try:
            result = call(rows)
        except estimator.refusals as error:
            if not self._answers:
                raise  # not even a sample is answered: the fault may be the model's own
            raise errors.InvalidInput(_text(error)) from error
        return InferResponse(model_name=request.model_name, outputs=outputs.tensors(result), id=request.id)

    def _output_specs(self) -> tuple[TensorSpec, ...]:
        """What the default method returns for a sample; nothing when it is not answered."""
        for sample in self._estimator.table.samples():
            try:
                found = self.predict(sample).outputs
            except Exception:  # noqa: BLE001  # the engine asks the same sample before Ready, and reports what it raises
                return ()
            self._answers = True
            return tuple(TensorSpec(tensor.name, tensor.datatype, (-1, *tensor.shape[1:])) for tensor in found)
        return ()


def model_file(artifact: Artifact, patterns: Sequence[str], is_model: Callable[[Path], bool]) -> Path:
    """The one model file of an artefact; other files that only have such a name, as requirements.txt, may be beside it.

    Args:
        artifact: the model's files.
        patterns: the names that model files have.
        is_model: tells by a look at its bytes whether a file is a model of the framework.

    Raises:
        ArtifactMissing: there is none.
        ArtifactAmbiguous: there are several.
    """
    found = artifact.matching(patterns)
    models = [path for path in found if is_model(path)] if len(found) > 1 else []
    return models[0] if len(models) == 1 else artifact.only(patterns)


def is_newer(version: str, library: Library) -> bool:
    """Whether a version is newer than the installed one, which may not read what that has written.

    Args:
        version: for example ``3.2.0``; what follows the numbers does not count.
        library: the library; where it is not installed, every version is newer.
    """
    here = library.installed()
    return here is None or _numbers_of(version) > _numbers_of(here[1])


def numbers(rows: Any) -> Any:
    """A matrix as it is, for a model that takes numbers alone.

    Raises:
        InvalidInput: it holds text.
    """
    if rows.dtype.kind == "O":
        raise errors.InvalidInput("The model takes numbers, and the request holds text (BYTES).")
    return rows


def top_package(path: Path) -> str | None:
    """The package of the class of a pickled object, for example ``lightgbm``; None where the file is no pickle."""
    module = pickles.outermost(path)
    return None if module is None else module.partition(".")[0]


def _numbers_of(version: str) -> list[int]:
    found = re.match(r"\d+(\.\d+)*", version)
    return [int(number) for number in found[0].split(".")] if found else []


def _capabilities(estimator: Estimator) -> frozenset[Capability]:
    found = {Capability.ANY_THREAD, Capability.BATCHING}
    if estimator.table.named or estimator.table.kind is Kind.TABLE:
        found.add(Capability.COLUMNS)
    if "predict_proba" in estimator.calls:
        found.add(Capability.PREDICT_PROBA)
    return frozenset(found)


def _text(error: Exception) -> str:
    """What a library says, without the place in its code and without a stack of native calls."""
    return _PLACE.sub("", str(error).partition("\nStack trace:")[0]).strip()
