"""One pass over one InferenceService: what is known becomes a plan, the plan objects, and what is seen its status."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead import errors
from fairlead.api.status import InferenceServiceStatus
from fairlead.resolve.service import ResolvedService
from fairlead.resolve.status import derive
from fairlead_operator import events, metrics, observing, planning
from fairlead_operator import status as statuses
from fairlead_operator.accounts import Accounts
from fairlead_operator.bundles import Bundles
from fairlead_operator.cluster import kinds
from fairlead_operator.desired import leaving, routing
from fairlead_operator.desired.model import APP_LABEL, Problem
from fairlead_operator.scaling.subjects import subjects

if TYPE_CHECKING:
    from fairlead.resolve.observation import ServiceObservation
    from fairlead_operator.applying import Applier
    from fairlead_operator.catalogues import Catalogues, Installed
    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.desired.model import Manifest
    from fairlead_operator.planning import Plan
    from fairlead_operator.queue import Key
    from fairlead_operator.scaling.loops import Loops
    from fairlead_operator.scaling.reach import Told
    from fairlead_operator.world import World

__all__ = ["Reconciler"]

Objects: TypeAlias = "Mapping[tuple[str, str], Manifest]"
"""The objects of a service, by kind and name."""

_log = logging.getLogger("fairlead.operator")

_FINALIZER: Final = "inferenceservice.finalizers"
"""KServe's finalizer: nobody else would take it off a service that this operator has taken over."""

_SERVICE: Final = kinds.BY_KIND["InferenceService"]
_EVENT: Final = kinds.BY_KIND["Event"]
_APP: Final = "isvc."
_AGAIN: Final = 60.0
"""Seconds after which what was refused is tried again: nobody tells when its reason has gone."""


class Reconciler:
    """Makes of an InferenceService what it asks for.

    Args:
        cluster: the API server.
        world: what is known of it.
        applier: what writes objects.
        catalogues: what services are resolved against.
        installed: the plugins.
        loops: what scales components in process.
        home: the operator's namespace.
        version: the version of Kubernetes.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        world: World,
        applier: Applier,
        catalogues: Catalogues,
        installed: Installed,
        loops: Loops,
        home: str,
        version: tuple[int, int],
        clock: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._world = world
        self._applier = applier
        self._catalogues = catalogues
        self._installed = installed
        self._version = version
        self._clock = clock
        self._loops = loops
        self._home = home
        self._accounts = Accounts(cluster, clock)
        self._bundles = Bundles(cluster, home, clock)

    async def reconcile(self, key: Key) -> float | None:
        """Look at a service once.

        Returns:
            Seconds after which it is to be looked at again although nothing changes; None for never.

        Raises:
            ClusterUnavailable: the API server cannot be asked; nothing is lost.
        """
        manifest = self._world.service(key)
        if manifest is None:
            self._forget(key)
            return None
        if manifest["metadata"].get("deletionTimestamp"):
            await self._let_go(key, manifest)
            return None
        status = manifest.get("status")
        before = status if isinstance(status, dict) else {}
        if _previous(before) is None:
            manifest = {**manifest, "status": {}}  # one that nobody can read is written over
        if _is_frozen(manifest):
            return None
        there: Objects = self._world.children(key)
        plan = await self._plan(key, manifest, there)
        if _lacks(manifest, plan, there) and not await self._is_there(key, manifest):
            return None
        refused, there = await self._make(key, plan, there)
        if _has_turned(plan, there):
            return 0.0
        await self._report(key, manifest, before, plan, (*plan.problems, *refused), there)
        return _AGAIN if refused else None

    # -- what is to be there ------------------------------------------------------------------------

    async def _plan(self, key: Key, manifest: Manifest, there: Objects) -> Plan:
        accounts = await self._accounts.of(manifest)
        cluster, own = self._world.settings(key[0])
        known = planning.Known(
            home=self._home,
            catalogue=self._catalogues.catalogue(accounts),
            cluster=cluster,
            namespace=own,
            apis=self._world.apis(),
            version=self._version,
            objects=there,
            strategies=self._installed.strategies,
        )
        return planning.plan(manifest, known)

    async def _is_there(self, key: Key, manifest: Manifest) -> bool:
        """Whether a service is there: where no watch has told that it is gone, its objects must not come back."""
        try:
            live = await self._cluster.get(_SERVICE, key[1], key[0])
        except errors.ObjectNotFound:
            self._world.drop(manifest)
            return False
        if live["metadata"]["uid"] == manifest["metadata"].get("uid"):
            return True
        self._world.put({**live, "kind": _SERVICE.name})
        return False

    async def _make(self, key: Key, plan: Plan, there: Objects) -> tuple[tuple[Problem, ...], Objects]:
        """Make what is planned; returns what is in the way, and what is there now."""
        owner, service = plan.surroundings.owner, plan.subject
        if plan.desired is None or not isinstance(service, ResolvedService):
            return (), there
        objects = plan.desired.objects
        problems = await self._bundles.keep(plan.surroundings.config.storage.ca_bundle_config_map, key[0])
        problems += await self._applier.apply(key, owner, objects, there)
        there = self._world.children(key)
        if leaving.may_go(service, plan.surroundings, there):
            kept = leaving.staying(service, plan.surroundings, there)
            problems += await self._applier.remove(key, owner, (*objects, *kept), there)
        self._loops.follow(*key, subjects(service, plan.surroundings))
        return (*problems, *self._loops.problems(*key)), there

    # -- what is there ------------------------------------------------------------------------------

    async def _report(
        self,
        key: Key,
        manifest: Manifest,
        before: Mapping[str, Any],
        plan: Plan,
        problems: tuple[Problem, ...],
        there: Objects,
    ) -> None:
        """Write the status where it differs from the one before."""
        previous = _previous(before)
        now = _stamp(self._clock())
        after = derive(plan.subject, self._observed(key, plan, problems, there), previous, now)
        patch = statuses.changed(before, after)
        if patch is None:
            return
        try:
            written = await self._cluster.patch(_SERVICE, key[1], key[0], patch, "status")
        except errors.ObjectNotFound:
            self._world.drop(manifest)  # it was deleted, and no watch has told of it yet
            return
        metrics.WRITTEN.labels(_SERVICE.name, "status").inc()
        self._world.wrote({**written, "kind": _SERVICE.name})
        for each in events.of_change(key[1], previous, after):
            await self._tell(events.manifest({**manifest, "apiVersion": _SERVICE.api_version}, each, now))

    def _observed(self, key: Key, plan: Plan, problems: tuple[Problem, ...], there: Objects) -> ServiceObservation:
        pods: dict[str, list[Manifest]] = {}
        for each in self._world.pods(key):
            app = (each["metadata"].get("labels") or {}).get(APP_LABEL, "")
            pods.setdefault(app.removeprefix(_APP), []).append(each)
        seen = observing.Seen(
            objects=there,
            pods={name: tuple(each) for name, each in pods.items()},
            generation=plan.surroundings.owner.generation,
            problems=problems,
            notes=plan.notes,
        )
        if isinstance(plan.subject, ResolvedService):
            seen = dataclasses.replace(
                seen,
                addresses=routing.addresses(plan.subject, plan.surroundings),
                routes=routing.ready(plan.subject, plan.surroundings, seen.objects),
            )
        return observing.observe(plan.subject, seen)

    async def tell(self, told: Told) -> None:
        """Tell what a strategy did as an event; what is wrong with it is in the status."""
        service = self._world.service((told.namespace, told.service))
        if service is None:
            return
        occurrence = events.Occurrence(told.reason, told.message)
        now = _stamp(self._clock())
        await self._tell(events.manifest({**service, "apiVersion": _SERVICE.api_version}, occurrence, now))

    async def _tell(self, event: Manifest) -> None:
        """Write an event, or count up the one that is there; one that cannot be written is no reason to stop."""
        name, namespace = event["metadata"]["name"], event["metadata"]["namespace"]
        try:
            try:
                await self._cluster.create(event)
            except errors.ObjectConflict:
                known = await self._cluster.get(_EVENT, name, namespace)
                await self._cluster.patch(_EVENT, name, namespace, events.repeated(known, event))
        except errors.ClusterError as error:
            _log.debug("an event was not written: %s", error)

    # -- ends ---------------------------------------------------------------------------------------

    async def _let_go(self, key: Key, manifest: Manifest) -> None:
        """Let a service be deleted; Kubernetes deletes what belongs to it."""
        finalizers = manifest["metadata"].get("finalizers") or []
        if _FINALIZER in finalizers:
            left = [each for each in finalizers if each != _FINALIZER]
            version = manifest["metadata"].get("resourceVersion")
            patch = {"metadata": {"finalizers": left or None, "resourceVersion": version}}
            try:
                await self._cluster.patch(_SERVICE, key[1], key[0], patch)
            except (errors.ObjectNotFound, errors.ObjectConflict):
                return  # the watch tells what became of it
        self._forget(key)

    def _forget(self, key: Key) -> None:
        self._applier.forget(key)
        self._loops.follow(*key, ())


def _lacks(manifest: Manifest, plan: Plan, there: Objects) -> bool:
    """Whether something is not there of a service that has been looked at before."""
    if plan.desired is None or not manifest.get("status"):
        return False
    return any((each["kind"], each["metadata"]["name"]) not in there for each in plan.desired.objects)


def _stamp(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _has_turned(plan: Plan, there: Objects) -> bool:
    """Whether a component has begun or ceased to answer since the plan: a status would be half of before."""
    if not isinstance(plan.subject, ResolvedService):
        return False
    return observing.ready(plan.subject, there) != plan.surroundings.ready


def _is_frozen(manifest: Manifest) -> bool:
    """Whether a service that is Ready, and whose spec is as it was then, is to stay as it is."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    if str((metadata.get("annotations") or {}).get(planning.FREEZE, "")).lower() != "true":
        return False
    known = _previous(status)
    conditions = (known.conditions if known is not None else None) or ()
    ready = any(each.type == "Ready" and each.status == "True" for each in conditions)
    return ready and status.get("observedGeneration") == metadata.get("generation")


def _previous(status: Mapping[str, Any]) -> InferenceServiceStatus | None:
    """The status before; None where there is none, or nobody can read it."""
    try:
        return InferenceServiceStatus.model_validate(dict(status), by_alias=True, by_name=False) if status else None
    except ValueError:
        return None
