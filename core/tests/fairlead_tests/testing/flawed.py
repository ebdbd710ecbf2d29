"""A distribution of runtimes, one of them good and every other with one flaw, and their tests against the kit."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["FLAWS", "write"]

_PLUGIN: Final = """
import dataclasses
from fairlead import Capability, Library, ModelFormat, RuntimeSpec, hookimpl
from fairlead.runtimes.threads import NTHREAD

GOOD = RuntimeSpec(
    name="good",
    formats=(ModelFormat("good"),),
    factory="planted_flaws.runtimes:Good",
    artifacts=("*.good.json", "weights.json"),
    capabilities=frozenset({Capability.BATCHING}),
    libraries=(Library("heavy", "planted_flaws.heavy"),),
    settings=(NTHREAD,),
    recognises="planted_flaws.recognition:good",
)
RECOGNISE = {"recognises_all": "all_files", "recognises_none": "no_file", "loads_to_recognise": "heavily"}


@hookimpl
def fairlead_runtimes():
    for name in NAMES:
        known = RECOGNISE.get(name, "good")
        factory = name if known == "good" else "good"
        yield dataclasses.replace(
            GOOD,
            name=name,
            factory="planted_flaws.runtimes:" + "".join(word.title() for word in factory.split("_")),
            recognises=f"planted_flaws.recognition:{known}",
        )
"""

_RECOGNITION: Final = """
def good(artifact):
    return any(b"weights" in path.read_bytes() for path in artifact.matching(("*.json",)))


def all_files(artifact):
    return True


def no_file(artifact):
    return False


def heavily(artifact):
    import planted_flaws.heavy

    return good(artifact)
"""

_RUNTIMES: Final = """
import json
import numpy as np
from fairlead import (
    Capability, Datatype, InferResponse, Model, ModelMetadata, Runtime, Tensor, TensorSpec, errors
)

class Weighted(Model):
    def __init__(self, weights, runtime, threads):
        self._weights, self._runtime, self._threads = np.array(weights, dtype=float), runtime, threads
        shape = (-1, len(weights))
        self._metadata = ModelMetadata(
            platform="good",
            inputs=(TensorSpec("x", Datatype.FP64, shape),),
            outputs=(TensorSpec("y", Datatype.FP64, (-1,)),),
            capabilities=frozenset({Capability.BATCHING}),
            properties=runtime.properties,
        )

    metadata = property(lambda self: self._metadata)

    def predict(self, request):
        if len(request.inputs) != 1 or request.inputs[0].datatype is Datatype.BYTES:
            raise errors.InvalidInput("one tensor of numbers")
        rows = request.inputs[0].data
        if rows.shape[-1] != len(self._weights) or rows.ndim not in self._runtime.ranks:
            raise errors.InvalidInput("rows of numbers")
        answer = self._runtime.answer(rows.reshape(-1, len(self._weights)), self._weights, self._threads)
        return InferResponse(model_name=request.model_name, outputs=[Tensor.from_numpy("y", answer)])


class Good(Runtime):
    ranks = (2,)
    properties = {"device": "cpu"}

    def load(self, artifact, settings):
        path = artifact.only(("*.json",))
        return Weighted(self.weights(path.read_text()), self, settings.options["nthread"])

    def weights(self, text):
        try:
            return json.loads(text)["weights"]
        except (ValueError, KeyError) as error:
            raise errors.ModelLoadError("no weights") from error

    def answer(self, rows, weights, threads):
        return rows @ weights


class TakesAHalf(Good):
    def weights(self, text):
        return [1.0, 2.0] if text.startswith('{"weights') else super().weights(text)


class RaisesItsOwn(Good):
    def weights(self, text):
        return json.loads(text)["weights"]


class TakesStrangers(Good):
    def weights(self, text):
        try:
            return json.loads(text).get("weights", [1.0, 2.0])
        except ValueError as error:
            raise errors.ModelLoadError("no JSON") from error


class BreaksOnNan(Good):
    def answer(self, rows, weights, threads):
        if np.isnan(rows).any():
            raise ValueError("NaN")
        return rows @ weights


class BreaksOnNothing(Good):
    def answer(self, rows, weights, threads):
        return (rows @ weights) + 0 * rows[0, 0]


class InventsRows(Good):
    def answer(self, rows, weights, threads):
        return rows @ weights if len(rows) else np.zeros(1)


class TakesAnyRank(Good):
    ranks = (1, 2, 3, 4)


class CountsThreads(Good):
    def answer(self, rows, weights, threads):
        return rows @ weights + threads


class HasNumbersForProperties(Good):
    properties = {"devices": 1}


class RefusesNan(Good):
    def answer(self, rows, weights, threads):
        if np.isnan(rows).any() or not len(rows):
            raise errors.InvalidInput("a number is missing")
        return rows @ weights
"""

_TESTS: Final = """
import json
import numpy as np
import pytest
from fairlead import Tensor
from fairlead.testing import RuntimeContract


class Weighted(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return self.name

    @pytest.fixture
    def artifact(self, tmp_path):
        (tmp_path / "model.good.json").write_text(json.dumps({"weights": [1.0, 2.0]}))
        (tmp_path / "README").write_text("The largest file of the folder is none of the model's. " * 10)
        return tmp_path

    @pytest.fixture
    def request_inputs(self):
        return [Tensor.from_numpy("x", np.array([[1.0, 2.0], [3.0, 4.0]]))]
"""

_A_TRUNCATED = "test_a_truncated_artefact_is_a_load_error"
_A_STRANGER = "test_an_artefact_of_another_framework_is_a_load_error"
_RECOGNISED = "test_the_runtime_recognises_its_own_artefact_without_its_libraries"
_NO_ROWS = "test_a_request_without_rows_is_answered_without_rows_or_the_clients_fault"

FLAWS: Final[Mapping[str, str]] = {
    "takes_a_half": _A_TRUNCATED,
    "raises_its_own": _A_TRUNCATED,
    "takes_strangers": _A_STRANGER,
    "recognises_all": _RECOGNISED,
    "recognises_none": _RECOGNISED,
    "loads_to_recognise": _RECOGNISED,
    "breaks_on_nan": "test_a_missing_number_is_answered_or_the_clients_fault",
    "breaks_on_nothing": _NO_ROWS,
    "invents_rows": _NO_ROWS,
    "takes_any_rank": "test_a_wrong_rank_is_the_clients_fault",
    "counts_threads": "test_one_thread_answers_as_many_do",
    "has_numbers_for_properties": "test_properties_of_the_metadata_are_text_by_name",
}
"""The rule that each flaw breaks, by the name of the runtime."""


def write(folder: Path) -> list[str]:
    """Write the distribution and its tests to a folder, and return the tests to run there.

    These are all tests of the runtimes ``good`` and ``refuses_nan``, and of each other the one that it fails.
    """
    names = ["good", "refuses_nan", *FLAWS]
    package = folder / "planted_flaws"
    package.mkdir()
    files = {
        "__init__": "",
        "heavy": "",
        "_plugin": f"NAMES = {names!r}\n{_PLUGIN}",
        "recognition": _RECOGNITION,
        "runtimes": _RUNTIMES,
    }
    for name, text in files.items():
        (package / f"{name}.py").write_text(textwrap.dedent(text))
    info = folder / "planted_flaws-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted-flaws\nVersion: 1.0\n")
    points = "".join(f"{name} = planted_flaws._plugin\n" for name in names)
    (info / "entry_points.txt").write_text(f"[fairlead.runtimes]\n{points}")
    classes = "".join(f"\n\nclass Test_{name}(Weighted):\n    name = {name!r}\n" for name in names)
    (folder / "test_planted.py").write_text(_TESTS + classes)
    whole = ["test_planted.py::Test_good", "test_planted.py::Test_refuses_nan"]
    return [*whole, *(f"test_planted.py::Test_{name}::{rule}" for name, rule in FLAWS.items())]
