"""The runtime passes the public conformance kit, through the public door."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mlflow.models import infer_signature

from fairlead import RuntimeSpec, Tensor, UnpicklingPolicy, errors
from fairlead.testing import RuntimeContract
from fairlead_runtime_mlflow_tests import models
from fairlead_runtime_mlflow_tests.code_models import Doubling, Sums

if TYPE_CHECKING:
    from fairlead.testing.runtime import Load


class Mlflow(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> str:
        return "mlflow"

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy(name, column) for name, column in models.COLUMNS]

    @pytest.fixture
    def request_parameters(self) -> Mapping[str, bool | int | float | str]:
        return {"content_type": "pd"}

    def test_the_policy_trusted_loads_the_listed_file_alone(
        self, load: Load, artifact: Path, spec: RuntimeSpec, unpickles: bool
    ) -> None:
        """``MLmodel`` runs nothing; the file that does is another one of the folder."""
        del spec
        if not unpickles:
            pytest.skip("the artefact runs no code")
        (pickled,) = artifact.glob("*.pkl")
        digest = hashlib.sha256(pickled.read_bytes()).hexdigest()
        assert load(artifact, UnpicklingPolicy.parse(f"sha256:{digest}")).metadata.platform == "mlflow"
        with pytest.raises(errors.UnpicklingRefused, match=pickled.name):
            load(artifact, UnpicklingPolicy.parse(f"sha256:{'0' * 64}"))


class TestASkopsModel(Mlflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return models.save_sklearn(tmp_path / "model", models.classifier(), input_example=models.TABLE)

    @pytest.fixture
    def unpickles(self) -> bool:
        return False


class TestAPickledModelOfProbabilities(Mlflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return models.save_sklearn(
            tmp_path / "model",
            models.classifier(),
            serialization_format="cloudpickle",
            pyfunc_predict_fn="predict_proba",
        )


class TestAModelOfCode(Mlflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        table = models.TABLE.astype(float)
        return models.code_model(tmp_path / "model", Doubling(), signature=infer_signature(table, table))


class TestAModelOfTensors(Mlflow):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        inputs = {"x": np.zeros((2, 3), np.float32), "y": np.zeros((2, 3), np.float32)}
        return models.code_model(tmp_path / "model", Sums(), signature=infer_signature(inputs))

    @pytest.fixture
    def request_inputs(self) -> list[Tensor]:
        return [Tensor.from_numpy(name, np.ones((2, 3), np.float32)) for name in "xy"]

    @pytest.fixture
    def request_parameters(self) -> Mapping[str, bool | int | float | str]:
        return {}


class TestAModelWithoutASignature(TestAPickledModelOfProbabilities):
    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        return models.save_sklearn(
            tmp_path / "model", models.classifier(), signature=False, serialization_format="cloudpickle"
        )

    @pytest.fixture
    def unexpected_inputs(self) -> list[Tensor]:
        return []  # whatever comes goes to the model, which may refuse it
