"""Version skew: the versions that an artefact was saved with, against those that are installed."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Mapping

__all__ = ["Skew", "find"]


@dataclasses.dataclass(frozen=True, slots=True)
class Skew:
    """A library whose installed version is not the one that the artefact was saved with.

    Attributes:
        distribution: the library.
        saved_with: the version that the artefact records.
        installed: the version that is installed; None when it is not.
    """

    distribution: str
    saved_with: str
    installed: str | None

    def __str__(self) -> str:
        installed = f"{self.installed} is installed" if self.installed else "it is not installed"
        return f"the artefact was saved with {self.distribution} {self.saved_with}, and {installed}"

    @property
    def remedy(self) -> str:
        """The command that installs the recorded version."""
        return f"Try: pip install {self.distribution}=={self.saved_with}"


def find(saved_with: Mapping[str, str]) -> tuple[Skew, ...]:
    """The libraries whose versions differ, in the order given."""
    found = []
    for distribution, version in saved_with.items():
        installed = _installed(distribution)
        if installed != version:
            found.append(Skew(distribution, version, installed))
    return tuple(found)


def _installed(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
