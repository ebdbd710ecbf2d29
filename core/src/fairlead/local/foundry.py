"""The foundry: makes deployments and their replicas, and starts these a few at a time."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.quantities import in_bytes
from fairlead.local.declared import Declared
from fairlead.local.deployment import Deployment
from fairlead.local.replicas import commands, unsupported
from fairlead.local.replicas.listening import listening
from fairlead.local.replicas.orders import Order
from fairlead.local.replicas.replica import Replica, Tools
from fairlead.resolve.observation import ReplicaStage
from fairlead.resolve.service import ComponentKind

if TYPE_CHECKING:
    from fairlead.local.folder import Folder
    from fairlead.local.machine import Machine
    from fairlead.local.service import Service
    from fairlead.plugins import Plugins
    from fairlead.resolve.service import ResolvedComponent, ResolvedService

__all__ = ["Foundry", "free_port"]

_INITIAL_SCALE: Final = "autoscaling.knative.dev/initial-scale"
_PATIENT: Final = 3
"""Starts in vain after which requests for a revision that did answer once are refused."""
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_AT_ONCE: Final = 2
"""Replicas that start at the same time for each core; those that requests wait for are not held back."""
_BUSY: Final = (ReplicaStage.PENDING, ReplicaStage.FETCHING, ReplicaStage.STARTING)
_GIB: Final = 1024.0**3


class Foundry:
    """Makes deployments and replicas.

    Args:
        folder: the folder of the platform.
        plugins: the plugins that there are.
        clock: seconds of Unix time.
        machine: what there is to be had.
        declared: what is declared now of Secrets and what names them.
        on_change: called when a replica changes.
        follow: told of each deployment that is made.
    """

    def __init__(
        self,
        folder: Folder,
        plugins: Plugins,
        clock: Callable[[], float],
        machine: Machine,
        *,
        declared: Declared | None = None,
        on_change: Callable[[], None],
        follow: Callable[[Deployment], None],
    ) -> None:
        self._folder, self._clock, self._on_change, self._follow = folder, clock, on_change, follow
        self._declared = declared or Declared()
        self._tools = Tools.of(plugins, folder=folder, clock=clock, declared=self._declared)
        self._machine = machine
        self._spare = max(machine.memory / 10, min(_GIB, machine.memory / 4))
        self._most = _AT_ONCE * max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
        self._waiting: dict[Replica, Deployment] = {}
        self._started: set[Replica] = set()

    def judge(self, service: Service, resolved: ResolvedService, component: ResolvedComponent) -> tuple[str, ...]:
        """What of a component has no effect here; as `fairlead.local.service.Deployer`."""
        order = self._order(service, component.name, component, resolved)
        notes = unsupported.of_component(component, order)
        commands.check(order)
        return notes

    def deploy(self, service: Service, revision: str, component: ResolvedComponent, *, known: bool) -> Deployment:
        """The deployment of a revision, without replicas yet; as `fairlead.local.service.Deployer`."""
        least = component.scaling.spec.min_replicas
        initial = _initial_scale(component)
        start = max(least, 1 if initial is None else initial)

        def make() -> Replica:
            replica = Replica(self._order(service, revision, made.component), self._tools, self._on_change)
            self._waiting[replica] = made
            return replica

        rest, grpc = self._speaks(self._order(service, revision, component))
        made = Deployment(
            name=revision,
            backend=f"{service.key[0]}/{revision}",
            component=component,
            make=make,
            least=start,
            desired=least if known else start,
            speaks_rest=rest,
            speaks_grpc=grpc,
            was_ready=known or start == 0,
            answered=known and least == 0,  # one that is to run has to answer again
        )
        self._follow(made)
        return made

    def _speaks(self, order: Order) -> tuple[bool, bool]:
        try:
            found = listening(order)
        except errors.Unresolvable:  # its replicas say why
            return True, False
        return found.http is not None, found.grpc is not None

    @property
    def waits(self) -> bool:
        """Whether replicas wait to be started."""
        return bool(self._waiting)

    def start(self, deployments: Iterable[Deployment], urgent: Callable[[Deployment], bool]) -> None:
        """Start replicas that were made: those that requests wait for at once, of the others a few at a time.

        While a tenth of the machine's memory is not free, or a GiB, or a quarter of a small machine, the others wait.

        Args:
            deployments: the deployments of those that may be started.
            urgent: whether requests wait for a deployment.
        """
        staying = {replica for each in deployments for replica in each.replicas}
        self._waiting = {replica: each for replica, each in self._waiting.items() if replica in staying}
        self._started = {each for each in self._started if each in staying and each.observation.stage in _BUSY}
        short = bool(self._waiting) and self._machine.available < self._spare
        for replica, deployment in list(self._waiting.items()):
            if urgent(deployment) or not (short or len(self._started) >= self._most):
                del self._waiting[replica]
                self._started.add(replica)
                replica.start()
            elif short:
                deployment.limited = deployment.limited or (
                    f"Replicas that no request waits for are not started while less than {in_bytes(self._spare)} of "
                    "memory are free."
                )

    def refusal(self, deployment: Deployment) -> str:
        """What requests are told that wait for a revision which cannot start; empty where it can."""
        replicas = deployment.replicas
        if not replicas or any(each.observation.stage is not ReplicaStage.FAILED for each in replicas):
            return ""
        last = max((each.observation for each in replicas), key=lambda each: each.created_at)
        if deployment.answered and last.restarts < _PATIENT:  # it may well answer again in a moment
            return ""
        return f"Revision {deployment.name} does not start ({last.reason}): {last.message}"

    def _order(
        self, service: Service, revision: str, component: ResolvedComponent, resolved: ResolvedService | None = None
    ) -> Order:
        name = f"{revision}-{''.join(secrets.choice(_ALPHABET) for _ in range(5))}"
        namespace, label = service.key
        asks = component.kind is not ComponentKind.PREDICTOR and service.internal_port is not None
        resolved = resolved or service.resolved
        assert resolved is not None
        return Order(
            name=name,
            namespace=namespace,
            service=label,
            component=component.kind.value,
            revision=revision,
            pod=component.pod,
            sources=component.sources,
            model=component.model,
            predictor=f"127.0.0.1:{service.internal_port}" if asks else None,
            predictor_name=f"{resolved.predictor.name}.{namespace}" if asks else None,
            folder=self._folder.replica(namespace, name),
            logs=self._folder.log(namespace, name),
            declared=self._declared,
        )


def _initial_scale(component: ResolvedComponent) -> int | None:
    text = component.annotations.get(_INITIAL_SCALE, "")
    return int(text) if text.isdecimal() else None


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
