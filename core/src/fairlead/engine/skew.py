"""Version skew: the versions that an artefact was saved with, against those that are installed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from fairlead.contracts.runtime import Library

__all__ = ["Skew", "find", "unrecorded"]


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


def find(saved_with: Mapping[str, str], libraries: Sequence[Library] = ()) -> tuple[Skew, ...]:
    """The libraries whose versions differ, in the order given.

    Args:
        saved_with: the versions that an artefact records, by distribution.
        libraries: the libraries of its runtime, of which another distribution may be the one that is installed.
    """
    known = {each.distribution: each for each in libraries}
    found = []
    for distribution, version in saved_with.items():
        here = known.get(distribution, Library(distribution, "")).installed()
        if here is None or here[1] != version:
            found.append(Skew(distribution if here is None else here[0], version, None if here is None else here[1]))
    return tuple(found)


def unrecorded(saved_with: Mapping[str, str], libraries: Sequence[Library]) -> tuple[str, ...]:
    """The libraries of a runtime of which an artefact does not say in which version they saved it, a sentence each."""
    names = [each for each in libraries if each.writes and each.distribution not in saved_with]
    return tuple(
        f"The artefact does not record the version of {each.distribution} that saved it; "
        f"{' '.join(here) if (here := each.installed()) else 'none'} is installed."
        for each in names
    )
