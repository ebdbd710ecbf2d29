"""A track: the revisions of one component, and the deployments of those that are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead.resolve import rollout
from fairlead.resolve.observation import ComponentObservation
from fairlead.resolve.resolving import revision_digest

if TYPE_CHECKING:
    from fairlead.local.deployment import Deployment
    from fairlead.resolve.ledger import Ledger
    from fairlead.resolve.observation import Share
    from fairlead.resolve.service import ResolvedComponent

__all__ = ["Track"]

_TAG_ROUTING: Final = "serving.kserve.io/enable-tag-routing"


class Track:
    """The revisions of a component's object, such as ``iris-predictor``.

    Args:
        component: what is declared now.
        ledger: what is known of its revisions.
        manifests: the InferenceServices that its revisions were made from, by revision.
        deploy: makes the deployment of a revision.

    Attributes:
        component: what is declared now.
        ledger: what is known of its revisions.
        manifests: the InferenceServices that they were made from.
        deployments: the deployments of those that run.
        wanted: whether it is declared.
        missing: revisions that are to have replicas again and have no deployment; `restore` makes it.
        mirrored: whether revisions without traffic get copies of it.
    """

    def __init__(
        self,
        component: ResolvedComponent,
        ledger: Ledger,
        manifests: Mapping[str, Mapping[str, Any]],
        deploy: Callable[[str, ResolvedComponent], Deployment],
    ) -> None:
        self.component = component
        self.ledger = ledger
        self.manifests = dict(manifests)
        self.deployments: dict[str, Deployment] = {}
        self.wanted = True
        self.missing: list[str] = []
        self.mirrored = False
        self._deploy = deploy

    @property
    def name(self) -> str:
        """The name of the object."""
        return self.component.name

    def declare(self, component: ResolvedComponent, manifest: Mapping[str, Any], now: float) -> str | None:
        """Take what is declared now; returns the name of the revision, if that made one that was not there."""
        self.component = component
        self.wanted = True
        before = {each.name for each in self.ledger.revisions}
        self.ledger = rollout.propose(self.ledger, self.name, revision_digest(component), now)
        latest = self.ledger.latest_created
        assert latest is not None
        self.manifests[latest] = manifest
        if (known := self.deployments.get(latest)) is None or known.retired:
            self.deployments[latest] = self._deploy(latest, component)
        else:
            known.component = component  # what scales may have changed, and what runs has not
        return latest if latest not in before else None

    def restore(self, revision: str, component: ResolvedComponent) -> None:
        """Deploy an older revision that has traffic; what scales it is what is declared now."""
        self.deployments[revision] = self._deploy(revision, component)

    def advance(self) -> list[str]:
        """Move traffic to what is ready, as the rollout asks for; returns the revisions that nothing needs any more."""
        for each in self.deployments.values():
            each.refresh()
        ready = {name for name, each in self.deployments.items() if each.may_serve and not each.retired}
        percent = self.component.canary_traffic_percent
        tagged = self.component.annotations.get(_TAG_ROUTING) == "true"
        self.ledger = rollout.advance(self.ledger, ready, percent, tagged)
        shared = {each.revision for each in self.ledger.shares if each.percent}
        for name, each in self.deployments.items():
            each.reachable = name in shared or self.mirrored or not each.was_ready
        keep = set(rollout.running(self.ledger)) if self.wanted else set()
        live = {name for name, each in self.deployments.items() if not each.retired}
        self.missing = sorted(keep - live)
        return sorted(live - keep)

    def retire(self, names: list[str]) -> None:
        """Let revisions go that nothing needs: their replicas end once nobody is sent to them."""
        for name in names:
            deployment = self.deployments[name]
            deployment.retired = True
            deployment.desired = 0
            deployment.scale(0)

    def sweep(self) -> None:
        """Forget deployments of which nothing is left, and revisions that have neither traffic nor a deployment."""
        self.deployments = {name: each for name, each in self.deployments.items() if not each.gone}
        if self.wanted:
            self.ledger = rollout.retire(self.ledger, self.deployments)
        known = {each.name for each in self.ledger.revisions}
        self.manifests = {name: each for name, each in self.manifests.items() if name in known}

    @property
    def shares(self) -> tuple[Share, ...]:
        """How its traffic is split."""
        return self.ledger.shares

    @property
    def serves(self) -> bool:
        """Whether any of its revisions has traffic."""
        return bool(self.ledger.shares)

    @property
    def active(self) -> list[Deployment]:
        """The deployments that are not to end, the latest revision first."""
        order = [each.name for each in self.ledger.revisions]
        found = [each for each in self.deployments.values() if not each.retired]
        return sorted(found, key=lambda each: order.index(each.name) if each.name in order else len(order))

    def observation(self, url: str | None, grpc_url: str | None) -> ComponentObservation:
        """What is seen of the component.

        Args:
            url: where it is asked over REST.
            grpc_url: where it is asked over gRPC.
        """
        limits = [each.limited for each in self.active if each.limited]
        return ComponentObservation(
            latest_created=self.ledger.latest_created or "",
            latest_ready=self.ledger.latest_ready,
            latest_rolled_out=self.ledger.latest_rolled_out,
            previous_rolled_out=self.ledger.previous_rolled_out,
            revisions=tuple(each.observation() for each in self.active),
            traffic=self.ledger.shares,
            url=url,
            grpc_url=grpc_url,
            limited=limits[0] if limits else "",
        )
