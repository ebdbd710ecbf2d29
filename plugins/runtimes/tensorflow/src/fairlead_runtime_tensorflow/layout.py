"""Where the model lies in an artefact: at the top level, or in a folder named by its version."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from fairlead import Artifact, errors

__all__ = ["Found", "find", "recognises"]

_SAVED_MODEL: Final = "saved_model.pb"
_FILES: Final = (_SAVED_MODEL, "*.keras", "*.h5")
_BEGINNINGS: Final = {".pb": b"\x08\x01\x12", ".keras": b"PK\x03\x04", ".h5": b"\x89HDF\r\n\x1a\n"}
"""By suffix: a SavedModel is of the schema 1 and then has a graph; the others are archives of zip and HDF5."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A model in an artefact.

    Attributes:
        path: the folder of a SavedModel, or the file of a Keras model.
        version: the number of the folder that it lies in; empty where there is none.
    """

    path: Path
    version: str = ""

    @property
    def is_keras(self) -> bool:
        """Whether it is a file that Keras saved."""
        return self.path.suffix == ".keras"

    @property
    def graph(self) -> Path:
        """The graph of a SavedModel."""
        return self.path / _SAVED_MODEL


def find(artifact: Artifact) -> Found:
    """The one model of an artefact.

    It lies at the top level; or, as TensorFlow Serving has it, in folders whose names are numbers, of which the highest
    is the one.

    Raises:
        ArtifactMissing: there is none.
        ArtifactAmbiguous: there are several.
        ModelLoadError: it is a file of the legacy format HDF5.
    """
    versions = [] if artifact.matching(_FILES) else _versions(artifact)
    if versions:
        return _newest(versions, artifact)
    path = artifact.only(_FILES)
    if path.suffix == ".h5":
        raise errors.ModelLoadError(
            f"{path.name} is of the legacy format HDF5, which is not loaded.",
            remedy='Convert it: keras.models.load_model("model.h5").save("model.keras"), or .export("folder").',
        )
    return Found(path.parent if path.name == _SAVED_MODEL else path)


def recognises(artifact: Artifact) -> bool:
    """Whether an artefact is a model of this runtime, by the first bytes of its files.

    Folders of numbers may be models of any framework.
    """
    files = artifact.matching(_FILES) or [each / _SAVED_MODEL for each in _versions(artifact)]
    return any(_begins_rightly(each) for each in files)


def _begins_rightly(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(_BEGINNINGS[path.suffix])
    except OSError:
        return False


def _versions(artifact: Artifact) -> list[Path]:
    return [each for each in artifact.entries() if each.name.isascii() and each.name.isdigit() and each.is_dir()]


def _newest(versions: list[Path], artifact: Artifact) -> Found:
    highest = max(int(each.name) for each in versions)
    newest = [each for each in versions if int(each.name) == highest]
    if len(newest) > 1:
        raise errors.ArtifactAmbiguous(
            f"Several folders in {artifact.uri} are of version {highest}: {', '.join(each.name for each in newest)}.",
            remedy="Keep one of them.",
        )
    if not (newest[0] / _SAVED_MODEL).is_file():
        raise errors.ArtifactMissing(
            f"There is no {_SAVED_MODEL} in the folder {newest[0].name} of {artifact.uri}, the highest version."
        )
    return Found(newest[0], str(highest))
