"""The runtime contract: a framework's wheel describes itself with a `RuntimeSpec` and loads artefacts to models."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import enum
import fnmatch
import importlib.metadata
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

from fairlead import errors
from fairlead.contracts.unpickling import UnpicklingPolicy

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest, InferResponse, TensorSpec

__all__ = [
    "CONFIG_FILE",
    "AnyModel",
    "Artifact",
    "AsyncModel",
    "Capability",
    "Delegate",
    "Library",
    "LoadSettings",
    "Model",
    "ModelFormat",
    "ModelMetadata",
    "Runtime",
    "RuntimeSpec",
    "Setting",
    "SettingValue",
]

CONFIG_FILE: Final = "fairlead.json"
"""The server's own file in a model's folder, which is not one of the model's files."""

SettingValue: TypeAlias = "str | int | float | bool"
"""A value of a runtime's own setting."""


class Capability(enum.StrEnum):
    """What a runtime or a loaded model can do; the core asks for these and never looks for methods."""

    BATCHING = "batching"
    """Rows are independent: requests may be joined along the first axis, and the answer split again."""
    ANY_THREAD = "any_thread"
    """May be called in any thread, one call at a time, and never waits for anything but its own computing.

    A model without it is called in the thread that loaded it. One with it is called where the request is, while its
    calls are short: that saves handing each over.
    """
    COLUMNS = "columns"
    """Takes the named columns of a table, one input per column."""
    JSON = "json"
    """Takes a V1 payload as it is, and not as tensors."""
    EXPLAIN = "explain"
    """Answers `Model.explain`."""
    PREDICT_PROBA = "predict_proba"
    """Can answer class probabilities in place of labels."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelFormat:
    """A model format as ``spec.predictor.model.modelFormat`` and ServingRuntimes name it.

    Attributes:
        name: the format's name, for example ``sklearn``.
        version: the format's version, where it has one.
        auto_select: whether a runtime may be chosen for this format when none is named.
        priority: which runtime is preferred among those that may; the highest wins.
    """

    name: str
    version: str | None = None
    auto_select: bool = True
    priority: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Library:
    """A library whose version decides whether an artefact loads.

    Attributes:
        distribution: its name on the package index, for example ``scikit-learn``.
        module: its import name, for example ``sklearn``.
        alternatives: other distributions of the same module, for example ``tensorflow-cpu`` of ``tensorflow``.
        writes: whether it is what saves artefacts, and not only what loads them: then a version that an artefact does
            not record is told to be unknown.
        reads_older: whether it promises to load what its older versions have saved. `fairlead up` then makes no
            environment with an older version.
        hint: what to install where it is missing, if not the distribution, for example
            ``fairlead-runtime-tensorflow[cpu]``.
    """

    distribution: str
    module: str
    alternatives: tuple[str, ...] = ()
    writes: bool = True
    reads_older: bool = False
    hint: str = ""

    @property
    def remedy(self) -> str:
        """What to do where it is missing, as errors and ``fairlead plugins doctor`` say it."""
        return f"Try: pip install {shlex.quote(self.hint or self.distribution)}"

    def installed(self) -> tuple[str, str] | None:
        """The distribution of the module that is installed, and its version; None where none is."""
        for name in (self.distribution, *self.alternatives):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                return name, importlib.metadata.version(name)
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a runtime's own, given as ``--set name=value``, as a flag, or through the environment.

    Attributes:
        name: its name.
        default: its value when nobody gives one; its type is the setting's type.
        help: one sentence for ``fairlead plugins inspect``.
        choices: the values that are allowed; empty for any.
        flags: command-line flags that mean it, for example ``--nthread``.
        env: environment variables that mean it, as ``NAME`` or, where a set variable stands for one value of the
            setting, ``NAME=value`` (``PREDICT_PROBA=predict_proba``: a true PREDICT_PROBA means ``predict_proba``).
    """

    name: str
    default: SettingValue
    help: str
    choices: tuple[SettingValue, ...] = ()
    flags: tuple[str, ...] = ()
    env: tuple[str, ...] = ()

    def parse(self, text: str) -> SettingValue:
        """Read a value from text.

        Raises:
            ConfigurationError: it has another type, or is not one of the choices.
        """
        value: SettingValue
        try:
            value = parse_bool(text) if isinstance(self.default, bool) else type(self.default)(text)
        except ValueError as error:
            kind = type(self.default).__name__
            raise errors.ConfigurationError(f"setting {self.name}: {text!r} is not of type {kind}.") from error
        if self.choices and value not in self.choices:
            known = ", ".join(str(choice) for choice in self.choices)
            raise errors.ConfigurationError(f"setting {self.name}: {text!r} is not one of {known}.")
        return value


def fits(name: str, patterns: Sequence[str], *, folder: bool) -> bool:
    """Whether the name of a file or a folder matches one of these patterns; see `RuntimeSpec.artifacts`."""
    return any(
        fnmatch.fnmatchcase(name, pattern.rstrip("/")) and folder == pattern.endswith("/") for pattern in patterns
    )


def parse_bool(text: str) -> bool:
    """Read a truth value as KServe's flags spell them: y/yes/t/true/on/1 or n/no/f/false/off/0.

    Raises:
        ValueError: it is none of these.
    """
    word = text.strip().lower()
    if word in ("y", "yes", "t", "true", "on", "1"):
        return True
    if word in ("n", "no", "f", "false", "off", "0"):
        return False
    raise ValueError(f"{text!r} is not a truth value")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSpec:
    """Everything that the core, the laptop and the cluster need to know of a runtime without importing it.

    Attributes:
        name: the runtime's name, equal to the entry point's.
        formats: the model formats that it serves.
        factory: ``"module:Class"`` of its `Runtime`; imported when the first model loads.
        artifacts: file name patterns of what it loads, matched against the top level of an artefact, for example
            ``*.joblib``; a pattern that ends in ``/`` matches a folder.
        protocols: the protocols that its models can be asked by: ``v1``, ``v2``, ``grpc-v2``.
        capabilities: what its models can do; a loaded model narrows this in its metadata.
        libraries: the libraries whose versions decide whether an artefact loads.
        settings: its own settings.
        unpickles: whether any of its artefacts runs code as it loads.
        fork_safe: whether a model that it has loaded answers in copies of the process, made by fork, in another thread
            than the one that loaded it. The runtime then promises that a load leaves behind no thread (none of its own,
            and none of a pool such as OpenMP's), no context of an accelerator, no connection, and no lock that is held.
            The server looks for threads before it forks, and cannot see the rest.
        reads_early: whether it reads with `Artifact.open`, so that a load may begin while files still arrive. It then
            reads what it can in this way before it asks for `Artifact.path`, which waits for the rest.
        aliases: names of other runtimes in whose place it may be taken when a manifest names one, for example
            ``kserve-sklearnserver``; formats still have to fit.
        recorded: ``"module:function"`` of what reads the versions that an artefact was saved with, without loading it
            or the framework: called with an `Artifact`, it returns them by distribution name, and nothing for those
            that it cannot tell. None where there is no such function.
        recognises: ``"module:function"`` of what tells whether an artefact whose names match is this framework's, by a
            look at its bytes that loads neither it nor the framework: called with an `Artifact`, it returns true,
            false, or None where it cannot tell. Needed where frameworks share names, such as ``*.json`` or ``*.pkl``.
            None where the names tell.
        requirements: ``"module:function"`` of what reads the packages that an artefact asks for, as requirement
            specifiers: called with an `Artifact`. Where they are not installed, the model runs in an environment of
            its own. None where artefacts ask for none.
        image: the container image that serves it in a cluster, where one is published.
        args: arguments of that image, beside those that the core adds.
    """

    name: str
    formats: tuple[ModelFormat, ...]
    factory: str
    artifacts: tuple[str, ...]
    protocols: tuple[str, ...] = ("v1", "v2", "grpc-v2")
    capabilities: frozenset[Capability] = frozenset()
    libraries: tuple[Library, ...] = ()
    settings: tuple[Setting, ...] = ()
    unpickles: bool = False
    fork_safe: bool = False
    reads_early: bool = False
    aliases: tuple[str, ...] = ()
    recorded: str | None = None
    recognises: str | None = None
    requirements: str | None = None
    image: str | None = None
    args: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A model's files on this machine.

    They are all here, and verified, unless the runtime's spec says `RuntimeSpec.reads_early`. Then some may still be on
    their way: `sizes` and `open` work meanwhile, and `path`, with everything that is made of it, waits for the rest.

    Attributes:
        path: a file, or a folder of files.
        uri: the address that it came from, for messages.
    """

    path: Path
    uri: str

    def sizes(self) -> Mapping[str, int]:
        """The size in bytes of every file, by its name relative to the folder; of a single file, by its own name."""
        if self.path.is_file():
            return {self.path.name: self.path.stat().st_size}
        files = (Path(folder, name) for folder, _, names in os.walk(self.path) for name in names)
        return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in sorted(files) if file.is_file()}

    def open(self, name: str) -> BinaryIO:
        """Open one of the files for reading; any place of it can be read.

        Of a file that still arrives, a read waits until its bytes are here. They are not verified before the whole is:
        a model that is made of them is not served if that fails. Nothing of them may be run.

        Args:
            name: as in `sizes`.

        Raises:
            ArtifactMissing: there is no such file.
            StorageError: the rest of it cannot be fetched; raised by reads.
        """
        root = self.path.parent if self.path.is_file() else self.path
        own = name == self.path.name if self.path.is_file() else not name.startswith("/")
        if not own or ".." in PurePosixPath(name).parts or not (root / name).is_file():
            raise self.lacks(name)
        return (root / name).open("rb")

    def lacks(self, name: str) -> errors.ArtifactMissing:
        """The error of a file that is not there."""
        return errors.ArtifactMissing(f"There is no file {name} in {self.uri}.")

    def wait(self) -> None:
        """Wait until all files are here and verified.

        Raises:
            StorageError: they cannot be fetched.
        """

    def entries(self) -> tuple[Path, ...]:
        """The files and folders at the top level, sorted; the file itself when the artefact is one.

        Hidden ones are left out, and so is `CONFIG_FILE`.
        """
        if self.path.is_file():
            return (self.path,)
        found = (entry for entry in self.path.iterdir() if not entry.name.startswith("."))
        return tuple(sorted(entry for entry in found if entry.name != CONFIG_FILE))

    def matching(self, patterns: Sequence[str]) -> tuple[Path, ...]:
        """The entries whose names match one of these patterns; see `RuntimeSpec.artifacts`."""
        return tuple(entry for entry in self.entries() if fits(entry.name, patterns, folder=entry.is_dir()))

    def only(self, patterns: Sequence[str]) -> Path:
        """The one file that matches one of these patterns; folders below the top level are not searched.

        Raises:
            ArtifactMissing: none matches.
            ArtifactAmbiguous: more than one does.
        """
        found = self.matching(patterns)
        if len(found) == 1:
            return found[0]
        wanted = ", ".join(patterns)
        if not found:
            names = ", ".join(entry.name for entry in self.entries()[:10]) or "nothing"
            raise errors.ArtifactMissing(f"There is no model file ({wanted}) in {self.uri}; it holds {names}.")
        names = ", ".join(entry.name for entry in found[:10])
        raise errors.ArtifactAmbiguous(
            f"More than one model file is detected in {self.uri}: {names}.",
            remedy="Keep one of them there, or give the path of the file itself.",
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """Another runtime, to which a runtime may hand files: those of its framework inside a folder of another format.

    Attributes:
        spec: what the other runtime says of itself.
        load: loads an artefact with it, under the same name and unpickling policy. Called with the artefact and with
            those of the other runtime's settings that are to be set; the others come from the environment, or have
            their defaults. It raises what `Runtime.load` raises, and a `PluginError` or a `ConfigurationError`.
    """

    spec: RuntimeSpec
    load: Callable[[Artifact, Mapping[str, SettingValue]], AnyModel]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """What a runtime is told when it loads.

    Attributes:
        model_name: the name that the model will be served by.
        unpickling: the policy through which every file that can run code is opened.
        options: the runtime's own settings, complete: defaults are filled in.
        delegates: the other runtimes that can be used here, by name.
    """

    model_name: str
    unpickling: UnpicklingPolicy = dataclasses.field(default_factory=UnpicklingPolicy)
    options: Mapping[str, SettingValue] = dataclasses.field(default_factory=dict)
    delegates: Mapping[str, Delegate] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelMetadata:
    """What a loaded model says of itself.

    Attributes:
        platform: the framework, for example ``sklearn``.
        inputs: its inputs; empty when unknown. For a model of a table these are its columns.
        outputs: its outputs; empty when unknown.
        capabilities: what this model can do.
        properties: what else a client may want to know, as text by name, for example ``{"device": "cuda:0"}``.
    """

    platform: str = ""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    capabilities: frozenset[Capability] = frozenset()
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def supports(self, capability: Capability) -> bool:
        """Whether the model can do this."""
        return capability in self.capabilities


class _LoadedModel(abc.ABC):
    """What every loaded model has, whether it answers in a thread or on the event loop."""

    saved_with: Mapping[str, str] = {}
    """Versions that the artefact was saved with, by distribution name; the core compares them with the installed."""

    untried: str = "No sample could be made from its metadata"
    """Why the model has no samples, where it has none: a warning says so, because Ready then means less."""

    notes: Sequence[str] = ()
    """Findings of the load that a user should see in the model's status, one sentence each."""

    native: Any = None
    """The framework's own object, for explainers that look inside: an estimator, a booster, a module; None for none."""

    features: Sequence[str] = ()
    """The names of the features of a model of rows, in its order; none where it knows of none."""

    @property
    @abc.abstractmethod
    def metadata(self) -> ModelMetadata:
        """What the model says of itself; the same object at each call."""

    def samples(self) -> Sequence[InferRequest]:
        """Requests that the model must answer before it is Ready: one for every method that it exposes.

        The default is one request of zeros made from the metadata, or none when the metadata has no inputs.
        """
        from fairlead.contracts import sampling

        return sampling.from_metadata(self.metadata)

    def device_memory(self) -> int:
        """Bytes that the framework holds on accelerators for this process; asked when the metrics are read.

        Only asked where the metadata's property ``device`` names one. It must not wait for the device.
        """
        return 0

    def unload(self) -> None:  # noqa: B027  # a default that does nothing is what most models want
        """Release what the model holds outside Python's memory.

        Called after the last answer; harmless when repeated.
        """


class Model(_LoadedModel):
    """A loaded model that answers in a thread of its own; calls never overlap."""

    @abc.abstractmethod
    def predict(self, request: InferRequest) -> InferResponse:
        """Answer a request.

        With `Capability.BATCHING` the request may be several clients' rows joined along the first axis; every
        output must then have one row for each row of the input, in the same order.

        What is returned is encoded later: an array that the model writes to again (a buffer that it keeps) must be
        copied, or one client gets the answer of another.

        Raises:
            InvalidInput: the request is wrong; the client is told why.
        """

    def explain(self, request: InferRequest) -> InferResponse:
        """Explain a prediction; only asked with `Capability.EXPLAIN`."""
        raise errors.NotSupported(f"Model with name {request.model_name} does not explain its predictions.")


class AsyncModel(_LoadedModel):
    """A loaded model that answers on the event loop, for those that await something; calls overlap."""

    @abc.abstractmethod
    async def predict(self, request: InferRequest) -> InferResponse:
        """Answer a request; as `Model.predict`, except that requests are never joined."""

    async def explain(self, request: InferRequest) -> InferResponse:
        """Explain a prediction; only asked with `Capability.EXPLAIN`."""
        raise errors.NotSupported(f"Model with name {request.model_name} does not explain its predictions.")


AnyModel: TypeAlias = "Model | AsyncModel"


class Runtime(abc.ABC):
    """Loads artefacts of a framework; made without arguments, once per process."""

    @abc.abstractmethod
    def load(self, artifact: Artifact, settings: LoadSettings) -> AnyModel:
        """Load an artefact; imports the framework here and not before.

        Args:
            artifact: the model's files.
            settings: the name it will have, the policy for files that run code, and the runtime's settings.

        Raises:
            ModelLoadError: the artefact does not become a model, with what to do about it.
        """
