"""What a replica needs before its process runs: its artefacts, its volumes, perhaps an environment of its own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead import errors
from fairlead.local import containerfiles
from fairlead.local.replicas import commands, containers, fetching, listening, probes, unsupported
from fairlead.local.replicas.commands import SERVE, Launch
from fairlead.local.replicas.needs import Need
from fairlead.local.replicas.orders import Ports
from fairlead.local.replicas.threads import in_thread
from fairlead.resolve.observation import ReplicaStage
from fairlead.resolve.service import MODEL_PATH

if TYPE_CHECKING:
    from fairlead.local.replicas.logs import RotatedLog
    from fairlead.local.replicas.orders import Order
    from fairlead.local.replicas.tools import Tools

__all__ = ["Preparation"]


class Preparation:
    """Prepares the processes of one replica; what succeeded once is not done again.

    Args:
        order: what the replica is to be.
        tools: what it is made with.
        log: gets lines that tell how far it is.

    Attributes:
        notes: what of the pod has no effect here, one sentence each.
    """

    def __init__(self, order: Order, tools: Tools, log: RotatedLog) -> None:
        self.notes: tuple[str, ...] = ()
        self._order = order
        self._tools = tools
        self._log = log
        self._mounts: dict[str, Path] | None = None
        self._serve: Sequence[str] = SERVE
        self._made_do = False
        self._attempt = 0

    def check(self) -> None:
        """Refuse what there is only in a cluster.

        Raises:
            Unresolvable: the order asks for it.
        """
        fetching.check(self._order.sources)
        self.notes = unsupported.of_pod(self._order)
        declared = listening.listening(self._order)
        probes.asked(self._order, declared, Ports(http=declared.http, grpc=declared.grpc))

    async def run(self, see: Callable[..., Any]) -> None:
        """Fetch, and make what is to be there.

        Args:
            see: told what is to be observed of the replica meanwhile.

        Raises:
            ReplicaFailed: it cannot be fetched, or its environment cannot be made.
            Unresolvable: a variable cannot be had; a Secret that it comes from may be declared later.
            OSError: a folder cannot be made.
        """
        commands.check(self._order)
        if self._mounts is None:
            if self._order.sources:
                see(stage=ReplicaStage.FETCHING)
            self._mounts = await self._fetched()
        for folder in unsupported.volumes(self._order).values():
            if folder.is_relative_to(self._order.folder):
                folder.mkdir(parents=True, exist_ok=True)
        if self._serve is SERVE and not self._made_do and listening.is_fairlead(self._order):
            need = await in_thread(lambda: self._need((self._mounts or {}).get(MODEL_PATH)))
            if need is not None:
                await self._isolate(need, see)

    def launch(self, ports: Ports) -> tuple[Launch, str | None]:
        """What to start after `run`, and the name of the container where it is one.

        Raises:
            Unresolvable: a container runtime is needed, and there is none.
        """
        isolated = self._serve is not SERVE
        mounts = {**(self._mounts or {}), **unsupported.volumes(self._order)}
        environ = {**commands.base_environ(self._tools.environ, isolated=isolated), **self._tools.mark}
        if not containers.needed(self._order):
            return commands.command(self._order, ports, mounts, serve=self._serve, environ=environ), None
        self._attempt += 1
        name = containers.name_of(self._order, self._attempt)
        engine = self._tools.engine()
        containerfiles.note(self._order.folder, engine, name)
        return containers.command(self._order, ports, mounts, engine=engine, name=name, environ=environ), name

    def remove(self) -> None:
        """Remove what was made in the replica's folder."""
        for made in ("artefacts", "volumes"):
            shutil.rmtree(self._order.folder / made, ignore_errors=True)

    async def _fetched(self) -> dict[str, Path]:
        sources = self._order.sources
        try:
            fetch, namespace, say = self._tools.fetching.fetch, self._order.namespace, self._log.say
            paths = await asyncio.gather(*(fetch(each, namespace, say) for each in sources))
            return fetching.lay_out(sources, paths, self._order.folder / "artefacts") if sources else {}
        except (errors.FairleadError, OSError) as error:
            raise errors.ReplicaFailed("FetchFailed", str(error), fetching=True) from error

    def _need(self, artefact: Path | None) -> Need | None:
        """What it cannot run with in this environment.

        Raises:
            ReplicaFailed: it asks for something that it may not have.
        """
        needs, model = self._tools.environments.needs, self._order.model
        explainer = listening.option(self._order, "--explainer")
        files = listening.option(self._order, "--explainer-dir", "--explainer_dir")
        try:
            policy = commands.unpickling(self._order, self._tools.environ)
            version, note = needs.of_version(model)
            self._note(note)
            return Need.joined(
                (
                    version or needs.recorded(model, artefact),
                    needs.of_model(model, artefact, policy),
                    needs.of_explainer(explainer, files, in_process=model is not None),
                )
            )
        except errors.FairleadError as error:
            raise errors.ReplicaFailed("EnvironmentFailed", str(error)) from error

    async def _isolate(self, need: Need, see: Callable[..., Any]) -> None:
        """Use an environment of its own.

        One for a version that the artefact records is done without where it cannot be made: most models load all the
        same, and the server tells of the versions.
        """
        see(stage=ReplicaStage.STARTING, message=f"An environment with {need.what} is made.")
        try:
            python = await self._tools.environments.python(need, self._log.say)
        except errors.FairleadError as error:
            if not need.without:
                raise errors.ReplicaFailed("EnvironmentFailed", str(error)) from error
            self._made_do = True
            self._log.say(str(error))
            self._note(f"{need.without} {error.reason}")
        else:
            self._serve = (str(python), *SERVE[1:])
        see(message="")

    def _note(self, note: str) -> None:
        if note and note not in self.notes:
            self.notes = (*self.notes, note)
