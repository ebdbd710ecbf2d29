"""The runtime: from an artefact to a model."""

from __future__ import annotations

import logging
from typing import Final

from fairlead import Artifact, LoadSettings, Runtime
from fairlead.runtimes import opening, stderr
from fairlead_runtime_tensorflow import kerasfile, layout, library, savedmodel, versions
from fairlead_runtime_tensorflow._plugin import SPEC
from fairlead_runtime_tensorflow.model import TensorflowModel

__all__ = ["TensorflowRuntime"]

_log: Final = logging.getLogger("fairlead.runtimes.tensorflow")


class TensorflowRuntime(Runtime):
    """Loads SavedModels and Keras archives.

    The core imports the libraries of a runtime before it calls `load`, so that TensorFlow is told here what to print.
    """

    def __init__(self) -> None:
        library.quieten()

    def load(self, artifact: Artifact, settings: LoadSettings) -> TensorflowModel:
        """Load the one model of an artefact.

        Raises:
            ArtifactMissing: there is none.
            ArtifactAmbiguous: there are several.
            UnpicklingRefused: its graph can reach files, the network or Python, and the policy does not permit that.
            ModelLoadError: it does not load, or has nothing that can be served; or TensorFlow is not installed.
            ConfigurationError: the number of threads is negative.
        """
        with stderr.taken(_log):
            return _load(artifact, settings)


def _load(artifact: Artifact, settings: LoadSettings) -> TensorflowModel:
    found = layout.find(artifact)
    tf, threads = library.tensorflow(settings)
    saved_with = versions.recorded(artifact)
    path = found.path if found.is_keras else found.graph
    with opening.guarded(path, SPEC.libraries[0], plugin=SPEC.name, recorded=saved_with.get("tensorflow")) as warned:
        if found.is_keras:
            opened = kerasfile.open_file(tf, found.path)
        else:
            opened = savedmodel.open_folder(tf, found, settings.unpickling)
    return TensorflowModel(
        opened,
        signature=str(settings.options.get("signature", "")),
        properties={
            "device": library.device(tf),
            **({"version": found.version} if found.version else {}),
        },
        saved_with=saved_with,
        notes=[*threads, *opened.notes, *warned],
    )
