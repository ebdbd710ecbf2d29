"""The scikit-learn version that a file was saved with, read without loading the file.

Every estimator of scikit-learn writes its library's version under ``_sklearn_version`` into its state, so the bytes
of a pickle or of a skops schema hold the key, and the version shortly after it.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.runtimes import pickles
from fairlead_runtime_sklearn._plugin import SPEC

if TYPE_CHECKING:
    from fairlead import Artifact

__all__ = ["recorded", "saved_with"]

_KEY: Final = b"_sklearn_version"


def saved_with(artifact: Artifact) -> Mapping[str, str]:
    """The version of scikit-learn that an artefact was saved with, by distribution name; see `recorded`.

    Empty where it is not known, or where the artefact does not hold exactly one model file.
    """
    found = artifact.matching(SPEC.artifacts)
    version = recorded(found[0]) if len(found) == 1 else None
    return {} if version is None else {SPEC.libraries[0].distribution: version}


def recorded(path: Path) -> str | None:
    """The version that a file was saved with; None when it names none, or is none of the known encodings.

    Args:
        path: a pickle, a joblib file or a skops archive.
    """
    with contextlib.suppress(OSError, EOFError, KeyError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive, archive.open("schema.json") as schema:
                return pickles.search(schema, _KEY)
        return pickles.recorded(path, _KEY)
    return None  # it is damaged, and the error of the load says so
