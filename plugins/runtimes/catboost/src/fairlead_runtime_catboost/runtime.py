"""The runtime: from an artefact to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead import Artifact, LoadSettings, Runtime
from fairlead.runtimes import estimators, methods, opening, threads
from fairlead.runtimes.estimators import EstimatorModel
from fairlead_runtime_catboost import boosters, files
from fairlead_runtime_catboost._plugin import EXTRAS, LIBRARY, SPEC

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CatBoostRuntime"]


class CatBoostRuntime(Runtime):
    """Loads estimators from CatBoost's own files and from pickles."""

    def load(self, artifact: Artifact, settings: LoadSettings) -> EstimatorModel:
        """Load the one model file at the top level of an artefact.

        Raises:
            ArtifactMissing: there is none.
            ArtifactAmbiguous: there are several.
            UnpicklingRefused: the policy does not permit the file.
            ModelLoadError: it does not load, or is nothing that can be served.
            ConfigurationError: the number of threads is negative.
        """
        path = estimators.model_file(artifact, SPEC.artifacts, files.is_model)
        nthread = threads.chosen(settings)
        with opening.guarded(
            path, LIBRARY, plugin=SPEC.name, recorded=lambda: files.recorded(path), extras=EXTRAS
        ) as notes:
            native = opening.unpickle(path, settings.unpickling) if files.is_pickle(path) else _loaded(path)
            estimator = boosters.estimator(native, nthread)
        return EstimatorModel(
            estimator,
            platform="catboost",
            method=str(settings.options.get(methods.METHOD.name, methods.METHOD.default)),
            saved_with=files.saved_with(Artifact(path=path, uri=artifact.uri)),
            notes=notes,
        )


def _loaded(path: Path) -> Any:
    """A classifier where the model has classes, and a regressor otherwise, which predicts as rankers do too."""
    import catboost

    found = files.format_of(path)
    if found is None:
        raise ValueError(
            "it begins neither as the binary format of CatBoost's save_model nor as its JSON"
            "; XGBoost writes .json files too"
        )
    files.check(path, found)
    model = catboost.CatBoostClassifier()
    model.load_model(str(path), format=found)
    if len(model.classes_) == 0:
        model = catboost.CatBoostRegressor()
        model.load_model(str(path), format=found)
    return model
