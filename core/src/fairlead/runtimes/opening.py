"""Opening a model file: whatever a load raises becomes one error that says what to do, and warnings become notes."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import pickle
import shlex
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead import errors
from fairlead.runtimes import pickles

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.contracts.runtime import Library
    from fairlead.contracts.unpickling import UnpicklingPolicy

__all__ = ["Recorded", "Takes", "guarded", "unpickle"]

Recorded: TypeAlias = "str | Callable[[], str | None] | None"
"""A version that an artefact records, or what reads it; None where it records none."""

Takes: TypeAlias = "Callable[[Warning], bool]"
"""Looks at a warning; whether it needs no note, because the runtime says the same in another way."""

_LONGEST: Final = 2000
"""Characters of a library's error that are shown; some print whole graphs."""

# Recording warnings changes a list of the whole process, so that one model is opened at a time. A runtime that hands a
# part of its artefact to another opens it in the same thread.
_recording: Final = threading.RLock()


@contextlib.contextmanager
def guarded(
    path: Path,
    library: Library,
    *,
    plugin: str,
    recorded: Recorded = None,
    takes: Takes = lambda _warning: False,
    extras: Mapping[str, str] | None = None,
) -> Iterator[list[str]]:
    """Explain whatever a load raises, and note what it warns of.

    ::

        with opening.guarded(path, SPEC.libraries[0], plugin=SPEC.name) as notes:
            booster = xgboost.Booster(model_file=path)
        return Model(booster, notes=notes)

    Args:
        path: the file, or the folder, that is opened; messages give its name.
        library: the library that reads it.
        plugin: the name of the runtime, for messages.
        recorded: the version of the library that saved it, where the artefact records one; a function is asked only
            when the load fails.
        takes: which warnings need no note.
        extras: what to install for a package that only some artefacts need, by the name of the package, for example
            ``{"joblib": "fairlead-runtime-lightgbm[estimators]"}``.

    Yields:
        The notes for `Model.notes`, one sentence for each warning. The list is filled as the block ends.

    Raises:
        ModelLoadError: the block raised anything but a `FairleadError` or a `MemoryError`. The text has the name of
            the file, the exception, and what to do: about an empty file, another version of the library, a package or
            a module that is missing, a class of a script, or a file that is damaged.
    """
    notes: list[str] = []
    with _recording, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield notes
        except (errors.FairleadError, MemoryError):
            raise
        except Exception as error:
            raise _explained(path, library, plugin, recorded, extras or {}, error) from error
    notes.extend(_sentences(caught, takes))


def unpickle(path: Path, policy: UnpicklingPolicy) -> Any:
    """The object in a pickle or a joblib file, plain or compressed.

    joblib reads both, and is used where it is installed.

    Args:
        path: the file.
        policy: decides whether it is opened at all.

    Raises:
        UnpicklingRefused: the policy does not permit it; nothing of the file has run.
    """
    with policy.open(path) as file:
        try:
            import joblib
        except ImportError:
            return pickle.load(pickles.expanded(file))  # noqa: S301  # the policy has permitted it
        return joblib.load(file)


def _sentences(caught: Sequence[warnings.WarningMessage], takes: Takes) -> list[str]:
    texts = (
        f"Warning at load: {each.message}"
        for each in caught
        if not (isinstance(each.message, Warning) and takes(each.message))
    )
    return list(dict.fromkeys(" ".join(text.split()) for text in texts))


def _explained(
    path: Path, library: Library, plugin: str, recorded: Recorded, extras: Mapping[str, str], error: Exception
) -> errors.ModelLoadError:
    """The error of an artefact that does not load, with what to do about it."""
    if path.is_file() and path.stat().st_size == 0:
        return errors.ModelLoadError(f"{path.name} is empty.", remedy="Save the model again, or copy the file again.")
    what = _described(error)
    here = library.installed()
    if isinstance(error, ModuleNotFoundError) and (missing := _missing_package(error)):
        if missing == library.module:
            return errors.ModelLoadError(
                f"The runtime {plugin} needs {library.distribution} for {path.name}, which is not installed ({what}).",
                remedy=library.remedy,
            )
        return errors.ModelLoadError(
            f"{path.name} needs the package {missing!r}, which is not installed ({what}).",
            remedy=f"Try: pip install {shlex.quote(extras[missing])}"
            if missing in extras
            else f"Install the distribution that provides {missing!r}.",
        )
    saved = _read(recorded)
    if saved is not None and here is not None and saved != here[1]:
        return errors.ModelLoadError(
            f"{path.name} was saved with {library.distribution} {saved} and does not load with {here[1]} ({what}).",
            remedy=f"Try: pip install {here[0]}=={saved}; or save the model again with {here[1]}.",
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
        f"{path.name} does not load: {what.rstrip('.')}{doubt}",
        remedy=f"Check that the file is whole, and that it is one for the runtime {plugin}.",
    )


def _read(recorded: Recorded) -> str | None:
    """The recorded version; None where it cannot be read, because the error of the load is the one that matters."""
    if not callable(recorded):
        return recorded
    with contextlib.suppress(Exception):
        return recorded()
    return None


def _described(error: Exception) -> str:
    """The exception's type and text, without a stack of native code, and not at any length."""
    text = f"{type(error).__name__}: {error}".partition("\nStack trace:")[0].strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _is_no_pickle(error: Exception) -> bool:
    """Whether the bytes may be no pickle; joblib's reader raises the number of an opcode that it does not know."""
    unknown_opcode = isinstance(error, KeyError) and bool(error.args) and all(type(each) is int for each in error.args)
    return unknown_opcode or isinstance(error, pickle.UnpicklingError)


def _missing_package(error: ModuleNotFoundError) -> str | None:
    """The top-level package that nothing provides; None for one that is private to a library, such as ``_loss``."""
    package = (error.name or "").partition(".")[0]
    if not package or package.startswith("_"):
        return None
    with contextlib.suppress(ValueError):  # a module that was made without a spec is there
        return package if importlib.util.find_spec(package) is None else None
    return None


def _with_version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package
