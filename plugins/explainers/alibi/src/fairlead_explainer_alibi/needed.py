"""What the files of an explainer ask for: TensorFlow, where they hold a model of Keras. It is no small thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead import Artifact

__all__ = ["KERAS", "OLDEST_KERAS", "PACKAGES", "of_artifact"]

KERAS: Final = ("*.keras",)
"""The files whose gradients explain."""

OLDEST_KERAS: Final = "3.13.2"
"""The first version whose safe mode runs no code of an archive, as far as is known (CVE-2025-1550, CVE-2026-1462)."""

PACKAGES: Final = (f"keras>={OLDEST_KERAS},<4", "tensorflow-cpu>=2.16,<2.22")
"""What computes them, beside the requirements of the plugin's spec."""


def of_artifact(artifact: Artifact) -> Sequence[str]:
    """The packages that an explainer with these files needs, beside those of all."""
    return PACKAGES if artifact.matching(KERAS) else ()
