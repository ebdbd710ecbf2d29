"""The runtime: from a model's folder to a model."""

from __future__ import annotations

import logging
import os
import platform
import sys
import warnings
from typing import Final

from fairlead import Artifact, LoadSettings, Model, Runtime, errors
from fairlead.runtimes import opening, stderr, threads
from fairlead_runtime_mlflow import delegation, inputs, mlmodel, trust
from fairlead_runtime_mlflow._plugin import SPEC
from fairlead_runtime_mlflow.mlmodel import PYFUNC, MLModel
from fairlead_runtime_mlflow.model import HandedModel, PyfuncModel

__all__ = ["MlflowRuntime"]

_log: Final = logging.getLogger("fairlead.runtimes.mlflow")

# MLflow reads it when it is imported, and would report to its authors otherwise.
_NO_TELEMETRY: Final = "MLFLOW_DISABLE_TELEMETRY"
os.environ[_NO_TELEMETRY] = "true"


class MlflowRuntime(Runtime):
    """Loads the folders that ``mlflow.*.save_model`` writes."""

    def load(self, artifact: Artifact, settings: LoadSettings) -> Model:
        """Load a model by the runtime of its framework, where that is installed and answers as MLflow, else by MLflow.

        Raises:
            ArtifactMissing: there is no ``MLmodel``.
            UnpicklingRefused: the model runs code, and the policy does not permit its files.
            ModelLoadError: it does not load.
            ConfigurationError: the number of threads is negative.
        """
        limit = threads.limit(threads.given(settings))
        model = mlmodel.read(artifact)
        takes = inputs.of(model.signature, hinted=bool(model.document.get("is_signature_from_type_hint")))
        if handed := delegation.load(model, takes, settings, artifact.uri):
            return HandedModel(handed, model, takes)
        trust.check(model, settings.unpickling)
        library, saved = model.suspect()
        path = model.folder / SPEC.artifacts[0]
        with opening.guarded(path, library, plugin=SPEC.name, recorded=saved) as notes, stderr.taken(_log):
            try:
                loaded = _load(model)
            except FileNotFoundError as error:
                raise errors.ModelLoadError(
                    f"The MLflow model does not load, because a file is missing: {error}.",
                    remedy="Check that the folder is whole.",
                ) from error
        return PyfuncModel(loaded, model, takes, limit=limit, notes=[*notes, *_python_skew(model)])


def _load(model: MLModel) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own type hints
        import mlflow.pyfunc
    import mlflow.telemetry
    import mlflow.tracing

    mlflow.telemetry.set_telemetry_client()  # stops a client that was started before the variable was set
    mlflow.tracing.disable()  # a traced model would write to a tracking server, or to a database in this folder
    return mlflow.pyfunc.load_model(str(model.folder.absolute()), suppress_warnings=True)


def _python_skew(model: MLModel) -> list[str]:
    """A note where a model of Python code was saved by another Python: its pickles hold byte code."""
    saved = str(model.pyfunc.get("python_version", ""))
    here = platform.python_version()
    if model.flavor != PYFUNC or not saved or saved.split(".")[:2] == here.split(".")[:2]:
        return []
    return [f"The model was saved with Python {saved}, and this is {here} ({sys.executable})."]
