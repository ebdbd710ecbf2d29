"""What was observed of an InferenceService: what its status is derived from, on a laptop as in a cluster."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead.resolve.conditions import Verdict
    from fairlead.resolve.service import ComponentKind

__all__ = [
    "ComponentObservation",
    "Ingress",
    "ReplicaObservation",
    "ReplicaStage",
    "RevisionObservation",
    "ServiceObservation",
    "Share",
]


class ReplicaStage(enum.StrEnum):
    """How far a replica has come."""

    PENDING = "pending"
    """It is wanted, and nothing of it runs."""
    FETCHING = "fetching"
    """Its model is being fetched."""
    STARTING = "starting"
    """Its process runs and does not answer yet."""
    READY = "ready"
    """It has answered a sample."""
    UNREADY = "unready"
    """It answered once, and does not any more."""
    FAILED = "failed"
    """It could not be fetched or started, or has ended; it is tried again later."""
    STOPPING = "stopping"
    """It was told to end."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaObservation:
    """One replica.

    Attributes:
        name: what tells it from the others, also from those before it.
        stage: how far it has come.
        created_at: when it was made, in seconds of Unix time.
        fetch_failed: it failed, and while its model was fetched.
        reason: why it is not ready, in one word, such as ``CrashLoopBackOff``; empty where nothing is wrong.
        message: why, in sentences, with what to do; its last lines of log where they tell.
        exit_code: how its process last ended; None when it has not.
        restarts: how often its process was started again.
    """

    name: str
    stage: ReplicaStage
    created_at: float
    fetch_failed: bool = False
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    restarts: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RevisionObservation:
    """One revision of a component.

    Attributes:
        name: its name, such as ``iris-predictor-00002``.
        desired: how many replicas it is told to have.
        replicas: those that there are.
        ready: whether it may take traffic: enough of its replicas are ready, or it was ready before and is at zero.
        reason: why it cannot be ready whatever its replicas do, in one word; empty where that is not so.
        message: why, in sentences, with what to do.
        answered: whether a replica of it has ever answered; one that is to begin at zero may take traffic before.
        silent: whether requests get no answer although its replicas are ready; `reason` and `message` say more.
        verdict: what another that runs its replicas, and lets no request wait for one, says of all of them; None where
            the replicas alone decide.
    """

    name: str
    desired: int
    replicas: tuple[ReplicaObservation, ...] = ()
    ready: bool = False
    reason: str = ""
    message: str = ""
    answered: bool = True
    silent: bool = False
    verdict: Verdict | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of a component's traffic.

    Attributes:
        revision: the revision that gets it.
        percent: how much of it.
        latest: whether the latest ready revision is meant, whichever it is.
        tag: ``prev`` for the revision before, ``latest`` where tags are asked for.
    """

    revision: str
    percent: int
    latest: bool
    tag: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ComponentObservation:
    """One component.

    Attributes:
        latest_created: the latest revision.
        latest_ready: the latest revision that may take traffic; None before there is one.
        latest_rolled_out: the revision that last had all traffic.
        previous_rolled_out: the one that had it before.
        revisions: the revisions that there are, the latest first.
        traffic: how the traffic is split; empty before there is a ready revision.
        url: where the component is asked over REST.
        grpc_url: where it is asked over gRPC; None where it is not.
        limited: why it has fewer replicas than its strategy asks for; empty where it has as many.
        notes: what a user should know beside that, one sentence each.
    """

    latest_created: str
    latest_ready: str | None = None
    latest_rolled_out: str | None = None
    previous_rolled_out: str | None = None
    revisions: tuple[RevisionObservation, ...] = ()
    traffic: tuple[Share, ...] = ()
    url: str | None = None
    grpc_url: str | None = None
    limited: str = ""
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """The way that requests come.

    Attributes:
        ready: whether the gateway routes requests to the service.
        reason: why it does not, in one word; empty where it does.
        message: why, in sentences, with what to do.
    """

    ready: bool
    reason: str = ""
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServiceObservation:
    """A whole InferenceService.

    Attributes:
        ingress: the way that requests come.
        components: its components.
        canaries: what there is of each predictor of ``spec.canary``, by its name.
        url: where it is asked from outside.
        address: where it is asked from within.
        generation: the generation of the spec that this is about.
        conditions: what the platform says beside that, by the type of the condition: what keeps a component or the
            ingress from being ready, or conditions that ``Ready`` does not ask.
    """

    ingress: Ingress
    components: Mapping[ComponentKind, ComponentObservation]
    canaries: Mapping[str, ComponentObservation] = dataclasses.field(default_factory=dict)
    url: str | None = None
    address: str | None = None
    generation: int = 1
    conditions: Mapping[str, Verdict] = dataclasses.field(default_factory=dict)
