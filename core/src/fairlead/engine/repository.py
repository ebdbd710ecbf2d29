"""A folder of models: each folder below it is a model of that name, as KServe's and Triton's repositories have it."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.engine.registry import ModelSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.contracts.runtime import SettingValue

__all__ = ["NAME", "Listing", "Repository"]

NAME: Final = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]+")
"""Names that a route can hold; paths of dots alone are resolved by clients before they ask."""

_HIDDEN: Final = (".", "_")


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """What is at the top level of a folder, read once: on a network's file system each look costs.

    Attributes:
        files: names of files, sorted.
        folders: names of folders, sorted.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> Listing:
        """Read a folder, without what begins with a dot."""
        with os.scandir(folder) as found:
            entries = sorted((entry.name, entry.is_dir()) for entry in found if not entry.name.startswith("."))
        return cls(
            tuple(name for name, is_folder in entries if not is_folder),
            tuple(name for name, is_folder in entries if is_folder),
        )

    def holds(self, patterns: Sequence[str]) -> bool:
        """Whether a name matches one of these patterns; see `RuntimeSpec.artifacts`."""
        return any(
            fnmatch.fnmatchcase(name, pattern.rstrip("/"))
            for pattern in patterns
            for name in (self.folders if pattern.endswith("/") else self.files)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Repository:
    """A folder of models.

    Attributes:
        root: the folder.
        model_format: the format of all its models; None to guess for each.
        options: runtime settings for all its models.
    """

    root: Path
    model_format: str | None = None
    options: Mapping[str, SettingValue] = dataclasses.field(default_factory=dict)

    def sources(self, listing: Listing | None = None) -> tuple[ModelSource, ...]:
        """The models that are there now, by name.

        Args:
            listing: what is in the folder; read now by default.
        """
        folders = (Listing.of(self.root) if listing is None else listing).folders
        return tuple(self._source(name) for name in folders if _is_model(name))

    def unservable(self, listing: Listing | None = None) -> tuple[str, ...]:
        """Folders that would be models, and have names that no route can hold."""
        folders = (Listing.of(self.root) if listing is None else listing).folders
        return tuple(name for name in folders if not name.startswith(_HIDDEN) and not NAME.fullmatch(name))

    def source(self, name: str) -> ModelSource:
        """The model of that name; looks at its folder alone, however many there are.

        Raises:
            ModelNotFound: there is no such folder; a name is never a path.
        """
        if not _is_model(name) or not (self.root / name).is_dir():
            raise errors.ModelNotFound(name)
        return self._source(name)

    def _source(self, name: str) -> ModelSource:
        return ModelSource(name=name, uri=str(self.root / name), model_format=self.model_format, options=self.options)


def _is_model(name: str) -> bool:
    return not name.startswith(_HIDDEN) and NAME.fullmatch(name) is not None
