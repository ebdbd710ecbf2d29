"""The models that a server knows, by name, and the state that each is in."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.contracts.runtime import AsyncModel, SettingValue
    from fairlead.engine.budget import Hold, Seen
    from fairlead.engine.explaining import ExplainerSource
    from fairlead.engine.loads import Failure, Load
    from fairlead.engine.metrics import ModelMetrics
    from fairlead.engine.serving import Serving

__all__ = ["ModelEntry", "ModelSource", "ModelState", "Registry"]


class ModelState(enum.StrEnum):
    """The states of a model, in the words of the repository index of Triton."""

    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where a model comes from.

    Attributes:
        name: the name that it is served by.
        uri: the address of its artefact.
        model_format: the format or runtime that is asked for; None to guess.
        options: settings of the runtime's own, as they were given.
        explainer: what explains it; None for nothing, or for itself.
        make: makes the model of a component that asks a predictor, and has no artefact; None for one that loads.
    """

    name: str
    uri: str
    model_format: str | None = None
    options: Mapping[str, SettingValue] = dataclasses.field(default_factory=dict)
    explainer: ExplainerSource | None = None
    make: Callable[[], AsyncModel] | None = None


class ModelEntry:
    """One known model. There may be thousands: what only a model that was loaded needs is made when it first loads.

    Attributes:
        source: where it comes from.
        metrics: its metrics; None before its first load.
        state: the state that it is in.
        reason: why it is in that state; what a user should know of a model that is ready.
        serving: what answers, while it is ready.
        hold: the memory that is counted for what answers.
        seen: what its last load took, and of which files.
        pinned: whether it is never evicted.
        withdrawn: whether it was unloaded on request, and stays so until it is loaded on request.
        loading: the load that is under way.
        failure: the last load, when it failed.
        waiting: requests that wait until it is loaded.
    """

    __slots__ = (
        "_lock",
        "failure",
        "hold",
        "loading",
        "metrics",
        "pinned",
        "reason",
        "seen",
        "serving",
        "source",
        "state",
        "waiting",
        "withdrawn",
    )

    def __init__(self, source: ModelSource) -> None:
        self.source: Final = source
        self.metrics: ModelMetrics | None = None
        self.state = ModelState.UNAVAILABLE
        self.reason = ""
        self.serving: Serving | None = None
        self.hold: Hold | None = None
        self.seen: Seen | None = None
        self.pinned = False
        self.withdrawn = False
        self.loading: Load | None = None
        self.failure: Failure | None = None
        self.waiting = 0
        self._lock: asyncio.Lock | None = None

    @property
    def name(self) -> str:
        """The name that it is served by."""
        return self.source.name

    @property
    def lock(self) -> asyncio.Lock:
        """Held by whoever loads or unloads it."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    @property
    def is_busy(self) -> bool:
        """Whether it is loaded or unloaded just now, or a request is on its way to it.

        A load that has not begun does not count: it may be what others wait for that wait for its memory.
        """
        under_change = self._lock is not None and self._lock.locked()
        return under_change or self.waiting > 0 or (self.serving is not None and self.serving.in_flight > 0)

    def ready(self) -> Serving:
        """What answers.

        Raises:
            ModelNotReady: nothing does.
        """
        if self.serving is None:
            raise errors.ModelNotReady(self.name)  # the index tells why; a client of the data path need not know
        return self.serving

    def become(self, state: ModelState, reason: str = "") -> None:
        """Enter a state; a model that still answers while it loads anew stays ready for its clients."""
        self.state = state
        self.reason = reason
        if self.metrics is not None:
            self.metrics.ready.set(self.serving is not None)


class Registry:
    """All known models, in the order in which they became known."""

    def __init__(self) -> None:
        self._entries: dict[str, ModelEntry] = {}

    def add(self, entry: ModelEntry) -> None:
        """Make a model known.

        Raises:
            ConfigurationError: one of that name is known already.
        """
        if entry.name in self._entries:
            raise errors.ConfigurationError(f"Two models are named {entry.name}: {entry.source.uri} and another.")
        self._entries[entry.name] = entry

    def get(self, name: str) -> ModelEntry:
        """The model of that name, whatever its state.

        Raises:
            ModelNotFound: none is known.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise errors.ModelNotFound(name)
        return entry

    def __iter__(self) -> Iterator[ModelEntry]:
        return iter(tuple(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries
