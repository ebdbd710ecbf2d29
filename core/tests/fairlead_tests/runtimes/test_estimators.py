"""Models that answer rows by a method: what they declare, what they refuse, and which file they are."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import Artifact, Capability, Datatype, InferRequest, Library, Tensor, errors
from fairlead.runtimes import estimators
from fairlead.runtimes.estimators import Estimator, EstimatorModel
from fairlead.runtimes.tabular import Certainty, Feature, Kind, Table, TableReader

ROWS = np.array([[1.0, 2.0], [3.0, 4.0]])


class Refused(Exception):
    """What a library raises."""


class Adder:
    """Adds the features of a row, and refuses numbers above a limit."""

    def __init__(self, limit: float = 100.0) -> None:
        self.limit = limit

    def predict(self, rows: Any) -> Any:
        if rows.max() > self.limit:
            raise Refused(f"[12:00:00] /src/adder.cc:7: {rows.max():g} is too large\nStack trace:\n  [bt] (0) 0x7f")
        return rows.sum(axis=1)

    def predict_proba(self, rows: Any) -> Any:
        return np.column_stack((rows[:, 0], rows[:, 1]))


def model(
    *, limit: float = 100.0, method: str = "predict", named: bool = False, prepared: Callable[[Any], Any] | None = None
) -> EstimatorModel:
    native = Adder(limit)
    features = tuple(Feature(name, Datatype.FP64, 1.0, Certainty.KNOWN) for name in ("a", "b"))
    table = Table(Kind.MATRIX, features, named=named)
    estimator = Estimator(
        native=native,
        calls={"predict": native.predict, "predict_proba": native.predict_proba},
        table=table,
        reader=TableReader(table, framed=False),
        prepared=prepared or estimators.numbers,
        refusals=(Refused,),
    )
    return EstimatorModel(estimator, platform="adder", method=method, saved_with={"adder": "1.0"}, notes=["A note."])


def ask(asked: EstimatorModel, rows: Any, **parameters: Any) -> Any:
    request = InferRequest(model_name="sum", id="7", inputs=[Tensor.from_numpy("x", rows)], parameters=parameters)
    answer = asked.predict(request)
    assert (answer.model_name, answer.id) == ("sum", "7")
    return answer.output("output-0").data


def test_rows_are_answered_by_the_method_that_is_asked_for() -> None:
    assert ask(model(), ROWS).tolist() == [3.0, 7.0]
    assert ask(model(), ROWS, method="predict_proba").tolist() == ROWS.tolist()
    assert ask(model(method="predict_proba"), ROWS).tolist() == ROWS.tolist()


def test_the_outputs_that_are_declared_are_those_of_a_sample() -> None:
    (output,) = model(method="predict_proba").metadata.outputs
    assert (output.name, output.datatype, output.shape) == ("output-0", Datatype.FP64, (-1, 2))
    assert model(limit=0).metadata.outputs == ()


def test_every_method_has_a_sample_and_the_default_comes_first() -> None:
    samples = model(method="predict_proba").samples()
    assert [sample.parameters["method"] for sample in samples] == ["predict_proba", "predict"]


def test_what_the_load_found_and_the_librarys_object_can_be_seen() -> None:
    found = model()
    assert isinstance(found.native, Adder)
    assert (found.saved_with, found.notes) == ({"adder": "1.0"}, ("A note.",))
    assert found.metadata.platform == "adder"


def test_named_columns_are_a_capability_of_models_that_know_them() -> None:
    assert not model().metadata.supports(Capability.COLUMNS)
    assert model(named=True).metadata.supports(Capability.COLUMNS)
    assert model().metadata.supports(Capability.PREDICT_PROBA)


def test_what_the_library_refuses_is_the_clients_fault_without_places_and_stacks() -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        ask(model(), ROWS * 100)
    assert str(caught.value) == "400 is too large"


def test_what_a_model_raises_that_answers_nothing_is_its_own_fault() -> None:
    with pytest.raises(Refused):
        ask(model(limit=0), ROWS)


def test_no_rows_and_text_are_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="no rows"):
        ask(model(), ROWS[:0])
    with pytest.raises(errors.InvalidInput, match="takes numbers"):
        ask(model(), np.array([["a", "b"]]))


def test_rows_are_prepared_before_a_method_sees_them() -> None:
    assert ask(model(prepared=lambda rows: rows * 2), ROWS).tolist() == [6.0, 14.0]


def test_a_method_that_the_model_lacks_is_a_load_error() -> None:
    with pytest.raises(errors.ModelLoadError, match="Adder, which has no method decision_function"):
        model(method="decision_function")


# -- files ----------------------------------------------------------------------------------------------


def is_model(path: Path) -> bool:
    return path.read_text() == "model"


def test_of_several_files_the_one_that_is_a_model_is_taken(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy")
    folder = Artifact(path=tmp_path, uri="file:///models")
    with pytest.raises(errors.ArtifactMissing):
        estimators.model_file(folder, ["*.bst"], is_model)
    assert estimators.model_file(folder, ["*.txt"], is_model).name == "requirements.txt"  # the load says what it is
    (tmp_path / "a.txt").write_text("model")
    assert estimators.model_file(folder, ["*.txt"], is_model).name == "a.txt"
    (tmp_path / "b.txt").write_text("model")
    with pytest.raises(errors.ArtifactAmbiguous):
        estimators.model_file(folder, ["*.txt"], is_model)


def test_the_package_of_a_pickled_object_is_read_without_unpickling(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(ROWS))
    assert estimators.top_package(path) == "numpy"
    path.write_bytes(b"no pickle")
    assert estimators.top_package(path) is None


@pytest.mark.parametrize(
    ("version", "is_newer"), [("0.0.1", False), ("9999.1", True), ("9999.1rc1", True), ("unknown", False)]
)
def test_versions_are_compared_by_their_numbers(version: str, is_newer: bool) -> None:
    assert estimators.is_newer(version, Library("numpy", "numpy")) is is_newer
    assert not estimators.is_newer(np.__version__, Library("numpy", "numpy"))
    assert estimators.is_newer(version, Library("not-installed-anywhere", "nothing"))
