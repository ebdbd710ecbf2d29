"""Loading models before there is an engine, in a process that is copied later: each copy's engine finds them loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from fairlead.contracts.runtime import LoadSettings, Runtime
from fairlead.engine import modelconfig, selection
from fairlead.engine.loading import complete
from fairlead.plugins import Kind, Plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fairlead.contracts.runtime import AnyModel, Artifact
    from fairlead.engine.loading import Early, Fetch
    from fairlead.engine.registry import ModelSource
    from fairlead.settings import ServerSettings

__all__ = ["PreloadedPlugins", "Preloading"]


class PreloadedPlugins(Plugins):
    """Plugins whose runtimes return a model that is loaded already, once, and load it anew from then on.

    Attributes:
        models: the models that are loaded, by name.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.models: Final[dict[str, AnyModel]] = {}

    def factory(self, kind: Kind, spec: Any) -> Callable[..., Any]:
        """As `Plugins.factory`."""
        made = super().factory(kind, spec)
        return (lambda: _Returning(made(), self.models)) if kind is Kind.RUNTIME and self.models else made


class Preloading:
    """Loads models for engines that do not exist yet.

    An engine that is made with `plugins` and `fetch` later, here or in a copy of this process, goes through every step
    of a load, samples included, and finds the fetch and the load done.

    Args:
        plugins: where runtimes come from.
        fetch: brings artefacts onto this machine.
        settings: the server's settings.
    """

    def __init__(self, plugins: PreloadedPlugins, fetch: Fetch, settings: ServerSettings) -> None:
        self._plugins: Final = plugins
        self._fetch: Final = fetch
        self._settings: Final = settings
        self._artifacts: dict[str, Artifact] = {}

    @property
    def names(self) -> Sequence[str]:
        """The names of the models that are loaded."""
        return tuple(self._plugins.models)

    def preload(self, source: ModelSource) -> str | None:
        """Load a model in this thread.

        Returns:
            Why it is not loaded, if its runtime does not let it be copied. None otherwise, also if it does not load:
            the engine tries again, and tells.
        """
        if source.explainer is not None:
            return f"the explainer {source.explainer.name} is loaded beside it"
        try:
            artifact = self._fetch(source.uri)
            config = modelconfig.read(artifact.path)
            unusable = {each.name: each.error for each in self._plugins.infos(Kind.RUNTIME) if each.error is not None}
            wanted = config.model_format or source.model_format
            runtimes = self._plugins.runtimes()
            spec = selection.choose(artifact, runtimes, wanted, unusable, self._plugins.recognises).spec
            if not spec.fork_safe:
                return f"runtime {spec.name} does not declare that what it loads can be shared"
            options = complete(spec, {**source.options, **config.options}, os.environ)
            load = LoadSettings(model_name=source.name, unpickling=self._settings.unpickling, options=options)
            runtime: Runtime = self._plugins.factory(Kind.RUNTIME, spec)()
            self._plugins.models[source.name] = runtime.load(artifact, load)
        except Exception:  # noqa: BLE001  # as documented: the same comes again where it can be told well
            return None
        self._artifacts[source.uri] = artifact
        return None

    def fetching(self, fetch: Fetch) -> Fetch:
        """A fetch that begins with what is here already, once each, and goes on with the one that is given."""

        def fetch_once(uri: str, *, early: Early | None = None) -> Artifact:
            found = self._artifacts.pop(uri, None)
            return fetch(uri, early=early) if found is None else found

        return fetch_once


class _Returning(Runtime):
    def __init__(self, runtime: Runtime, models: dict[str, AnyModel]) -> None:
        self._runtime = runtime
        self._models = models

    def load(self, artifact: Artifact, settings: LoadSettings) -> AnyModel:
        found = self._models.pop(settings.model_name, None)
        return self._runtime.load(artifact, settings) if found is None else found
