"""Making a model of an artefact: fetch, choose a runtime, load, and let it answer a sample."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import math
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from fairlead import errors
from fairlead.contracts import deadline
from fairlead.contracts.explainer import ExplainerSpec
from fairlead.contracts.runtime import CONFIG_FILE, Artifact, AsyncModel, Delegate, LoadSettings, parse_bool
from fairlead.engine import explaining, failure, memory, modelconfig, selection, skew
from fairlead.engine.explained import is_explained
from fairlead.engine.modelconfig import ModelConfig
from fairlead.engine.scale import Scale
from fairlead.engine.serving import is_model, unload
from fairlead.plugins import Kind

if TYPE_CHECKING:
    from fairlead.contracts.runtime import AnyModel, Model, Runtime, RuntimeSpec, Setting, SettingValue
    from fairlead.contracts.tensors import InferRequest, InferResponse
    from fairlead.engine.explaining import ExplainerSource
    from fairlead.engine.memory import Files
    from fairlead.engine.registry import ModelSource
    from fairlead.engine.thread import ModelThread
    from fairlead.plugins import Plugins
    from fairlead.settings import ServerSettings

__all__ = ["Early", "Fetch", "Loaded", "Loader", "Prepared", "complete"]

Early: TypeAlias = "Callable[[Collection[str]], bool]"
"""Whether to return an artefact with files of these names while they arrive."""


class Fetch(Protocol):
    """Brings an artefact onto this machine; called in the thread of the model. `Fetcher.fetch` is one."""

    def __call__(self, uri: str, *, early: Early | None = None) -> Artifact:
        """The artefact at an address, whole unless ``early`` says otherwise."""


_log = logging.getLogger("fairlead.models")

_NO_FILES: Final = Artifact(path=Path(), uri="")
"""The artefact of a component that asks a predictor."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A model whose files are here, and which has not been loaded.

    Attributes:
        source: where it comes from.
        artifact: its files.
        config: what is set for it alone.
        files: how the files are now.
        choice: the runtime, where it was chosen before the files were here: they may still arrive.
    """

    source: ModelSource
    artifact: Artifact
    config: ModelConfig
    files: Files
    choice: selection.Choice | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that has answered its samples.

    Attributes:
        model: the model.
        notes: what a user should know.
        asides: what a user may want to know, and cannot change.
        size: bytes of memory that it takes, as far as was seen.
    """

    model: AnyModel
    notes: Sequence[str]
    asides: Sequence[str]
    size: int


class Loader:
    """Makes models of artefacts, each in a thread of its own.

    Args:
        plugins: where runtimes come from.
        fetch: brings artefacts onto this machine.
        settings: the server's settings.
        environ: where runtimes' settings are looked for when they are not given; by default the process's own.
    """

    def __init__(
        self, plugins: Plugins, fetch: Fetch, settings: ServerSettings, environ: Mapping[str, str] | None = None
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._plugins = plugins
        self._fetch = fetch
        self._settings = settings
        # Memory can be told apart only when one model loads at a time.
        self._one_at_a_time = asyncio.Lock() if settings.model_memory_budget else None
        self._under_way = 0
        self._begun = 0

    async def prepare(self, source: ModelSource, thread: ModelThread, *, early: bool = True) -> Prepared:
        """Bring a model's files here, and read what is set for it.

        Args:
            source: where it comes from.
            thread: the thread of the model.
            early: whether the files may still arrive, where the runtime wants that. They do not while models are loaded
                one at a time, since all others would wait for them; and not with a file that may name another runtime.

        Raises:
            StorageError: they cannot be had.
            ConfigurationError: what is set for it is wrong.
        """
        chosen: list[selection.Choice] = []

        def reads_early(names: Collection[str]) -> bool:
            choice = selection.by_names(names, self._plugins.runtimes(), source.model_format)
            if choice is None or not choice.spec.reads_early or CONFIG_FILE in names:
                return False
            chosen.append(choice)
            return True

        def work() -> Prepared:
            if source.make is not None:
                return Prepared(source=source, artifact=_NO_FILES, config=ModelConfig(), files=memory.Files(0, 0, 0))
            artifact = self._fetch(source.uri, early=reads_early if early and self._one_at_a_time is None else None)
            if chosen:
                files = memory.Files.announced(artifact.sizes().values())
                return Prepared(source=source, artifact=artifact, config=ModelConfig(), files=files, choice=chosen[0])
            # Read before the files are loaded: what is written from now on makes them other files.
            files = memory.Files.of(artifact.path)
            return Prepared(source=source, artifact=artifact, config=modelconfig.read(artifact.path), files=files)

        # In the model's own thread, a daemon: a download that stalls must not keep the process alive.
        return await thread.run(work)

    async def load(self, prepared: Prepared, thread: ModelThread) -> Loaded:
        """Load a model and let it answer its samples.

        Raises:
            Exception: whatever the runtime or the model raises.
        """
        name, make = prepared.source.name, prepared.source.make
        runtimes = self._plugins.runtimes()
        unusable = {info.name: info.error for info in self._plugins.infos(Kind.RUNTIME) if info.error is not None}
        model_format = prepared.config.model_format or prepared.source.model_format
        if make is not None:
            choice = selection.Choice(explaining.COMPONENT, "because no model is given")
        elif prepared.choice is not None:
            choice = prepared.choice
        else:
            choice = selection.choose(prepared.artifact, runtimes, model_format, unusable, self._plugins.recognises)
        how = ", while its files arrive" if prepared.choice is not None else ""
        _log.info("model %s: runtime %s, %s%s", name, choice.spec.name, choice.reason, how, extra={"model": name})
        given = {**prepared.source.options, **prepared.config.options}
        load = LoadSettings(
            model_name=name,
            unpickling=self._settings.unpickling,
            options=complete(choice.spec, given, self._environ, runtimes.values()),
            delegates={other: self._delegate(name, spec) for other, spec in runtimes.items() if spec != choice.spec},
        )
        runtime: Runtime = explaining.Component(make) if make else self._plugins.factory(Kind.RUNTIME, choice.spec)()
        if prepared.source.explainer is not None:
            runtime = self._explained(runtime, prepared.source.explainer, name, thread, beside=make is None)
        async with self._weighed(prepared) as scale:
            await thread.run(lambda: scale.begin(choice.spec))
            model, notes = await self._answering(runtime, choice.spec, prepared.artifact, load, thread)
            asides = skew.unrecorded(model.saved_with, choice.spec.libraries)
            return Loaded(model=model, notes=notes, asides=asides, size=await thread.run(scale.end))

    def _delegate(self, name: str, spec: RuntimeSpec) -> Delegate:
        def load(artifact: Artifact, given: Mapping[str, SettingValue]) -> AnyModel:
            options = complete(spec, given, self._environ)
            runtime: Runtime = self._plugins.factory(Kind.RUNTIME, spec)()
            return runtime.load(
                artifact, LoadSettings(model_name=name, unpickling=self._settings.unpickling, options=options)
            )

        return Delegate(spec=spec, load=load)

    def _explained(
        self, runtime: Runtime, source: ExplainerSource, name: str, thread: ModelThread, *, beside: bool
    ) -> Runtime:
        """A runtime that loads an explainer with each model."""
        spec = next(
            each for each in self._plugins.specs(Kind.EXPLAINER, source.name) if isinstance(each, ExplainerSpec)
        )
        _log.info("model %s: explainer %s", name, spec.name, extra={"model": name})
        options = complete(spec, source.options, self._environ)
        return explaining.Explained(
            runtime,
            self._plugins.factory(Kind.EXPLAINER, spec)(),
            spec,
            LoadSettings(model_name=name, unpickling=self._settings.unpickling, options=options),
            lambda: None if source.uri is None else self._fetch(source.uri),
            thread,
            max_calls=self._settings.explain_max_calls,
            beside=beside,
        )

    @contextlib.asynccontextmanager
    async def _weighed(self, prepared: Prepared) -> AsyncIterator[Scale]:
        async with self._one_at_a_time or contextlib.nullcontext():
            self._under_way += 1
            self._begun += 1
            begun, alone = self._begun, self._under_way == 1
            try:
                yield Scale(prepared, self._settings.model_memory_budget, lambda: alone and self._begun == begun)
            finally:
                self._under_way -= 1

    async def _answering(
        self, runtime: Runtime, spec: RuntimeSpec, artifact: Artifact, load: LoadSettings, thread: ModelThread
    ) -> tuple[AnyModel, Sequence[str]]:
        made: list[AnyModel] = []

        def work() -> AnyModel:
            try:
                model = runtime.load(artifact, load)
            except Exception:
                artifact.wait()  # if the files cannot be had, or are not what they should be, that is the reason
                raise
            if not is_model(model):
                raise errors.ModelLoadError(f"The runtime returned {type(model).__name__}, not a model.")
            made.append(model)
            artifact.wait()
            return model

        def clean() -> None:
            for model in made:
                unload(load.model_name, model)

        try:
            model = await thread.run(work)
            skews = skew.find(model.saved_with, spec.libraries)
            notes = await self._answer_samples(load.model_name, model, thread, skews)
        except BaseException:
            thread.submit(clean)  # also of a load that nobody waits for any more, once it ends
            raise
        return model, [*model.notes, *notes]

    async def _answer_samples(
        self, name: str, model: AnyModel, thread: ModelThread, skews: Sequence[skew.Skew]
    ) -> Sequence[str]:
        """Let the model answer its samples; returns what a user should know.

        A sample is made up from metadata, so a model may refuse it as wrong input without being broken: that is a
        note, unless the versions differ too.

        Raises:
            SampleFailed: it does not answer one.
        """
        samples = await thread.run(model.samples)
        if not samples:
            untried = f"{model.untried}, so that Ready means only that it has loaded."
            return [*(f"Version skew: {each}." for each in skews), untried]
        notes = [f"Version skew: {each}; it answers a sample all the same." for each in skews]
        answered = []
        for sample in samples:
            request = dataclasses.replace(sample, model_name=name)
            try:
                await self._ask(model, thread, request)
                answered.append(request)
            except Exception as error:
                if isinstance(error, errors.InvalidInput) and not skews:
                    notes.append(f"A sample made from its metadata was refused: {error}")
                    continue
                asked = " ".join(f"{key}={value}" for key, value in request.parameters.items())
                reason = f"The model loads, but does not answer a sample{f' ({asked})' if asked else ''}: "
                reason += f"{type(error).__name__}: {failure.text_of(error)}{failure.place_of(error)}."
                if skews:
                    reason += f" Note that {' and '.join(map(str, skews))}."
                remedy = skews[0].remedy if skews else None
                raise errors.SampleFailed(reason, remedy=remedy) from error
        if is_explained(model):
            if answered:
                await self._explain_sample(answered[0], model, thread)
            else:
                notes.append("Its explainer has explained no sample, because the model answered none.")
        return notes

    async def _explain_sample(self, sample: InferRequest, model: AnyModel, thread: ModelThread) -> None:
        """Let the explainer of a model explain a sample that the model has answered.

        Raises:
            SampleFailed: it does not; one that refuses what the model itself takes does not fit the model.
        """
        try:
            await self._ask(model, thread, sample, explain=True)
        except errors.InvalidInput as error:
            raise errors.SampleFailed(
                f"The explainer refuses a sample that the model answers: {error}",
                remedy="Serve the model without it, or with another explainer.",
            ) from error
        except Exception as error:
            reason = f"{type(error).__name__}: {failure.text_of(error)}{failure.place_of(error)}"
            raise errors.SampleFailed(f"The explainer does not explain a sample: {reason}.") from error

    async def _ask(self, model: AnyModel, thread: ModelThread, request: InferRequest, *, explain: bool = False) -> None:
        seconds = self._settings.sample_timeout
        if isinstance(model, AsyncModel):
            answered = failure.contained((model.explain if explain else model.predict)(request))
        elif explain:
            answered = thread.run(lambda: _explained_within(seconds, model, request))
        else:
            answered = thread.run(lambda: model.predict(request))
        await failure.within(seconds, answered, f"no answer within {seconds:g} seconds")


def _explained_within(seconds: float, model: Model, request: InferRequest) -> InferResponse:
    with deadline.watched(seconds or math.inf, lambda: False):
        return model.explain(request)


def complete(
    spec: RuntimeSpec | ExplainerSpec,
    given: Mapping[str, SettingValue],
    environ: Mapping[str, str],
    others: Iterable[RuntimeSpec] = (),
) -> dict[str, SettingValue]:
    """A runtime's or an explainer's settings: what was given, else what the environment says, else the defaults.

    Raises:
        ConfigurationError: the runtime has no such setting, or the value is not one that it takes.
    """
    known = {setting.name: setting for setting in spec.settings}
    for name in given:
        if name not in known:
            names = ", ".join(known) or "none"
            owners = [other.name for other in others if any(setting.name == name for setting in other.settings)]
            raise errors.ConfigurationError(
                f"{_kind_of(spec).capitalize()} {spec.name} has no setting {name!r} (it has: {names}).",
                remedy=f"It is a setting of the runtime {', '.join(owners)}." if owners else None,
            )
    return {
        name: setting.parse(str(given[name])) if name in given else _from_environment(setting, environ)
        for name, setting in known.items()
    }


def _kind_of(spec: RuntimeSpec | ExplainerSpec) -> str:
    return "explainer" if isinstance(spec, ExplainerSpec) else "runtime"


def _from_environment(setting: Setting, environ: Mapping[str, str]) -> SettingValue:
    for meaning in setting.env:
        variable, _, value = meaning.partition("=")
        text = environ.get(variable)
        if text is None:
            continue
        if not value:
            return setting.parse(text)
        try:
            if parse_bool(text):
                return setting.parse(value)
        except ValueError as error:
            raise errors.ConfigurationError(f"{variable}: {error}.") from error
    return setting.default
