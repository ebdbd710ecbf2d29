"""The runtime: from a document to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fairlead import Artifact, Library, LoadSettings, Runtime, errors
from fairlead.runtimes import opening
from fairlead_runtime_pmml import document, jvm
from fairlead_runtime_pmml._plugin import SPEC
from fairlead_runtime_pmml.model import PmmlModel

__all__ = ["PmmlRuntime"]

_JPMML: Final = Library("jpmml-evaluator", "jpmml_evaluator")
_LONGEST: Final = 500


class PmmlRuntime(Runtime):
    """Loads documents of PMML."""

    def load(self, artifact: Artifact, settings: LoadSettings) -> PmmlModel:
        """Load the one document at the top level of an artefact.

        Raises:
            ArtifactMissing: there is none.
            ArtifactAmbiguous: there are several.
            ModelLoadError: it does not load, or there is no Java runtime.
        """
        del settings  # no file of this format runs code, and there is nothing to set
        path = artifact.only(SPEC.artifacts)
        document.check(path)
        with opening.guarded(path, _JPMML, plugin=SPEC.name) as notes:
            evaluator = _evaluator(jvm.backend(), path)
            return PmmlModel(evaluator, _values(evaluator), notes)


def _evaluator(backend: Any, path: Path) -> Any:
    import jpype
    from jpmml_evaluator import JavaError, LoadingModelEvaluatorBuilder

    try:
        return LoadingModelEvaluatorBuilder(backend).loadFile(str(path)).build().verify()
    except (JavaError, jpype.JException) as error:
        text = " ".join(str(error).split())[:_LONGEST]
        raise errors.ModelLoadError(
            f"{path.name} does not load: {text}.", remedy="Check that it is PMML 3 or 4, with a model that can score."
        ) from error


def _values(evaluator: Any) -> dict[str, Any]:
    """For each input field for which the document lists valid values, the first of them."""
    found = {}
    for field in evaluator.getInputFields():
        valid = [str(value.requireValue()) for value in field.javaModelField.getField().getValues() if _is_valid(value)]
        if valid and field.getDataType() == "string":
            found[field.getName()] = valid[0]
    return found


def _is_valid(value: Any) -> bool:
    return str(value.getProperty().value()) == "valid"
