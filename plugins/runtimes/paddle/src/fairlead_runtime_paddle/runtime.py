"""The runtime: from a program and its parameters to a model."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from fairlead import Artifact, LoadSettings, Runtime, errors
from fairlead.runtimes import opening, threads
from fairlead_runtime_paddle import damage, files, program, signals
from fairlead_runtime_paddle._plugin import SPEC
from fairlead_runtime_paddle.model import PaddleModel

__all__ = ["PaddleRuntime"]


class PaddleRuntime(Runtime):
    """Loads what ``paddle.jit.save`` and ``paddle.static.save_inference_model`` write.

    The core imports the libraries of a runtime before it calls `load`, so that the signal handlers are looked at
    here, and it is here that TensorFlow is looked for.

    Raises:
        ModelLoadError: TensorFlow has been imported: PaddlePaddle would end the process.
    """

    def __init__(self) -> None:
        is_imported = "paddle.base" in sys.modules
        if not is_imported and "tensorflow.python" in sys.modules:
            raise errors.ModelLoadError(
                "TensorFlow has been imported in this process, and importing PaddlePaddle after it ends the process.",
                remedy="Serve this model by a server of its own, or load it before the models of TensorFlow.",
            )
        self._handlers = None if is_imported else signals.Handlers()
        # A compiler's cache, which only those who write operators need; it is looked for as PaddlePaddle is imported.
        warnings.filterwarnings("ignore", message="No ccache found", category=UserWarning)

    def load(self, artifact: Artifact, settings: LoadSettings) -> PaddleModel:
        """Load the one program of an artefact with its parameters.

        Raises:
            ArtifactMissing: one of the two files is missing.
            ArtifactAmbiguous: there are several.
            ModelLoadError: they do not load.
            ConfigurationError: the number of threads is negative.
        """
        count = threads.chosen(settings)
        found = files.find(artifact)
        saved_with = files.recorded(artifact)
        library = SPEC.libraries[0]
        recorded = saved_with.get(library.distribution)
        with opening.guarded(found.program, library, plugin=SPEC.name, recorded=recorded):
            inference = self._imported()
            has_tensors_alone = damage.check_program(found.program)
        with opening.guarded(found.parameters, library, plugin=SPEC.name, recorded=recorded):
            if has_tensors_alone:
                damage.check_parameters(found.parameters)
        with opening.guarded(found.program, library, plugin=SPEC.name, recorded=recorded) as notes:
            predictor = _predictor(inference, found, count)
            declared = program.declared(found.program)
        return PaddleModel(predictor, declared, saved_with=saved_with, notes=notes)

    def _imported(self) -> Any:
        try:
            from paddle import inference
        finally:
            if self._handlers is not None:
                self._handlers.restore()
                self._handlers = None
        return inference


def _predictor(inference: Any, found: files.Files, count: int) -> Any:
    config = inference.Config(str(found.program), str(found.parameters))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(count)
    return inference.create_predictor(config)
