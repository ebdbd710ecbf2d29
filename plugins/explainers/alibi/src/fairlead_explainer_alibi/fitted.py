"""Explainers that Alibi has saved: pickles, which are opened through the unpickling policy."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors

if TYPE_CHECKING:
    from fairlead import UnpicklingPolicy
    from fairlead_explainer_alibi.labels import Labels

__all__ = ["FILE", "METHODS", "load"]

FILE: Final = "explainer.dill"
"""The file by which a saved explainer is known."""

METHODS: Final = {"AnchorTabular": "anchor_tabular", "AnchorText": "anchor_text"}
"""The classes that this plugin knows, and the methods that they are."""

_META: Final = "meta.dill"
_PIPELINE: Final = "nlp"

_log = logging.getLogger("fairlead.models")


def load(folder: Path, labels: Labels, policy: UnpicklingPolicy) -> tuple[Any, str]:
    """Load an explainer that `alibi.saving.save_explainer` has saved.

    Args:
        folder: where it is.
        labels: the model as it is to ask it.
        policy: decides whether its pickles may be loaded.

    Returns:
        Alibi's explainer, and the method that it is.

    Raises:
        UnpicklingRefused: the policy does not permit one of its files.
        ModelLoadError: it does not load, or is none of those that explain here.
    """
    with tempfile.TemporaryDirectory(prefix="fairlead-") as temporary:
        # What the policy has read is what Alibi loads: nobody can change it in between.
        copy = Path(temporary)
        for name in (_META, FILE):
            if not (folder / name).is_file():
                raise errors.ModelLoadError(f"A saved explainer has the files {_META} and {FILE}; {name} is missing.")
            with policy.open(folder / name) as source, (copy / name).open("wb") as target:
                shutil.copyfileobj(source, target)
        if (folder / _PIPELINE).is_dir():
            (copy / _PIPELINE).symlink_to((folder / _PIPELINE).absolute(), target_is_directory=True)
        explainer = _loaded(copy, labels)
    name = type(explainer).__name__
    if name not in METHODS:
        raise errors.ModelLoadError(
            f"The saved explainer is a {name}, and this plugin runs {' and '.join(METHODS)}.",
            remedy="Save one of these, or give reference data.",
        )
    return explainer, METHODS[name]


def _loaded(folder: Path, labels: Labels) -> Any:
    from alibi.saving import load_explainer

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = load_explainer(folder, labels)
        except Exception as error:
            raise errors.ModelLoadError(
                f"The saved explainer does not load: {type(error).__name__}: {error}.",
                remedy="Save it again with alibi 0.9.4, on the same version of Python.",
            ) from error
    for each in dict.fromkeys(str(warning.message) for warning in told):
        _log.warning("%s", each)
    return found
