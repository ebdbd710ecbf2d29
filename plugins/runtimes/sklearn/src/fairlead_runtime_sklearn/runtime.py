"""The runtime: from an artefact to a model."""

from __future__ import annotations

from typing import Any

from fairlead import Artifact, LoadSettings, Runtime
from fairlead.runtimes import threads
from fairlead_runtime_sklearn import opening
from fairlead_runtime_sklearn._plugin import SPEC
from fairlead_runtime_sklearn.model import SklearnModel

__all__ = ["SklearnRuntime", "hold"]


class SklearnRuntime(Runtime):
    """Loads estimators from joblib, pickle and skops files."""

    def load(self, artifact: Artifact, settings: LoadSettings) -> SklearnModel:
        """Load the one model file at the top level of an artefact.

        Raises:
            ArtifactMissing: there is none.
            ArtifactAmbiguous: there are several.
            UnpicklingRefused: the policy does not permit the file.
            ModelLoadError: it does not load, or is nothing that can be served.
            ConfigurationError: the number of threads is negative.
        """
        options = {setting.name: setting.default for setting in SPEC.settings} | dict(settings.options)
        nthread = threads.given(settings)
        opened = opening.open_file(artifact.only(SPEC.artifacts), settings.unpickling)
        hold(opened.estimator, nthread)
        return SklearnModel(
            opened.estimator,
            method=str(options["method"]),
            limit=threads.limit(nthread),
            saved_with=opened.saved_with,
            notes=opened.notes,
        )


def hold(estimator: Any, count: int) -> None:
    """Let an estimator and its parts start no more than so many jobs: every ``n_jobs`` is set.

    Args:
        estimator: the estimator; it is changed.
        count: the number; 0 changes nothing.
    """
    if count and hasattr(estimator, "get_params"):
        jobs = [name for name in estimator.get_params(deep=True) if name.split("__")[-1] == "n_jobs"]
        estimator.set_params(**dict.fromkeys(jobs, count))
