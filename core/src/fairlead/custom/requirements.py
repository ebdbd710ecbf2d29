"""The packages that a model in Python asks for: the ``requirements.txt`` in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairlead.runtimes import requirements

if TYPE_CHECKING:
    from fairlead.contracts.runtime import Artifact

__all__ = ["of_artifact"]


def of_artifact(artifact: Artifact) -> Sequence[str]:
    """The requirements of a model's folder; none for a model that is one file, whatever lies beside it.

    Raises:
        ModelLoadError: the file cannot be read, or has more in it than requirements.
    """
    file = artifact.path / requirements.FILE
    return requirements.read(file) if artifact.path.is_dir() and file.is_file() else ()
