"""Real models of the frameworks that are explained, served in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from fairlead import (
    AnyModel,
    Artifact,
    InferRequest,
    InferResponse,
    LoadSettings,
    Model,
    ModelMetadata,
    Tensor,
    TensorSpec,
    UnpicklingPolicy,
)
from fairlead.contracts.runtime import RuntimeSpec
from fairlead.plugins import Kind, Plugins
from fairlead_explainer_shap._plugin import SPEC
from fairlead_explainer_shap.explainer import ShapExplainer

DEFAULTS = {setting.name: setting.default for setting in SPEC.settings}


def data(rows: int = 80, features: int = 4) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows, and a class for each that depends on the first two features."""
    x = np.random.default_rng(0).normal(size=(rows, features))
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


class Framed(Model):
    """An estimator or a booster as a model, with its methods as requests name them."""

    def __init__(
        self, native: Any, method: str = "predict", features: Sequence[str] = (), inputs: Sequence[TensorSpec] = ()
    ) -> None:
        self.native = native
        self.features = features
        self._ask = getattr(native, method)
        self._metadata = ModelMetadata(platform="test", inputs=tuple(inputs))

    @property
    def metadata(self) -> ModelMetadata:
        return self._metadata

    def predict(self, request: InferRequest) -> InferResponse:
        columns = [tensor.data for tensor in request.inputs]
        rows = columns[0] if len(columns) == 1 else np.column_stack(columns)
        answer = Tensor.from_numpy("output-0", np.asarray(self._ask(rows)))
        return InferResponse(model_name=request.model_name, outputs=[answer])


def saved(estimator: Any, folder: Path) -> Path:
    """An estimator of scikit-learn as an artefact."""
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(estimator, folder / "model.joblib")
    return folder


def by_sklearn(estimator: Any, folder: Path) -> AnyModel:
    """An estimator as the runtime of scikit-learn loads it."""
    plugins = Plugins.discover()
    (spec,) = plugins.specs(Kind.RUNTIME, "sklearn")
    assert isinstance(spec, RuntimeSpec)
    options = {setting.name: setting.default for setting in spec.settings}
    artifact = Artifact(path=saved(estimator, folder), uri=folder.as_uri())
    settings = LoadSettings(model_name="model", unpickling=UnpicklingPolicy(), options=options)
    model: AnyModel = plugins.factory(Kind.RUNTIME, spec)().load(artifact, settings)
    return model


def reference(path: Path, rows: NDArray[Any]) -> Artifact:
    """Reference data in a file."""
    np.save(path / "reference.npy", rows)
    return Artifact(path=path / "reference.npy", uri=path.as_uri())


def explainer(model: AnyModel | None, artifact: Artifact | None = None, **options: Any) -> ShapExplainer:
    """The explainer, loaded for a model."""
    made = ShapExplainer()
    made.load(artifact, LoadSettings(model_name="model", options={**DEFAULTS, **options}), model)
    return made


def asked(rows: Any, **parameters: Any) -> InferRequest:
    """A request of one tensor of rows."""
    return InferRequest(
        model_name="model", inputs=[Tensor.from_numpy("input-0", np.asarray(rows))], parameters=parameters
    )
