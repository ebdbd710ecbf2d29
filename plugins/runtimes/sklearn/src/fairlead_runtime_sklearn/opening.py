"""Opening a model file: through the unpickling policy, with the version it records and the warnings it causes."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import io
import pickle
import threading
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fairlead import UnpicklingPolicy, errors
from fairlead_runtime_sklearn import versions

__all__ = ["Opened", "open_file"]

_LARGEST_SCHEMA: Final = 64 * 1024 * 1024

# Recording warnings changes a list of the whole process, so that one file is opened at a time.
_recording: Final = threading.Lock()


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
    load = _load_skops if path.suffix == ".skops" else _load_pickle
    with _recording, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = load(path, policy)
        except (errors.FairleadError, MemoryError):
            raise
        except Exception as error:
            raise _explained(path, error) from error
    return Opened(estimator=estimator, saved_with=_saved_with(estimator, caught), notes=_notes(caught))


def _load_pickle(path: Path, policy: UnpicklingPolicy) -> Any:
    with policy.open(path) as file:
        import joblib

        return joblib.load(file)


def _load_skops(path: Path, policy: UnpicklingPolicy) -> Any:
    """Load a skops file; types that skops does not trust by itself need the policy's permission."""
    try:
        import skops.io
    except ImportError as error:
        raise errors.ModelLoadError(
            f"{path.name} is a skops file, and skops cannot be imported: {error}.",
            remedy="Try: pip install 'fairlead-runtime-sklearn[skops]'",
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


def _saved_with(estimator: Any, caught: Sequence[warnings.WarningMessage]) -> dict[str, str]:
    import sklearn
    from sklearn.exceptions import InconsistentVersionWarning

    for each in caught:
        if isinstance(each.message, InconsistentVersionWarning):
            version = str(each.message.original_sklearn_version)
            return {"scikit-learn": version} if versions.is_version(version) else {}
    if type(estimator).__module__.split(".")[0] == "sklearn":
        return {"scikit-learn": sklearn.__version__}
    return {}


def _notes(caught: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """Every warning once, without those that `Opened.saved_with` says better."""
    from sklearn.exceptions import InconsistentVersionWarning

    texts = (
        f"Warning at load: {each.message}"
        for each in caught
        if not isinstance(each.message, InconsistentVersionWarning) or not _names_version(each.message)
    )
    return tuple(dict.fromkeys(" ".join(text.split()) for text in texts))


def _names_version(warning: Any) -> bool:
    return versions.is_version(str(warning.original_sklearn_version))


def _explained(path: Path, error: Exception) -> errors.ModelLoadError:
    """The error of a file that does not load, with what to do about it."""
    import sklearn

    if path.stat().st_size == 0:
        return errors.ModelLoadError(f"{path.name} is empty.", remedy="Save the model again, or copy the file again.")
    what = f"{type(error).__name__}: {error}"
    saved = versions.recorded(path)
    if isinstance(error, ModuleNotFoundError) and (missing := _missing_package(error)):
        return errors.ModelLoadError(
            f"{path.name} needs the package {missing!r}, which is not installed ({what}).",
            remedy=f"Install the distribution that provides {missing!r}.",
        )
    if saved is not None and saved != sklearn.__version__:
        return errors.ModelLoadError(
            f"{path.name} was saved with scikit-learn {saved} and does not load with {sklearn.__version__} ({what}).",
            remedy=f"Try: {versions.INSTALL.format(saved)}; or save the model again with {sklearn.__version__}.",
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return errors.ModelLoadError(
            f"{path.name} needs the module {error.name!r}, which the installed {_with_version(package)} does not have.",
            remedy=f"Install the version of {package!r} that the model was saved with.",
        )
    if isinstance(error, AttributeError) and "__main__" in str(error):
        return errors.ModelLoadError(
            f"{path.name} uses a class or function of the script that saved it ({what}).",
            remedy="Move it to a module that is installed here and there, and save the model again.",
        )
    doubt = "; is it a pickle at all?" if _is_no_pickle(error) else "."
    return errors.ModelLoadError(
        f"{path.name} does not load: {what.rstrip('.')}{doubt}", remedy="Check that the file is whole."
    )


def _is_no_pickle(error: Exception) -> bool:
    """Whether the bytes may be no pickle; joblib's reader raises the number of an opcode that it does not know."""
    unknown_opcode = isinstance(error, KeyError) and all(type(each) is int for each in error.args)
    return unknown_opcode or isinstance(error, pickle.UnpicklingError)


def _missing_package(error: ModuleNotFoundError) -> str | None:
    """The top-level package that nothing provides; None for one that is private to a library, such as ``_loss``."""
    package = (error.name or "").partition(".")[0]
    if not package or package.startswith("_") or importlib.util.find_spec(package) is not None:
        return None
    return package


def _with_version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package
