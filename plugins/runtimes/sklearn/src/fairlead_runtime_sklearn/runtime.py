"""The runtime: from an artefact to a model."""

from __future__ import annotations

from fairlead import Artifact, LoadSettings, Runtime, errors
from fairlead_runtime_sklearn import opening, threads
from fairlead_runtime_sklearn._plugin import SPEC
from fairlead_runtime_sklearn.model import SklearnModel

__all__ = ["SklearnRuntime"]


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
        defaults = {setting.name: setting.default for setting in SPEC.settings}
        options = {**defaults, **settings.options}
        nthread = int(options["nthread"])
        if nthread < 0:
            raise errors.ConfigurationError(f"setting nthread: {nthread} is negative; 0 leaves it to the libraries.")
        path = artifact.only(SPEC.artifacts)
        opened = opening.open_file(path, settings.unpickling)
        return SklearnModel(
            opened.estimator,
            method=str(options["method"]),
            limit=threads.limit(opened.estimator, nthread),
            saved_with=opened.saved_with,
            notes=opened.notes,
        )
