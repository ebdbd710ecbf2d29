"""The runtime: from an artefact to a model."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from fairlead import Artifact, LoadSettings, Runtime, errors
from fairlead.runtimes import estimators, methods, opening, threads
from fairlead.runtimes.estimators import EstimatorModel
from fairlead_runtime_lightgbm import boosters, files, modeltext
from fairlead_runtime_lightgbm._plugin import EXTRAS, LIBRARY, SPEC

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LightGBMRuntime"]

_log: Final = logging.getLogger("lightgbm")


class LightGBMRuntime(Runtime):
    """Loads boosters from LightGBM's text files, and boosters and estimators from pickles."""

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
        with opening.guarded(path, LIBRARY, plugin=SPEC.name, extras=EXTRAS) as notes:
            import lightgbm

            lightgbm.register_logger(_log)  # it prints to the standard output otherwise
            native = opening.unpickle(path, settings.unpickling) if files.is_pickle(path) else _booster(path)
            estimator = boosters.estimator(native, nthread)
        return EstimatorModel(
            estimator,
            platform="lightgbm",
            method=str(settings.options.get(methods.METHOD.name, methods.METHOD.default)),
            notes=notes,
        )


def _booster(path: Path) -> Any:
    """The booster in a text file; what could end the process is found before the library reads it."""
    import lightgbm

    if files.is_dump(path):
        raise errors.ModelLoadError(
            f"{path.name} is what Booster.dump_model writes, which shows a model and cannot be loaded.",
            remedy="Save the model with Booster.save_model.",
        )
    content = path.read_bytes()
    if not files.is_model(path):
        raise ValueError(
            "it does not begin as the text of LightGBM's save_model; XGBoost and CatBoost write files of such names too"
        )
    modeltext.check(content)
    return lightgbm.Booster(model_file=path)
