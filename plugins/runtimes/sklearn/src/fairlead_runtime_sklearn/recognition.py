"""Whether a file whose name several runtimes take holds a model of scikit-learn's."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Final

from fairlead.runtimes import pickles
from fairlead_runtime_sklearn._plugin import SPEC

if TYPE_CHECKING:
    from fairlead import Artifact

__all__ = ["recognises"]

_OTHERS: Final = frozenset(["catboost", "lightgbm", "xgboost"])
"""Their estimators are like scikit-learn's, and each has a runtime of its own."""


def recognises(artifact: Artifact) -> bool | None:
    """Whether an artefact holds an estimator of scikit-learn's, or one that is made of some.

    The outermost object decides: a Pipeline that ends in an ``XGBClassifier`` is scikit-learn's, and the classifier by
    itself is not. Nothing of the file is run.

    Returns:
        None where it cannot be told: pickles of classes of a user's own are this runtime's where nobody else claims
        them, and so are those that are damaged, so that the error is about the file.
    """
    found = artifact.matching(SPEC.artifacts)
    if len(found) != 1:
        return None
    if found[0].suffix == ".skops":
        return zipfile.is_zipfile(found[0]) or None
    module = pickles.outermost(found[0])
    package = module and module.partition(".")[0]
    if package in _OTHERS:
        return False
    return package == "sklearn" or "sklearn" in pickles.modules(found[0]) or None
