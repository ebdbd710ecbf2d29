"""The runtime ``python``: loads a file of Python code that defines a `CustomModel`."""

from __future__ import annotations

import inspect
import json
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

from fairlead import errors
from fairlead.contracts.runtime import AnyModel, Artifact, LoadSettings, Runtime
from fairlead.custom import adapters, hooks
from fairlead.custom.model import CustomModel
from fairlead.custom.pipeline import Pipeline
from fairlead.predictor.client import Predictor
from fairlead.predictor.target import Target, trust
from fairlead.runtimes import requirements
from fairlead.runtimes.source import SourcePackage

__all__ = ["PythonRuntime"]

T = TypeVar("T")

_MODEL_FILE = "model.py"

_ANSWERING = ("predict", "preprocess", "postprocess", "explain")
"""Hooks of which one makes a class a transformer or an explainer, where there is a predictor."""

_OWN = (
    *("class", "options", "predictor_host", "predictor_protocol"),
    *("predictor_use_ssl", "predictor_request_timeout_seconds"),
)
"""Settings of the runtime, which are none of the model's own options."""


class PythonRuntime(Runtime):
    """Makes a served model of an author's class."""

    def load(self, artifact: Artifact, settings: LoadSettings) -> AnyModel:
        """Run the file, make the one model that it defines, and let it load.

        Args:
            artifact: a ``.py`` file; or a folder with one of them at its top level, or with a ``model.py``.
            settings: with the options ``class`` and ``options``; further options are handed to the model.

        Raises:
            ModelLoadError: the file or the model raises, or does not define one model; with file and line.
            UnpicklingRefused: the policy does not permit to run the file.
        """
        file = _file_of(artifact)
        package = SourcePackage(file, settings.unpickling)
        module = _guarded(package.load, file, f"{file.name} cannot be imported")
        try:
            return self._adapted(module, file, settings, package.forget)
        except BaseException:
            package.forget()
            raise

    def _adapted(self, module: ModuleType, file: Path, settings: LoadSettings, forget: Callable[[], None]) -> AnyModel:
        predictor = _predictor_of(settings)
        found = _class_of(
            module, file, str(settings.options.get("class", "")), _ANSWERING if predictor else ("predict",)
        )
        options = _options_of(settings)
        model = _guarded(found, file, f"{found.__name__}() cannot be made")
        model.name = settings.model_name
        model.artifact = file.parent
        model.options = options
        if predictor is not None:
            model.predictor = predictor
        _guarded(lambda: adapters.run_hook(model.load), file, f"{found.__name__}.load failed")
        pipeline = Pipeline(model, predictor)

        def leave() -> None:
            if predictor is not None:
                predictor.close()
            forget()

        return (adapters.AsyncAdapter if pipeline.awaits else adapters.SyncAdapter)(pipeline, leave)


def _file_of(artifact: Artifact) -> Path:
    files = artifact.matching(("*.py",))
    named = [file for file in files if file.name == _MODEL_FILE]
    return (named[0] if named else artifact.only(("*.py",))).absolute()


def _class_of(module: ModuleType, file: Path, wanted: str, answering: tuple[str, ...]) -> type[CustomModel]:
    """The class to serve: the one that the option names, else the one that the file defines.

    Raises:
        ModelLoadError: there is none, or more than one.
    """
    known: dict[str, type[CustomModel]] = {
        name: value for name, value in vars(module).items() if _is_model_class(value)
    }
    if wanted:
        if wanted in known:
            return known[wanted]
        names = ", ".join(known) or "none"
        raise errors.ModelLoadError(f"{file} has no CustomModel subclass {wanted!r} (it has: {names}).")
    own = {value.__name__: value for value in known.values() if value.__module__ == module.__name__}
    # A class without any of the hooks that answer is a base of others.
    complete = {
        name: value for name, value in own.items() if any(hooks.defines(value, each) for each in answering)
    } or own
    if len(complete) == 1:
        return next(iter(complete.values()))
    if complete:
        raise errors.ModelLoadError(
            f"{file} defines several CustomModel subclasses: {', '.join(complete)}.",
            remedy=f"Choose one with the option class, for example --set class={next(iter(complete))}.",
        )
    raise errors.ModelLoadError(
        f"{file} defines no subclass of fairlead.CustomModel.",
        remedy="Define one with a method predict, or name an imported one with the option class.",
    )


def _is_model_class(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, CustomModel) and value is not CustomModel


def _predictor_of(settings: LoadSettings) -> Predictor | None:
    """Who is asked by a transformer or an explainer; None where there is nobody.

    Raises:
        ConfigurationError: the address is none, or the certificates that are trusted cannot be read.
    """
    options = settings.options
    host = str(options.get("predictor_host", ""))
    if not host:
        return None
    target = Target.parse(
        host,
        protocol=str(options.get("predictor_protocol", "v1")),
        tls=bool(options.get("predictor_use_ssl", False)),
        timeout=float(options.get("predictor_request_timeout_seconds", 600)),
    )
    if target.tls:
        trust()  # what is wrong with it is told now
    return Predictor(target, settings.model_name)


def _options_of(settings: LoadSettings) -> Mapping[str, Any]:
    """The model's own options: those that are not the runtime's, and the JSON object in ``options``."""
    own = {name: value for name, value in settings.options.items() if name not in _OWN}
    text = str(settings.options.get("options", ""))
    try:
        given = json.loads(text) if text else {}
    except ValueError as error:
        raise errors.ConfigurationError(f"setting options: {text!r} is not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise errors.ConfigurationError(f"setting options: {text!r} is not a JSON object.")
    return MappingProxyType(own | given)


def _guarded(call: Callable[[], T], file: Path, subject: str) -> T:
    """Run an author's code while the model loads; whatever it raises is the reason for which it did not.

    Raises:
        ModelLoadError: with the place in the author's files and the exception.
    """
    try:
        return call()
    except (errors.FairleadError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # sys.exit() at import must not end the server
        raise errors.ModelLoadError(
            f"{subject}: {type(error).__name__}: {_text_of(error)} ({_place_of(error, file)}).",
            remedy=_remedy(error, file),
        ) from error


def _text_of(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)


def _place_of(error: BaseException, file: Path) -> str:
    """The last line of the author's own files that was reached."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_absolute()]
    own = [frame for frame in frames if file.parent in Path(frame.filename).parents]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(file)


def _remedy(error: BaseException, file: Path) -> str | None:
    """What to do about a module that is not found: ModuleNotFoundError, or KeyError by the unpickler in C."""
    if isinstance(error, ModuleNotFoundError):
        missing = error.name or ""
    else:
        missing = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    top = missing.partition(".")[0]
    beside = (file.parent / f"{top}.py", file.parent / top / "__init__.py")
    if top.isidentifier() and any(path.is_file() for path in beside):
        return (
            f"{top} lies beside the model, where only import statements find it. For a pickle that names it, write in "
            f"{file.name}: import sys, {top}; sys.modules[{top!r}] = {top}"
        )
    if isinstance(error, ModuleNotFoundError):
        named = file.parent / requirements.FILE
        wanted = f"what {named} asks for" if named.is_file() else f"what provides {top}"
        return f"Install {wanted} in the environment of the server."
    return None
