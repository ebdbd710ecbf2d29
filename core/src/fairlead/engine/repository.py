"""A folder of models: each folder below it is a model of that name, as KServe's and Triton's repositories have it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.engine.registry import ModelSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.contracts.runtime import SettingValue

__all__ = ["Repository"]


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

    def sources(self) -> tuple[ModelSource, ...]:
        """The models that are there now, by name."""
        return tuple(
            self._source(folder)
            for folder in sorted(self.root.iterdir())
            if folder.is_dir() and not folder.name.startswith((".", "_"))
        )

    def source(self, name: str) -> ModelSource:
        """The model of that name.

        Raises:
            ModelNotFound: there is no such folder; a name is never a path.
        """
        for source in self.sources():
            if source.name == name:
                return source
        raise errors.ModelNotFound(name)

    def _source(self, folder: Path) -> ModelSource:
        return ModelSource(name=folder.name, uri=str(folder), model_format=self.model_format, options=self.options)
