"""The file ``MLmodel`` of a model's folder: its flavours, its signature, and the versions that it was saved with."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

import yaml
from packaging.version import InvalidVersion, Version

from fairlead import Artifact, Library, errors
from fairlead_runtime_mlflow._plugin import SPEC

__all__ = ["PYFUNC", "MLModel", "read", "recorded", "requirements"]

PYFUNC: Final = "python_function"
"""The flavour that every model has which can be served: how MLflow itself loads it and asks it."""

_LARGEST: Final = 4 * 1024 * 1024
"""Bytes; a signature of ten thousand columns takes one million."""
_DEEPEST: Final = 64
"""Levels of YAML; MLflow writes fewer than ten."""
_LAST: Final = "utc_time_created"
_PINNED: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)")
_MLFLOW: Final = re.compile(r"\Amlflow(?=\s*(?:[=<>!~;]|\Z))")
_PATHS: Final = (
    *("data", "model_path", "code", "model_code_path", "pickled_model", "model_data", "python_model"),
    *("saved_model_dir", "model_binary", "model_config"),
)
"""Members of a flavour that name a file or a folder of the model's own."""

_FLAVOR_LIBRARIES: Final = {
    "catboost": ("catboost_version", Library("catboost", "catboost", reads_older=True)),
    "lightgbm": ("lgb_version", Library("lightgbm", "lightgbm", reads_older=True)),
    "pytorch": ("pytorch_version", Library("torch", "torch")),
    "sklearn": ("sklearn_version", Library("scikit-learn", "sklearn")),
    "tensorflow": ("", Library("tensorflow", "tensorflow", alternatives=("tensorflow-cpu",), reads_older=True)),
    "xgboost": ("xgb_version", Library("xgboost", "xgboost", alternatives=("xgboost-cpu",), reads_older=True)),
}
"""The library of a flavour, and the member of the flavour that records its version."""


@dataclasses.dataclass(frozen=True, slots=True)
class MLModel:
    """What the file says.

    Attributes:
        folder: the model's folder.
        flavors: the ways to load it, by name.
        signature: the members ``inputs``, ``outputs`` and ``params`` of the signature, decoded; empty for none.
        document: the whole file.
    """

    folder: Path
    flavors: Mapping[str, Mapping[str, Any]]
    signature: Mapping[str, Any]
    document: Mapping[str, Any]

    @property
    def pyfunc(self) -> Mapping[str, Any]:
        """The flavour by which MLflow itself serves it."""
        return self.flavors[PYFUNC]

    @property
    def flavor(self) -> str:
        """The flavour of the library that it is of; `PYFUNC` for a model of Python code."""
        loader = str(self.pyfunc.get("loader_module", "")).removeprefix("mlflow.")
        return loader if loader in self.flavors else PYFUNC

    @property
    def has_code(self) -> bool:
        """Whether Python modules came with it."""
        return any(flavor.get("code") or flavor.get("model_code_path") for flavor in self.flavors.values())

    def versions(self) -> dict[str, str]:
        """The versions that it was saved with, by the distribution that is installed, else the usual one."""
        found = {}
        if isinstance(version := self.document.get("mlflow_version"), str):
            found[SPEC.libraries[0].distribution] = version
        pins = dict(_PINNED.findall("\n".join(_lines(self.folder))))
        for name, (member, library) in _FLAVOR_LIBRARIES.items():
            if name in self.flavors:
                names = (library.distribution, *library.alternatives)
                pinned = next((pins[each] for each in names if each in pins), None)
                if version := self.flavors[name].get(member) or pinned:
                    here = library.installed()
                    found[here[0] if here else library.distribution] = str(version)
        return found

    def suspect(self) -> tuple[Library, str | None]:
        """The library whose version may be why it does not load, and the version that it was saved with.

        It is that of its flavour where the versions differ, else MLflow where a newer one saved it: MLflow reads what
        its older versions have saved. The version is None where there is nothing to blame.
        """
        saved = self.versions()
        if self.flavor in _FLAVOR_LIBRARIES:
            _, library = _FLAVOR_LIBRARIES[self.flavor]
            here = library.installed()
            version = saved.get(library.distribution if here is None else here[0])
            if here is None or (version and version != here[1] and not _reads(library, version, here[1])):
                return library, version
        library = SPEC.libraries[0]
        here, version = library.installed(), saved.get(library.distribution)
        is_newer = here is not None and version is not None and _is_older(here[1], version)
        return library, version if is_newer else None


def _reads(library: Library, saved: str, here: str) -> bool:
    return library.reads_older and _is_older(saved, here)


def _is_older(version: str, than: str) -> bool:
    try:
        return Version(version) < Version(than)
    except InvalidVersion:
        return False


def read(artifact: Artifact) -> MLModel:
    """Read the file of an artefact; nothing that it names is opened.

    Raises:
        ArtifactMissing: there is none.
        ModelLoadError: it is no such file, names nothing that can be served, or names a path that leaves its folder.
    """
    path = artifact.only(SPEC.artifacts)
    if path.stat().st_size > _LARGEST:
        raise errors.ModelLoadError(f"{path.name} has more than {_LARGEST} bytes.", remedy="Is it an MLflow model?")
    try:
        document = yaml.load(path.read_bytes(), _Loader)  # noqa: S506  # a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise _malformed(f"it is no YAML: {' '.join(str(error).split())}") from error
    flavors = document.get("flavors") if isinstance(document, dict) else None
    if not isinstance(flavors, dict) or not all(isinstance(each, dict) for each in flavors.values()):
        raise _malformed("it has no flavors")
    if _LAST not in document:
        raise _malformed(f"it breaks off, because it has no {_LAST}, which MLflow always writes, and last")
    if PYFUNC not in flavors:
        raise errors.ModelLoadError(
            f"The MLflow model has the flavors {', '.join(map(str, flavors))}, and not {PYFUNC}, "
            "by which models are served.",
            remedy="Save it with a flavor that MLflow can serve: see 'mlflow models serve'.",
        )
    for name, flavor in flavors.items():
        _check_paths(name, flavor)
    return MLModel(path.parent, flavors, _signature(document.get("signature")), document)


class _Loader(yaml.SafeLoader):
    """Reads what is not nested deeper than Python's stack is."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.YAMLError(f"it is nested deeper than {_DEEPEST} levels")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def recorded(artifact: Artifact) -> Mapping[str, str]:
    """The versions that an artefact was saved with, by distribution; empty where the file cannot be read."""
    try:
        return read(artifact).versions()
    except (errors.ModelLoadError, OSError):
        return {}


def requirements(artifact: Artifact) -> Sequence[str]:
    """The packages that a model of Python code asks for, as its ``requirements.txt`` lists them.

    Where it lists MLflow, ``mlflow-skinny`` of the same version is asked for: it loads models, and is a part of MLflow.
    A model of a library's flavour asks for none here: the versions that it was saved with are compared when it loads,
    and it must answer a sample.
    """
    try:
        model = read(artifact)
    except (errors.ModelLoadError, OSError):
        return ()  # the load says what is wrong
    if model.flavor != PYFUNC and not model.has_code:
        return ()
    return [_MLFLOW.sub("mlflow-skinny", line) for line in _lines(model.folder)]


def _lines(folder: Path) -> list[str]:
    """The specifiers of ``requirements.txt``; options of pip are none."""
    try:
        text = (folder / "requirements.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def _signature(signature: object) -> dict[str, Any]:
    """The members of a signature, each of which is JSON in a string."""
    if signature is None:
        return {}
    if not isinstance(signature, dict):
        raise _malformed("its signature is no object")
    try:
        return {name: json.loads(text) for name, text in signature.items() if text is not None}
    except (ValueError, TypeError, RecursionError) as error:
        raise _malformed(f"its signature cannot be read: {error}") from error


def _check_paths(name: str, flavor: Mapping[str, Any]) -> None:
    """Refuse paths that leave the folder.

    Raises:
        ModelLoadError: there is one.
    """
    named = [flavor.get(member) for member in _PATHS]
    artifacts = flavor.get("artifacts")
    if isinstance(artifacts, dict):
        named += [each.get("path") for each in artifacts.values() if isinstance(each, dict)]
    for path in named:
        if isinstance(path, str) and _leaves(path):
            raise errors.ModelLoadError(
                f"The flavor {name} of the MLflow model names {path!r}, which is outside of the model's folder.",
                remedy="Save the model again; what it needs is then copied into its folder.",
            )


def _leaves(path: str) -> bool:
    forms = (PurePosixPath(path), PureWindowsPath(path))
    return any(form.is_absolute() or form.drive or ".." in form.parts for form in forms)


def _malformed(what: str) -> errors.ModelLoadError:
    return errors.ModelLoadError(
        f"The file MLmodel cannot be used: {what}.", remedy="Check that it is whole, and that MLflow has written it."
    )
