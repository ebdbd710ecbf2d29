"""The runtime: from an artefact to a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fairlead import Artifact, LoadSettings, Runtime, errors
from fairlead.runtimes import estimators, methods, opening, pickles, threads
from fairlead.runtimes.estimators import EstimatorModel
from fairlead_runtime_xgboost import boosters, files, ubjson
from fairlead_runtime_xgboost._plugin import EXTRAS, LIBRARY, SPEC
from fairlead_runtime_xgboost.trees import Trees

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead import UnpicklingPolicy

__all__ = ["XGBoostRuntime"]


class XGBoostRuntime(Runtime):
    """Loads boosters from XGBoost's own files, and boosters and estimators from pickles."""

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
        found: list[str] = []
        with opening.guarded(
            path, LIBRARY, plugin=SPEC.name, recorded=lambda: files.recorded(path), extras=EXTRAS
        ) as notes:
            _see_to_library()
            native = _pickled(path, settings.unpickling) if files.is_pickle(path) else _booster(path)
            estimator = boosters.estimator(native, nthread, found)
        return EstimatorModel(
            estimator,
            platform="xgboost",
            method=str(settings.options.get(methods.METHOD.name, methods.METHOD.default)),
            saved_with=files.saved_with(Artifact(path=path, uri=artifact.uri)),
            notes=[*notes, *found],
        )


def _see_to_library() -> None:
    try:
        import xgboost  # noqa: F401  # only whether it is there
    except ModuleNotFoundError as error:
        if error.name != LIBRARY.module:
            raise
        raise errors.ModelLoadError(
            "XGBoost is not installed.",
            remedy=f"{LIBRARY.remedy}, or [gpu] for the build that has GPU code; "
            "never both, because each holds the module xgboost.",
        ) from error


def _pickled(path: Path, policy: UnpicklingPolicy) -> Any:
    """The object in a pickle."""
    if pickles.outermost(path) == "xgboost.sklearn":
        import sklearn  # noqa: F401  # without it the estimators are there, and lack what scikit-learn's base has
    return opening.unpickle(path, policy)


def _booster(path: Path) -> Any:
    """The booster in a file of XGBoost's own; what could end the process is found before the library reads it."""
    import xgboost

    content = bytearray(path.stat().st_size)
    with path.open("rb") as file:
        file.readinto(content)
    if content.startswith(b"binf"):
        raise errors.ModelLoadError(
            f"{path.name} is in the binary format that XGBoost wrote before version 2.1, and no longer reads.",
            remedy="Load it with XGBoost 2.0, and save it as .json or .ubj.",
        )
    if not files.is_model(path):
        raise ValueError(
            "it begins neither as JSON nor as UBJSON of XGBoost's save_model"
            "; LightGBM and CatBoost write files of such names too"
        )
    if content.lstrip()[1:].lstrip()[:1] != b'"':
        ubjson.check(content)
    elif not content.rstrip().endswith(b"}"):
        raise ValueError("the file ends before its last brace")
    else:
        seen = Trees()
        seen.whole(json.loads(content.decode("utf-8", "replace"), object_hook=seen.seen))
    booster = xgboost.Booster()
    booster.load_model(content)
    return booster
