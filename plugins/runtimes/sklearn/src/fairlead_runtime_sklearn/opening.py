"""Opening a model file: through the unpickling policy, with the version it records and the warnings it causes."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fairlead import UnpicklingPolicy, errors
from fairlead.runtimes import opening, pickles
from fairlead_runtime_sklearn import anatomy, versions
from fairlead_runtime_sklearn._plugin import SPEC

__all__ = ["Opened", "open_file"]

_LARGEST_SCHEMA: Final = 64 * 1024 * 1024
_SKLEARN: Final = SPEC.libraries[0]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a file held.

    Attributes:
        estimator: the object in it.
        saved_with: the version of scikit-learn that saved it, by distribution name; empty when it is not known.
        notes: warnings of the load, one sentence each.
    """

    estimator: Any
    saved_with: dict[str, str]
    notes: tuple[str, ...]


def open_file(path: Path, policy: UnpicklingPolicy) -> Opened:
    """Load the object in a file.

    Args:
        path: a ``.skops`` file, or one of the pickle formats.
        policy: decides whether a file that can run code is opened at all.

    Raises:
        UnpicklingRefused: the policy does not permit it; nothing of the file has run.
        ModelLoadError: it does not load; the text names the version to install where the file records one.
    """
    versions_warned: list[str] = []

    def takes(warning: Warning) -> bool:
        """Whether it names the version that saved the file, which `Opened.saved_with` says better."""
        from sklearn.exceptions import InconsistentVersionWarning

        if isinstance(warning, InconsistentVersionWarning):
            versions_warned.append(str(warning.original_sklearn_version))
            return pickles.is_version(versions_warned[-1])
        return False

    load = _load_skops if path.suffix == ".skops" else opening.unpickle
    with opening.guarded(
        path, _SKLEARN, plugin=SPEC.name, recorded=lambda: versions.recorded(path), takes=takes
    ) as notes:
        estimator = load(path, policy)
    return Opened(estimator=estimator, saved_with=_saved_with(estimator, versions_warned), notes=tuple(notes))


def _load_skops(path: Path, policy: UnpicklingPolicy) -> Any:
    """Load a skops file; types that skops does not trust by itself need the policy's permission."""
    try:
        import skops.io
    except ImportError as error:
        raise errors.ModelLoadError(
            f"{path.name} is a skops file, and skops cannot be imported: {error}.",
            remedy="Try: pip install skops",
        ) from error
    content = path.read_bytes()
    _check_schema(path, content)
    untrusted = skops.io.get_untrusted_types(data=content)
    if untrusted:
        if not policy.permits(path):
            raise errors.UnpicklingRefused(
                f"{path.name} holds types that skops does not trust ({', '.join(untrusted)}), "
                f"and the unpickling policy is {policy.mode}.",
                remedy="If you trust the file, add its digest to the unpickling policy (sha256sum prints it).",
            )
        with policy.open(path) as file:
            content = file.read()
    return skops.io.loads(content, trusted=untrusted)


def _check_schema(path: Path, content: bytes) -> None:
    """Refuse a file whose schema would expand to more than any estimator needs, before it is expanded.

    Raises:
        ModelLoadError: it would.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = archive.getinfo("schema.json").file_size
    if size > _LARGEST_SCHEMA:
        raise errors.ModelLoadError(
            f"{path.name} has a schema of {size} bytes, and {_LARGEST_SCHEMA} are the most that is read.",
            remedy="Check where the file comes from: skops writes no such schema.",
        )


def _saved_with(estimator: Any, warned: Sequence[str]) -> dict[str, str]:
    """The version that a warning of the load named, else the installed one, for what is scikit-learn's own."""
    import sklearn

    if warned:
        return {_SKLEARN.distribution: warned[0]} if pickles.is_version(warned[0]) else {}
    return {_SKLEARN.distribution: sklearn.__version__} if anatomy.is_sklearn(estimator) else {}
