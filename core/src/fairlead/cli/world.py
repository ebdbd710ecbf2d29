"""The manifests that ``fairlead up`` was given: read anew whenever they change, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.local.watching import SUFFIXES

if TYPE_CHECKING:
    from fairlead.api import Resource
    from fairlead.cli.manifests import Reading

__all__ = ["World"]

_STDIN = "-"


class World:
    """What is declared.

    Args:
        paths: files and folders; ``-`` for standard input, which is read once.
        read: reads files, folders and standard input.
        check: looks for what no object shows alone; gives what users should know, and raises `InvalidManifest`.
        patient: whether a folder may be without manifests at first, because they are followed.

    Attributes:
        resources: what was last declared without a mistake.
        warnings: what users should know of it.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        read: Callable[[Sequence[str]], Reading],
        check: Callable[[Sequence[Resource]], Sequence[str]],
        patient: bool = False,
    ) -> None:
        self._paths = list(paths)
        self._patient = patient
        self._load, self._check = read, check
        self._piped: Reading | None = None
        self._started = False
        self.resources: list[Resource] = []
        self.warnings: list[str] = []

    @property
    def files(self) -> list[Path]:
        """The files and folders, which can change."""
        return [Path(path) for path in self._paths if path != _STDIN]

    def read(self) -> None:
        """Read everything; what was read before stays where anything is wrong.

        A file that was there and is gone declares nothing any more.

        Raises:
            ConfigurationError: something is wrong, or was never there; everything that is wrong is told at once.
        """
        readings = self._readings()
        resources = [resource for each in readings for resource in each.resources]
        problems = [problem for each in readings for problem in each.problems]
        warnings: Sequence[str] = ()
        try:
            warnings = self._check(resources)
        except errors.InvalidManifest as error:
            problems += error.problems
        if problems:
            raise errors.InvalidManifest(*problems)
        self.resources, self.warnings, self._started = resources, list(warnings), True

    def _readings(self) -> list[Reading]:
        paths = [path for path in self._paths if path != _STDIN]
        if self._started:
            paths = [path for path in paths if _declares(Path(path))]
        elif _STDIN in self._paths:
            self._piped = self._load([path for path in self._paths if path == _STDIN])
        if self._patient and not self._started:
            paths = [path for path in paths if not Path(path).is_dir() or _declares(Path(path))]
        found = [self._load(paths)] if paths else []
        return found if self._piped is None else [self._piped, *found]


def _declares(path: Path) -> bool:
    """Whether a path is there, and is no folder that has been emptied."""
    try:
        return any(each.suffix in SUFFIXES for each in path.iterdir()) if path.is_dir() else path.exists()
    except OSError:
        return True  # whoever reads it says why that is not possible
