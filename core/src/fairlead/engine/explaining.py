"""Loading a model with an explainer, or an explainer alone as a component that asks a predictor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.runtime import AsyncModel, Capability, Runtime, RuntimeSpec
from fairlead.engine import failure
from fairlead.engine.explained import AsyncExplainedModel, ExplainedModel
from fairlead.engine.explanation import Explanations
from fairlead.engine.serving import is_model

if TYPE_CHECKING:
    from fairlead.contracts.explainer import Explainer, ExplainerSpec
    from fairlead.contracts.runtime import AnyModel, Artifact, LoadSettings, SettingValue
    from fairlead.engine.thread import ModelThread

__all__ = ["COMPONENT", "Component", "Explained", "ExplainerSource"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExplainerSource:
    """The explainer of a model.

    Attributes:
        name: the explainer's name, that of its plugin.
        uri: the address of its own files; None for none.
        options: its settings, as they were given.
    """

    name: str
    uri: str | None = None
    options: Mapping[str, SettingValue] = dataclasses.field(default_factory=dict)


COMPONENT: Final = RuntimeSpec(name="predictor", formats=(), factory="", artifacts=())
"""What stands for a runtime where an explainer is a component of its own, and nothing is loaded."""


class Component(Runtime):
    """Makes the model of a component: what asks the predictor.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], AsyncModel]) -> None:
        self._make = make

    def load(self, artifact: Artifact, settings: LoadSettings) -> AnyModel:  # noqa: ARG002  # there is nothing to load
        """Make it."""
        return self._make()


class Explained(Runtime):
    """Loads what another runtime loads, and an explainer with it.

    Args:
        runtime: the runtime of the model.
        explainer: the explainer, not loaded.
        spec: its spec.
        settings: what it is told.
        artifact: brings its own files here; None where there are none.
        thread: the thread of the model.
        max_calls: calls of the model that one explanation may cause; 0 for any number.
        beside: whether the model is in this process, so that the explainer may look at it.

    Raises:
        ConfigurationError: the explainer cannot run where it is to run.
    """

    def __init__(
        self,
        runtime: Runtime,
        explainer: Explainer,
        spec: ExplainerSpec,
        settings: LoadSettings,
        artifact: Callable[[], Artifact | None],
        thread: ModelThread,
        *,
        max_calls: int,
        beside: bool,
    ) -> None:
        if beside and not spec.in_process:
            raise errors.ConfigurationError(
                f"The explainer {spec.name} does not run in the process of the model.",
                remedy="Serve it as a component of its own: --predictor_host, and no model.",
            )
        if not beside and not spec.remote:
            raise errors.ConfigurationError(
                f"The explainer {spec.name} looks inside the model, and does not run as a component of its own.",
                remedy="Serve it together with the model, and without --predictor_host.",
            )
        self._runtime = runtime
        self._explainer = explainer
        self._spec = spec
        self._settings = settings
        self._artifact = artifact
        self._thread = thread
        self._max_calls = max_calls
        self._beside = beside

    def load(self, artifact: Artifact, settings: LoadSettings) -> AnyModel:
        """Load the model, and then the explainer, which may look at it.

        Raises:
            ModelLoadError: the explainer does not explain this model, or does not load.
        """
        model = self._runtime.load(artifact, settings)
        if not is_model(model):
            return model  # who asked for it says what is wrong
        try:
            return self._with_explainer(model)
        except BaseException:
            model.unload()
            raise

    def _with_explainer(self, model: AnyModel) -> AnyModel:
        name = self._spec.name
        if model.metadata.supports(Capability.EXPLAIN):
            raise errors.ModelLoadError(
                f"The model explains its predictions itself, and the explainer {name} would take the place of that.",
                remedy="Serve it without --explainer.",
            )
        own = self._artifact()
        try:
            self._explainer.load(own, self._settings, model if self._beside else None)
        except (errors.FairleadError, KeyboardInterrupt, GeneratorExit, MemoryError):
            raise
        except BaseException as error:  # a library that calls sys.exit() must not end the server
            what = f"{type(error).__name__}: {failure.text_of(error)}{failure.place_of(error)}"
            raise errors.ModelLoadError(f"The explainer {name} does not load: {what}.") from error
        explanations = Explanations(self._explainer, name, self._max_calls)
        if isinstance(model, AsyncModel):
            return AsyncExplainedModel(model, explanations, self._thread)
        return ExplainedModel(model, explanations)
