"""A service: one InferenceService as it is declared, and the tracks of its components."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from fairlead import errors
from fairlead.api import InferenceService
from fairlead.local.events import Events
from fairlead.local.track import Track
from fairlead.resolve import ledger
from fairlead.resolve.defaults import default
from fairlead.resolve.resolving import resolve
from fairlead.resolve.service import ComponentKind
from fairlead.resolve.status import Unresolved

if TYPE_CHECKING:
    from fairlead.api.status import InferenceServiceStatus
    from fairlead.local import views
    from fairlead.local.deployment import Deployment
    from fairlead.local.gateway.topology import Address
    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.config import Config
    from fairlead.resolve.service import ResolvedComponent, ResolvedService

__all__ = ["Deployer", "Key", "Service", "key_of"]

Key: TypeAlias = tuple[str, str]
"""The namespace and the name of a service."""


class Deployer(Protocol):
    """Makes deployments."""

    def judge(self, service: Service, resolved: ResolvedService, component: ResolvedComponent) -> tuple[str, ...]:
        """What of a component has no effect here: one sentence each.

        Raises:
            Unresolvable: it asks for something that nothing here can give it.
        """

    def deploy(self, service: Service, revision: str, component: ResolvedComponent, *, known: bool) -> Deployment:
        """Make the deployment of a revision.

        Args:
            service: whose it is.
            revision: its name.
            component: what its replicas run.
            known: whether it had traffic before, in an earlier life of the platform.
        """


def key_of(declared: InferenceService) -> Key:
    """The key of what is declared."""
    return declared.metadata.namespace or "default", declared.metadata.name


class Service:
    """An InferenceService that is declared, and what there is of it.

    Args:
        key: its namespace and name.
        deployer: makes deployments.
        record: what `record` gave in an earlier life of the platform; empty for none.

    Attributes:
        declared: what is declared, defaults filled in.
        resolved: what it comes to; of what was declared before, if what is declared now comes to nothing.
        unresolved: why what is declared now comes to nothing; None where it does not.
        tracks: its components by the names of their objects; those of renamed ones too, until they are replaced.
        serving: which of the tracks answers, by component.
        internal_port: the port by which its transformer and explainer ask its predictor.
        status: its status, as it was last derived.
        events: what happened to it.
        generation: how often its spec was changed.
        deleted: whether it is not declared any more.
        seen: what its status was last derived from.
        failing: why latest revisions fail: messages by reason, by revision; the reason seen last comes last.
    """

    def __init__(self, key: Key, deployer: Deployer, record: Mapping[str, Any]) -> None:
        self.key = key
        self.declared: InferenceService | None = None
        self.resolved: ResolvedService | None = None
        self.unresolved: Unresolved | None = None
        self.tracks: dict[str, Track] = {}
        self.serving: dict[ComponentKind, str] = {}
        self.internal_port: int | None = None
        self.status: InferenceServiceStatus | None = None
        self.events = Events()
        self.generation = int(record.get("generation", 0))
        self.deleted = False
        self.seen: views.Seen | None = None
        self.failing: dict[str, dict[str, str]] = {}
        self._given: tuple[InferenceService, Catalogue, Config] | None = None
        self._deployer = deployer
        self._record = record

    @property
    def label(self) -> str:
        """Its namespace and name, for people."""
        return "/".join(self.key)

    # -- what is declared -------------------------------------------------------------------------------

    def declare(self, manifest: InferenceService, catalogue: Catalogue, config: Config, now: float) -> None:
        """Take what is declared now; nothing happens where that is what is there."""
        given = (manifest, catalogue, config)
        if given == self._given and self.unresolved is None and not self.deleted:
            return
        self._given = given
        declared = default(manifest, config)
        changed = self.declared is None or declared.spec != self.declared.spec
        self.declared = declared
        self.generation += changed
        self.deleted = False
        try:
            resolved = resolve(declared, catalogue, config)
            notes = [note for each in self._components(resolved) for note in self._deployer.judge(self, resolved, each)]
        except errors.Unresolvable as error:
            mode = (declared.metadata.annotations or {}).get("serving.kserve.io/deploymentMode", config.default_mode)
            namespace, name = self.key
            told = Unresolved(name=name, namespace=namespace, condition=error.condition, message=str(error), mode=mode)
            if told != self.unresolved:
                self.events.warning(now, error.condition, str(error))
            self.unresolved = told
            return
        self.resolved, self.unresolved = resolved, None
        if changed:
            for warning in resolved.warnings:
                self.events.warning(now, "Declared", warning)
            for note in dict.fromkeys(notes):
                self.events.normal(now, "NoEffectHere", note)
        self._declare_tracks(resolved, catalogue, config, now)

    def delete(self) -> None:
        """Let go of everything."""
        self.deleted = True
        self._unwant(set())

    def _declare_tracks(self, resolved: ResolvedService, catalogue: Catalogue, config: Config, now: float) -> None:
        components = [] if resolved.stopped else self._components(resolved)
        self._unwant({each.name for each in components})
        manifest = resolved.declared.manifest()
        for component in components:
            track = self.tracks.get(component.name)
            if track is None:
                track = self.tracks[component.name] = self._track(component, catalogue, config)
            track.mirrored = bool(resolved.mirror_percent) and component.kind is ComponentKind.PREDICTOR
            if made := track.declare(component, manifest, now):
                self.events.normal(now, "RevisionCreated", f"Revision {made} was made.")

    def _unwant(self, names: set[str]) -> None:
        for name, track in self.tracks.items():
            if name not in names:
                track.wanted = False

    def _components(self, resolved: ResolvedService) -> list[ResolvedComponent]:
        return [*resolved.components.values(), *(each.component for each in resolved.canaries)]

    def _track(self, component: ResolvedComponent, catalogue: Catalogue, config: Config) -> Track:
        stored = self._record.get("tracks", {}).get(component.name, {})
        kept, manifests = ledger.Ledger(), {}
        if stored:
            kept, manifests = (
                ledger.from_plain(stored["ledger"], f"what was kept of {component.name}"),
                stored["manifests"],
            )
        had_traffic = {share.revision for share in kept.shares}

        def deploy(revision: str, what: ResolvedComponent) -> Deployment:
            return self._deployer.deploy(self, revision, what, known=revision in had_traffic)

        track = Track(component, kept, manifests, deploy)
        track.missing = sorted(had_traffic)
        self._restore(track, catalogue, config)
        return track

    def _restore(self, track: Track, catalogue: Catalogue, config: Config) -> None:
        """Run revisions again that ran before."""
        for revision in track.missing:
            if (old := self._of_old(track.manifests.get(revision), track.name, catalogue, config)) is not None:
                track.restore(revision, old)
        track.missing = []

    def _of_old(
        self, manifest: Mapping[str, Any] | None, name: str, catalogue: Catalogue, config: Config
    ) -> ResolvedComponent | None:
        """What a revision of an earlier life ran; None where nothing here can run it any more."""
        if manifest is None:
            return None
        try:
            resolved = resolve(InferenceService.parse(dict(manifest)), catalogue, config)
        except (errors.Unresolvable, ValueError):  # of another version of the platform, perhaps
            return None
        return next((each for each in self._components(resolved) if each.name == name), None)

    def addresses(self, deployment: Deployment, *, grpc: bool, leaving: bool) -> tuple[Address, ...] | None:
        """Where requests that wait for a deployment may go: to what has its traffic now, once it is to end itself.

        Args:
            deployment: one of its own.
            grpc: whether for gRPC.
            leaving: whether replicas that are let go count as well.
        """
        found = deployment.addresses(grpc=grpc, leaving=leaving)
        if found != () or not deployment.retired:
            return found
        track = self.tracks.get(self.serving.get(deployment.component.kind, ""))
        heirs = [track.deployments.get(each.revision) for each in track.shares if each.percent] if track else []
        return tuple(sorted({each for heir in heirs if heir for each in heir.addresses(grpc=grpc) or ()}))

    # -- what comes of it -------------------------------------------------------------------------------

    def settle(self) -> None:
        """Move traffic to what is ready, and let go of what nothing needs."""
        going = [(track, track.advance()) for track in self.tracks.values()]
        self._choose()
        needed = set() if self.deleted else set(self.serving.values())
        for track, names in going:
            if track.wanted or track.name not in needed:
                track.retire(names)
            if track.wanted and track.missing and self._given is not None:
                _, catalogue, config = self._given
                self._restore(track, catalogue, config)

    def _choose(self) -> None:
        """Which track answers for each component: the declared one, or the one before until that is ready."""
        if self.resolved is None or self.resolved.stopped or self.deleted:
            self.serving = {}
            return
        self.serving = {kind: self._chosen(kind, each.name) for kind, each in self.resolved.components.items()}

    def _chosen(self, kind: ComponentKind, declared: str) -> str:
        before = self.serving.get(kind, declared)
        if before != declared and before in self.tracks and not self.tracks[declared].serves:
            return before
        return declared

    def sweep(self) -> None:
        """Forget what has ended."""
        for track in self.tracks.values():
            track.sweep()
        self.tracks = {name: each for name, each in self.tracks.items() if each.wanted or each.deployments}

    def deployments(self) -> Iterator[Deployment]:
        """All deployments, those that end as well."""
        for track in self.tracks.values():
            yield from track.deployments.values()

    @property
    def gone(self) -> bool:
        """Whether it was deleted and nothing of it is left."""
        return self.deleted and not any(True for _ in self.deployments())

    def record(self) -> dict[str, Any]:
        """What the next life of the platform has to know, as JSON."""
        tracks = dict(self._record.get("tracks", {})) if self.unresolved is not None else {}
        for name, track in self.tracks.items():
            if track.wanted:
                tracks[name] = {"ledger": ledger.to_plain(track.ledger), "manifests": track.manifests}
        return {"generation": self.generation, "tracks": tracks}
