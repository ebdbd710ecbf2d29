"""Additions to a pod, gathered before they are made: containers, volumes, and where the main containers mount these."""

from __future__ import annotations

import copy
import dataclasses
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead import errors

__all__ = ["PROVISION", "RESTRICTED", "Wiring", "folder", "literal", "mounts_read_only", "restricted", "targets"]

PROVISION: Final = "kserve-provision-location"
"""The volume that a model is put into."""

RESTRICTED: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""The securityContext of a container that Pod Security's level *restricted* admits."""

_TARGETS: Final = ("kserve-container", "worker-container", "transformer-container")
_READ_ONLY: Final = "storage.kserve.io/readonly"


def restricted(uid: int | None = None) -> dict[str, Any]:
    """`RESTRICTED` as a user; the root user is what somebody asked for by its number."""
    if uid is None:
        return dict(RESTRICTED)
    return {**RESTRICTED, "runAsUser": uid, "runAsNonRoot": uid != 0}


def literal(text: str) -> str:
    """A text that Kubernetes makes itself of, in arguments and variables: there ``$(NAME)`` is replaced, and ``$$``."""
    return text.replace("$", "$$")


def mounts_read_only(annotations: Mapping[str, str]) -> bool:
    """Whether containers may not write where their artefacts are."""
    return annotations.get(_READ_ONLY, "").strip().lower() != "false"


def folder(path: str) -> str:
    """A mount path in its one spelling."""
    return posixpath.normpath(path if path.startswith("/") else f"/{path}").replace("//", "/")


@dataclasses.dataclass(slots=True)
class Wiring:
    """What is added to a pod.

    Attributes:
        init: init containers, after those that there are.
        beside: containers, after those that there are.
        volumes: volumes.
        mounts: what the main containers mount.
        env: variables of the main containers that say nothing of them.
        user: ``securityContext`` of the main containers, where they say nothing of it.
        fields: fields of the PodSpec.
    """

    init: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    beside: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    volumes: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    mounts: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    user: dict[str, Any] = dataclasses.field(default_factory=dict)
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)

    def volume(self, name: str, **source: Any) -> None:
        """Add a volume; one of the same name that is the same is there once."""
        made = {"name": name, **source}
        if made not in self.volumes:
            self.volumes.append(made)

    def mount(self, volume: str, path: str, *, read_only: bool, sub_path: str = "") -> None:
        """Have the main containers mount a volume."""
        made: dict[str, Any] = {"name": volume, "mountPath": path}
        if sub_path:
            made["subPath"] = sub_path
        self.mounts.append({**made, "readOnly": True} if read_only else made)

    def applied(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        """A pod with the additions.

        Raises:
            Unresolvable: a container, a volume or a mount of the pod is in the place of an added one.
        """
        if self == Wiring():
            return dict(pod)
        init = [*(pod.get("initContainers") or ()), *copy.deepcopy(self.init)]
        containers = [*pod["containers"], *copy.deepcopy(self.beside)]
        volumes = [*(pod.get("volumes") or ()), *copy.deepcopy(self.volumes)]
        _check_once("container", [str(each["name"]) for each in (*init, *containers)])
        _check_once("volume", [str(each["name"]) for each in volumes])
        there = targets(pod)
        parts = {"initContainers": init, "volumes": volumes}
        return {
            **pod,
            **self.fields,
            "containers": [self._main(each) if each["name"] in there else each for each in containers],
            **{key: value for key, value in parts.items() if value},
        }

    def _main(self, container: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(container)
        if self.mounts:
            mounts = [*(container.get("volumeMounts") or ()), *self.mounts]
            _check_mounts(str(container["name"]), mounts)
            made["volumeMounts"] = [self._with_room(each, mounts) for each in mounts]
        known = {each.get("name") for each in container.get("env") or ()}
        if more := [{"name": name, "value": value} for name, value in self.env.items() if name not in known]:
            made["env"] = [*(container.get("env") or ()), *more]
        if self.user:
            made["securityContext"] = {**self.user, **(container.get("securityContext") or {})}
        return made

    def _with_room(self, mount: Mapping[str, Any], mounts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A mount that may be written where another is in it: in an empty volume, the other's folder has to be made."""
        empty = {each["name"] for each in self.volumes if "emptyDir" in each}
        above = f"{folder(str(mount['mountPath']))}/"
        if mount["name"] in empty and any(folder(str(each["mountPath"])).startswith(above) for each in mounts):
            return {key: value for key, value in mount.items() if key != "readOnly"}
        return dict(mount)


def targets(pod: Mapping[str, Any]) -> tuple[str, ...]:
    """The containers that artefacts are for: those that are called so, else the first."""
    names = [str(each["name"]) for each in pod["containers"]]
    return tuple(each for each in names if each in _TARGETS) or tuple(names[:1])


def _check_once(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise errors.Unresolvable(
                "InvalidPodSpec",
                f"The pod has a {what} {name!r}, which is the name of one that is added for its artefacts.",
                remedy="Give it another name, or take it out where it is to do the same.",
            )


def _check_mounts(container: str, mounts: list[dict[str, Any]]) -> None:
    paths = [folder(str(each.get("mountPath"))) for each in mounts]
    for path in paths:
        if paths.count(path) > 1:
            raise errors.Unresolvable(
                "InvalidPodSpec",
                f"Two volumes would be mounted at {path} in the container {container}.",
                remedy="Take out your own, or give the artefact another mountPath in storageUris.",
            )
