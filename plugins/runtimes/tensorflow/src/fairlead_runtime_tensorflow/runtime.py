"""The runtime: from an artefact to a model."""

from __future__ import annotations

from fairlead import Artifact, LoadSettings, Runtime
from fairlead.runtimes import opening
from fairlead_runtime_tensorflow import kerasfile, layout, library, savedmodel, versions
from fairlead_runtime_tensorflow._plugin import SPEC
from fairlead_runtime_tensorflow.model import TensorflowModel

__all__ = ["TensorflowRuntime"]


class TensorflowRuntime(Runtime):
    """Loads SavedModels and Keras archives."""

    def load(self, artifact: Artifact, settings: LoadSettings) -> TensorflowModel:
        """Load the one model of an artefact.

        Raises:
            ArtifactMissing: there is none.
            ArtifactAmbiguous: there are several.
            UnpicklingRefused: its graph can reach files, the network or Python, and the policy does not permit that.
            ModelLoadError: it does not load, or has nothing that can be served; or TensorFlow is not installed.
            ConfigurationError: the number of threads is negative.
        """
        found = layout.find(artifact)
        tf, threads = library.tensorflow(settings)
        saved_with = versions.recorded(artifact)
        path = found.path if found.is_keras else found.graph
        with opening.guarded(
            path, SPEC.libraries[0], plugin=SPEC.name, recorded=saved_with.get("tensorflow")
        ) as warned:
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
