"""What replicas are made with: shared by all of a platform, and given by tests."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from fairlead.local.replicas import containers
from fairlead.local.replicas.environments import Environments
from fairlead.local.replicas.fetching import Fetching
from fairlead.local.replicas.ports import PortPool

if TYPE_CHECKING:
    from fairlead.local.declared import Declared
    from fairlead.local.folder import Folder
    from fairlead.plugins import Plugins

__all__ = ["Tools"]


def _nothing(*_: object) -> None:
    """Remember nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tools:
    """What replicas are made with.

    Attributes:
        fetching: fetches artefacts.
        environments: makes environments for what cannot run in the platform's own.
        engine: finds the container runtime.
        environ: the user's environment, which replicas inherit.
        mark: variables of every process, by which the next platform finds what this one leaves behind.
        record: told the number of each process that was started, and what it is.
        forget: told the number of each process that has ended.
        clock: seconds of Unix time, for moments that are shown.
        monotonic: seconds that only grow, for how long something takes.
        ports: chooses ports.
        start_deadline: seconds within which a process has to become ready.
        backoff: seconds before a replica is tried again for the first time; each further pause is twice as long.
        max_backoff: the longest pause in seconds.
        calm: seconds after which a replica that is ready counts as well again, so that pauses begin anew.
    """

    fetching: Fetching
    environments: Environments
    engine: Callable[[], str] = containers.find
    environ: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(os.environ), repr=False)
    mark: Mapping[str, str] = dataclasses.field(default_factory=dict)
    record: Callable[[int, str], None] = _nothing
    forget: Callable[[int], None] = _nothing
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    ports: PortPool = dataclasses.field(default_factory=PortPool)
    start_deadline: float = 600.0
    backoff: float = 1.0
    max_backoff: float = 60.0
    calm: float = 60.0

    @classmethod
    def of(
        cls,
        plugins: Plugins,
        *,
        folder: Folder | None = None,
        clock: Callable[[], float] = time.time,
        declared: Declared | None = None,
    ) -> Self:
        """The tools of a platform.

        Args:
            plugins: the plugins that there are.
            folder: where the platform remembers the processes that it has started; None to remember none.
            clock: seconds of Unix time.
            declared: what is declared now of Secrets and what names them.
        """
        fetching, environments = Fetching(plugins, declared=declared), Environments(plugins)
        if folder is None:
            return cls(fetching=fetching, environments=environments, clock=clock)
        return cls(
            fetching=fetching,
            environments=environments,
            clock=clock,
            mark=folder.mark,
            record=folder.record,
            forget=folder.forget,
        )
