"""Makes the objects of one service what they are desired to be, with as few writes as that takes."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead_operator import differences
from fairlead_operator.adopting import adopt
from fairlead_operator.desired.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fairlead_operator.cluster.client import Cluster
    from fairlead_operator.desired.model import Manifest, Owner
    from fairlead_operator.queue import Key
    from fairlead_operator.world import World

__all__ = ["Applier"]

_log = logging.getLogger("fairlead.operator")

_DEPLOYMENT: Final = "Deployment"
_HOLDS: Final = "fairlead.io/holds-replicas"
"""The annotation of a Deployment whose replicas this operator decides."""

_NEVER: Final = "1"
"""A version that no object ever has: what is applied with it is made, and changes nothing that is there."""

_HEIR: Final = "fairlead-handover"
"""Who holds the replicas of a Deployment until an autoscaler changes them."""

_CONDITIONS: Final = {
    "Deployment": "PredictorReady",
    "Service": "PredictorReady",
    "PodDisruptionBudget": "PredictorReady",
    "Ingress": "IngressReady",
    "HTTPRoute": "IngressReady",
}
_ELSE: Final = "AutoscalerReady"
"""That of what strategies make."""

_INVALID: Final = 422


class Applier:
    """Applies what differs, and deletes what is not desired any more.

    Args:
        cluster: the API server.
        world: what is known of it; it is told what was written.
    """

    def __init__(self, cluster: Cluster, world: World) -> None:
        self._cluster = cluster
        self._world = world
        self._odd: dict[tuple[Key, str, str], tuple[str, str]] = {}

    async def apply(
        self, key: Key, owner: Owner, objects: Iterable[Manifest], live: Mapping[tuple[str, str], Manifest]
    ) -> tuple[Problem, ...]:
        """Make the objects that a service is to have what they should be.

        Args:
            key: the service.
            owner: the same as the owner of its objects.
            objects: all that it is to have, in the order in which they are made.
            live: what there is of it, by kind and name.

        Returns:
            What the API server refused; the rest is done.

        Raises:
            ClusterUnavailable: the API server cannot be asked.
        """
        problems = []
        for each in objects:
            try:
                await self._one(key, owner, each, live.get(_name(each)))
            except (errors.ObjectRefused, errors.ObjectNotFound, errors.ObjectConflict) as error:
                if isinstance(error, errors.ObjectConflict) and error.status:  # it changed in this moment
                    raise errors.ClusterUnavailable(error.reason, status=error.status) from error
                problems.append(_problem(each, error))
        return tuple(problems)

    async def remove(
        self, key: Key, owner: Owner, objects: Iterable[Manifest], live: Mapping[tuple[str, str], Manifest]
    ) -> tuple[Problem, ...]:
        """Delete what belongs to a service and is not among the objects that it is to have.

        Args:
            key: the service.
            owner: the same as the owner of its objects.
            objects: all that it is to have.
            live: what there is of it, by kind and name.

        Returns:
            What the API server refused.

        Raises:
            ClusterUnavailable: the API server cannot be asked.
        """
        wanted = {_name(each) for each in objects}
        problems = []
        for name, each in live.items():
            if name not in wanted and _is_of(each, owner):
                problems += await self._remove(key, each)
        return tuple(problems)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a service that is gone."""
        for known in [each for each in self._odd if each[0] == key]:
            del self._odd[known]

    async def _one(self, key: Key, owner: Owner, desired: Manifest, live: Manifest | None) -> None:
        wanted = _with_holder(differences.marked(desired))
        if live is not None and not _is_of(live, owner) and not _is_orphan(live):
            raise errors.ObjectConflict(_taken(wanted, owner))
        remembered = (key, wanted["kind"], wanted["metadata"]["name"])
        if live is not None and (differences.covers(live, wanted) or self._is_known(remembered, live, wanted)):
            return
        if live is not None:
            if not _is_marked(live):
                await adopt(self._cluster, live)
            await self._hand_over(live, wanted)
            if _is_other(live, wanted):
                await self._remove(key, live)
                live = None
        now = await self._write(wanted, owner, known=live is not None)
        self._world.wrote(now)
        if differences.covers(now, wanted):
            self._odd.pop(remembered, None)
        else:  # the server writes something in another way: what it made of it is what it should be
            self._odd[remembered] = (differences.digest(wanted), _made_of(now, wanted))
        _log.info("%s/%s: %s %s is applied", *key, wanted["kind"], wanted["metadata"]["name"])

    async def _found(self, desired: Manifest) -> Manifest | None:
        metadata = desired["metadata"]
        try:
            return await self._cluster.get(self._cluster.kinds.of(desired), metadata["name"], metadata.get("namespace"))
        except errors.ObjectNotFound:
            return None

    def _is_known(self, remembered: tuple[Key, str, str], live: Manifest, wanted: Manifest) -> bool:
        return self._odd.get(remembered) == (differences.digest(wanted), _made_of(live, wanted))

    async def _write(self, wanted: Manifest, owner: Owner, *, known: bool) -> Manifest:
        """Apply; an object that nobody has told of is not taken from whoever made it."""
        if known:
            return await self._forced(wanted)
        new = {**wanted, "metadata": {**wanted["metadata"], "resourceVersion": _NEVER}}
        try:
            return await self._cluster.apply(new, force=False)
        except errors.ObjectConflict:
            found = await self._found(wanted)
            if found is not None and not _is_of(found, owner):
                raise errors.ObjectConflict(_taken(wanted, owner)) from None
            if found is not None and not _is_marked(found):
                await adopt(self._cluster, found)
            return await self._cluster.apply(wanted, force=True)

    async def _forced(self, wanted: Manifest) -> Manifest:
        """Apply; where what others have added makes it invalid, such as a second port without a name, that goes."""
        try:
            return await self._cluster.apply(wanted, force=True)
        except errors.ObjectRefused as error:
            if error.status != _INVALID:
                raise
            metadata = wanted["metadata"]
            where = self._cluster.kinds.of(wanted), metadata["name"], metadata.get("namespace")
            await self._cluster.patch(*where, {"spec": wanted["spec"]})  # lists become what they are to be
            return await self._cluster.apply(wanted, force=True)

    async def _hand_over(self, live: Manifest, wanted: Manifest) -> None:
        """Leave the number of replicas to another: a field that nobody holds would fall back to its default.

        It is applied by another name, which then holds it as well; a patch that changes nothing would not hold it.
        """
        held = _HOLDS in (live["metadata"].get("annotations") or {}) or not _is_marked(live)
        replicas = (live.get("spec") or {}).get("replicas")
        if wanted["kind"] != _DEPLOYMENT or "replicas" in wanted["spec"] or not held or replicas is None:
            return
        metadata = {key: live["metadata"].get(key) for key in ("name", "namespace")}
        kept = {"apiVersion": wanted["apiVersion"], "kind": _DEPLOYMENT, "metadata": metadata}
        try:
            await self._cluster.apply({**kept, "spec": {"replicas": replicas}}, force=False, manager=_HEIR)
        except errors.ObjectConflict:
            return  # another has changed it, and holds it

    async def _remove(self, key: Key, live: Manifest) -> list[Problem]:
        metadata = live["metadata"]
        if metadata.get("deletionTimestamp"):
            return []
        try:
            await self._cluster.delete(
                self._cluster.kinds.of(live), metadata["name"], metadata.get("namespace"), uid=metadata.get("uid", "")
            )
        except errors.ObjectRefused as error:
            return [_problem(live, error)]
        _log.info("%s/%s: %s %s is deleted", *key, live["kind"], metadata["name"])
        return []


def _is_other(live: Manifest, wanted: Manifest) -> bool:
    """Whether a Service has an address of its own and is to have none, or the reverse: that never changes."""
    if wanted["kind"] != "Service":
        return False
    headless = [(each.get("spec") or {}).get("clusterIP") == "None" for each in (live, wanted)]
    return headless[0] is not headless[1]


def _name(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _with_holder(manifest: Manifest) -> Manifest:
    if manifest["kind"] != _DEPLOYMENT or "replicas" not in manifest["spec"]:
        return manifest
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata["annotations"], _HOLDS: "true"}}}


def _is_of(live: Mapping[str, Any], owner: Owner) -> bool:
    """Whether an object belongs to a service: by its identity, because another of that name may have been before."""
    references = live["metadata"].get("ownerReferences") or ()
    return any(each.get("controller") and each.get("uid") == owner.uid for each in references)


def _is_orphan(live: Mapping[str, Any]) -> bool:
    """Whether this operator made an object that nobody owns any more: somebody has taken its owner from it."""
    metadata = live["metadata"]
    owned = any(each.get("controller") for each in metadata.get("ownerReferences") or ())
    return not owned and _is_marked(live)


def _is_marked(live: Mapping[str, Any]) -> bool:
    """Whether this operator has applied an object."""
    return differences.DIGEST in (live["metadata"].get("annotations") or {})


def _made_of(live: Manifest, wanted: Manifest) -> str:
    return json.dumps(differences.projected(live, wanted), sort_keys=True, default=str)


def _taken(manifest: Manifest, owner: Owner) -> str:
    return (
        f"There is a {manifest['kind']} {manifest['metadata']['name']} in {owner.namespace} already, and it does not"
        f" belong to this InferenceService. Delete it, or give the InferenceService another name."
    )


def _problem(manifest: Manifest, error: errors.ClusterError) -> Problem:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    words = {errors.ObjectConflict: "ObjectNotOwned", errors.ObjectNotFound: "KindNotServed"}
    return Problem(_CONDITIONS.get(kind, _ELSE), words.get(type(error), "ObjectRefused"), f"{kind} {name}: {error}")
