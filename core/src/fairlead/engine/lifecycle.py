"""Loading and unloading models: fetch, choose a runtime, load, answer a sample, and only then Ready."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from fairlead import errors
from fairlead.contracts.runtime import AsyncModel, LoadSettings, parse_bool
from fairlead.engine import failure, selection, skew
from fairlead.engine.registry import ModelState
from fairlead.engine.serving import Serving, is_model, unload
from fairlead.engine.thread import ModelThread
from fairlead.plugins import Kind

if TYPE_CHECKING:
    from fairlead.contracts.runtime import AnyModel, Artifact, Runtime, RuntimeSpec, Setting, SettingValue
    from fairlead.contracts.tensors import InferRequest
    from fairlead.engine.registry import ModelEntry, ModelSource
    from fairlead.plugins import Plugins
    from fairlead.settings import ServerSettings

__all__ = ["Fetch", "Lifecycle"]

Fetch: TypeAlias = "Callable[[str], Artifact]"
"""Brings an artefact onto this machine; called in the thread of the model."""

_log = logging.getLogger("fairlead.models")


class Lifecycle:
    """Loads and unloads models.

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

    async def load(self, entry: ModelEntry) -> None:
        """Load a model, or load it anew: the one that answers goes on until the new one is ready.

        Raises:
            FairleadError: it does not load, or does not answer a sample; the entry's reason says so, and what
                answered before still does.
        """
        async with entry.lock:
            entry.become(ModelState.LOADING)
            thread = ModelThread(f"model-{entry.name}")
            try:
                model, notes = await self._loaded(entry.source, thread)
            except Exception as error:
                thread.close()
                raised = _as_load_error(entry.name, error)
                state = ModelState.READY if entry.serving else ModelState.UNAVAILABLE
                entry.become(state, str(raised))
                raise raised from error
            before = entry.serving
            entry.serving = Serving(entry.name, model, thread, entry.metrics, self._settings)
            entry.become(ModelState.READY, " ".join(notes))
            for note in notes:
                _log.warning("model %s: %s", entry.name, note, extra={"model": entry.name})
            _log.info("model %s is ready", entry.name, extra={"model": entry.name})
            if before is not None:
                await before.finish(self._settings.drain_timeout)

    async def unload(self, entry: ModelEntry) -> None:
        """Take a model out of service; requests in flight are answered first."""
        async with entry.lock:
            serving, entry.serving = entry.serving, None
            if serving is not None:
                entry.become(ModelState.UNLOADING)
                await serving.finish(self._settings.drain_timeout)
            entry.become(ModelState.UNAVAILABLE, "It was unloaded.")
            _log.info("model %s is unloaded", entry.name, extra={"model": entry.name})

    async def _loaded(self, source: ModelSource, thread: ModelThread) -> tuple[AnyModel, Sequence[str]]:
        # In the model's own thread, a daemon: a download that stalls must not keep the process alive.
        artifact = await thread.run(lambda: self._fetch(source.uri))
        runtimes = self._plugins.runtimes()
        unusable = {info.name: info.error for info in self._plugins.infos(Kind.RUNTIME) if info.error is not None}
        choice = selection.choose(artifact, runtimes, source.model_format, unusable)
        _log.info(
            "model %s: runtime %s, %s", source.name, choice.spec.name, choice.reason, extra={"model": source.name}
        )
        load = LoadSettings(
            model_name=source.name,
            unpickling=self._settings.unpickling,
            options=complete(choice.spec, source.options, self._environ),
        )
        runtime: Runtime = self._plugins.factory(Kind.RUNTIME, choice.spec)()
        model = await thread.run(lambda: runtime.load(artifact, load))
        if not is_model(model):
            raise errors.ModelLoadError(f"Runtime {choice.spec.name} returned {type(model).__name__}, not a model.")
        skews = skew.find(model.saved_with)
        try:
            notes = await self._answer_samples(source.name, model, thread, skews)
        except BaseException:
            thread.submit(lambda: unload(source.name, model))
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
            untried = "No sample could be made from its metadata, so that Ready means only that it has loaded."
            return [*(f"Version skew: {each}." for each in skews), untried]
        notes = [f"Version skew: {each}; it answers a sample all the same." for each in skews]
        for sample in samples:
            request = dataclasses.replace(sample, model_name=name)
            try:
                await self._ask(model, thread, request)
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
        return notes

    async def _ask(self, model: AnyModel, thread: ModelThread, request: InferRequest) -> None:
        if isinstance(model, AsyncModel):
            answered = failure.contained(model.predict(request))
        else:
            answered = thread.run(lambda: model.predict(request))
        seconds = self._settings.sample_timeout
        await failure.within(seconds, answered, f"no answer within {seconds:g} seconds")


def complete(
    spec: RuntimeSpec, given: Mapping[str, SettingValue], environ: Mapping[str, str]
) -> dict[str, SettingValue]:
    """A runtime's settings: what was given, else what the environment says, else the defaults.

    Raises:
        ConfigurationError: the runtime has no such setting, or the value is not one that it takes.
    """
    known = {setting.name: setting for setting in spec.settings}
    for name in given:
        if name not in known:
            names = ", ".join(known) or "none"
            raise errors.ConfigurationError(f"Runtime {spec.name} has no setting {name!r} (it has: {names}).")
    return {
        name: setting.parse(str(given[name])) if name in given else _from_environment(setting, environ)
        for name, setting in known.items()
    }


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


def _as_load_error(name: str, error: Exception) -> errors.FairleadError:
    if isinstance(error, errors.FairleadError):
        return error
    what = f"{type(error).__name__}: {failure.text_of(error)}{failure.place_of(error)}"
    return errors.ModelLoadError(f"Model {name} does not load: {what}.")
