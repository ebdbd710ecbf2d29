"""What a pod asks for that there is only in a cluster: said in a note where it is harmless, refused where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.local.replicas import listening
from fairlead.resolve.credentials import ROLE_ANNOTATION
from fairlead.resolve.runtimes import RESOURCES, SECURITY

if TYPE_CHECKING:
    from fairlead.local.replicas.orders import Order
    from fairlead.resolve.service import ResolvedComponent

__all__ = ["of_component", "of_pod", "volumes"]

_MEANT_AS_IS: Final = frozenset(
    {"containers", "volumes", "initContainers", "terminationGracePeriodSeconds", "enableServiceLinks"}
    | {"shareProcessNamespace", "automountServiceAccountToken", "hostNetwork", "os", "ephemeralContainers"}
    | {"hostAliases", "restartPolicy"}
)
"""Fields of a PodSpec that are honoured, looked at below, or mean what is the case on one machine anyway."""

_OF_POD: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("affinity", "nodeSelector", "tolerations", "topologySpreadConstraints", "nodeName", "schedulerName"),
        "there is one machine to run on",
    ),
    **dict.fromkeys(("priorityClassName", "priority", "preemptionPolicy"), "nothing is scheduled"),
    **dict.fromkeys(("securityContext", "hostUsers"), "processes run as the user who runs the platform"),
    **dict.fromkeys(
        ("dnsPolicy", "dnsConfig", "hostname", "subdomain", "setHostnameAsFQDN"), "names are the machine's"
    ),
    **dict.fromkeys(("hostPID", "hostIPC"), "processes see those of the machine"),
    **dict.fromkeys(("runtimeClassName", "overhead"), "processes run on the machine itself"),
    "readinessGates": "nothing sets conditions of pods",
    "activeDeadlineSeconds": "a replica runs until it is told to end",
    "schedulingGates": "nothing is scheduled",
    "resourceClaims": "devices are not claimed",
    "resources": "nothing limits a process",
}
"""Fields of a PodSpec that have no effect, with the reason."""

_CONTAINER_AS_IS: Final = frozenset(
    {"name", "image", "imagePullPolicy", "command", "args", "workingDir", "ports", "env", "envFrom", "volumeMounts"}
    | {
        "resources",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "terminationMessagePath",
        "terminationMessagePolicy",
    }
    | {"stdin", "stdinOnce", "tty", "lifecycle", "volumeDevices"}
)

_OF_CONTAINER: Final[Mapping[str, str]] = {
    "securityContext": "processes run as the user who runs the platform",
    "resizePolicy": "nothing limits a process",
    "restartPolicy": "a replica that ends is started again",
}

_REMEDY: Final = "Take it out of the manifest that runs here, or run the service in a cluster."


def of_component(component: ResolvedComponent, order: Order) -> tuple[str, ...]:
    """As `of_pod`, and for what the component asks for beside its pod: logging and batching.

    Raises:
        Unresolvable: something is asked for that changes what the component does.
    """
    if component.workers is not None:
        raise errors.Unresolvable(
            "UnsupportedWorkerSpec",
            f"{component.kind}.workerSpec asks for replicas of several nodes each, and there is one machine here.",
            remedy="Take workerSpec out, and choose a model that fits on one node.",
        )
    notes = of_pod(order)
    if component.deployment_strategy is not None:
        notes += (f"{component.kind}.deploymentStrategy has no effect here: a revision starts beside the last one.",)
    if component.logger is not None:
        raise _refusal(f"{component.kind}.logger", "payloads are logged by KServe's agent")
    if component.batcher is None:
        return notes
    if not listening.is_fairlead(order):
        raise _refusal(f"{component.kind}.batcher", "requests are batched by KServe's agent, or by `fairlead serve`")
    return (*notes, f"{component.kind}.batcher has no effect here: `fairlead serve` batches by itself.")


def of_pod(order: Order) -> tuple[str, ...]:
    """What of an order's pod has no effect here: one sentence each.

    Raises:
        Unresolvable: something is asked for that changes what the container does.
    """
    pod, container = order.pod, listening.main_container(order)
    _refuse_others(pod)
    _refuse_of_container(container)
    volumes(order)
    return (*_notes_of_pod(order), *_notes_of_container(order, container))


def volumes(order: Order) -> dict[str, Path]:
    """The folders of the volumes that the main container mounts, by mount path; nothing is made.

    An ``emptyDir`` is a folder of the replica's own, a ``hostPath`` that path. A volume of a ConfigMap or Secret that
    is ``optional`` is empty.

    Raises:
        Unresolvable: a volume is of a kind that there is only in a cluster, or is not declared.
    """
    declared = {volume["name"]: volume for volume in order.pod.get("volumes") or ()}
    found = {}
    for mount in listening.main_container(order).get("volumeMounts") or ():
        name, path = mount["name"], mount["mountPath"]
        if name not in declared:
            raise errors.Unresolvable(
                "UnsupportedField",
                f"The volume {name!r} is mounted at {path}, and the pod declares no such volume.",
                remedy="Declare it under `volumes`.",
            )
        if mount.get("subPathExpr"):
            raise _refusal(f"volumeMounts[{name}].subPathExpr", "it is not expanded")
        folder = _folder(order, declared[name]) / str(mount.get("subPath") or "")
        if ".." in PurePosixPath(str(mount.get("subPath") or "")).parts:
            raise _refusal(f"volumeMounts[{name}].subPath", "it leads out of the volume")
        found[str(path)] = folder
    return found


def _folder(order: Order, volume: Mapping[str, Any]) -> Path:
    name = str(volume["name"])
    kind = next((key for key in volume if key != "name"), "emptyDir")
    source = volume.get(kind) or {}
    if kind == "hostPath":
        return Path(source["path"])
    if kind == "emptyDir" or (kind in ("configMap", "secret") and source.get("optional")):
        return order.folder / "volumes" / name
    raise _refusal(
        f"volumes[{name}].{kind}", "there is nothing here to take its files from", "Use a hostPath volume here."
    )


def _refuse_others(pod: Mapping[str, Any]) -> None:
    """Refuse what runs beside the main container, or changes what it finds."""
    others = [str(each.get("name")) for each in (pod.get("containers") or ())[1:]]
    if others:
        raise _refusal(f"containers[{', '.join(others)}]", "a replica is one process")
    for field, reason in {
        "initContainers": "nothing runs before a replica",
        "ephemeralContainers": "a replica is one process",
        "hostAliases": "names are resolved by the machine",
    }.items():
        if pod.get(field):
            raise _refusal(field, reason)
    if pod.get("restartPolicy", "Always") != "Always":
        raise _refusal("restartPolicy", "a replica that ends is started again")


def _refuse_of_container(container: Mapping[str, Any]) -> None:
    for each in container.get("envFrom") or ():
        if not (each.get("secretRef") or each.get("configMapRef")):
            raise _refusal("envFrom", "it names neither a Secret nor a ConfigMap", "Write variables under `env`.")
    if container.get("volumeDevices"):
        raise _refusal("volumeDevices", "there are no block volumes here")
    if (container.get("lifecycle") or {}).get("postStart"):
        raise _refusal("lifecycle.postStart", "nothing runs beside the container's own command")


def _notes_of_pod(order: Order) -> Iterator[str]:
    for field, value in order.pod.items():
        if field in _MEANT_AS_IS or not value:
            continue
        if field in ("serviceAccountName", "serviceAccount"):
            yield from _notes_of_account(order, field, str(value))
        elif field == "imagePullSecrets":
            yield from _notes_of_pull_secrets(order, [str(each.get("name")) for each in value])
        else:
            yield f"{field} has no effect here: {_OF_POD.get(field, 'the field is not known')}."


def _notes_of_account(order: Order, field: str, name: str) -> Iterator[str]:
    """Its Secrets are the credentials of artefacts; there is nothing else that a ServiceAccount is here."""
    account = order.declared.vault.accounts.get((order.namespace, name))
    if account is None:
        yield (
            f"{field} has no effect here: no ServiceAccount {name} is declared in the namespace {order.namespace}, so"
            " that credentials are the user's own."
        )
    elif ROLE_ANNOTATION in account.annotations:
        yield f"{ROLE_ANNOTATION} of the ServiceAccount {name} has no effect here: nothing becomes a role of AWS."


def _notes_of_pull_secrets(order: Order, names: Sequence[str]) -> Iterator[str]:
    """Logins for artefacts in registries are used; images are another matter."""
    missing = [name for name in names if (order.namespace, name) not in order.declared.vault.secrets]
    if missing or not any(source.uri.startswith("oci") for source in order.sources):
        yield "imagePullSecrets has no effect here: images are pulled with the credentials of the container runtime."


def _notes_of_container(order: Order, container: Mapping[str, Any]) -> Iterator[str]:
    of_runtime = order.model is not None  # nobody asked for what a runtime of a plugin brings
    for field, value in container.items():
        if field == "securityContext" and of_runtime and value == SECURITY:
            continue
        if field not in _CONTAINER_AS_IS and value:
            yield f"{field} has no effect here: {_OF_CONTAINER.get(field, 'the field is not known')}."
    limits = (container.get("resources") or {}).get("limits")
    if limits and not (of_runtime and limits == RESOURCES):
        yield "resources.limits has no effect here: nothing limits a process, and it sees every device of the machine."
    if container.get("command") and container.get("image") and not listening.is_fairlead(order):
        yield f"The image {container['image']} is not used here: its command runs as a process of this machine."
    if (container.get("lifecycle") or {}).get("preStop"):
        yield "lifecycle.preStop has no effect here: the gateway stops to send requests before a replica ends."
    vault = order.declared.vault
    for each in container.get("envFrom") or ():
        for field, there in (("secretRef", vault.secrets), ("configMapRef", vault.config_maps)):
            if field in each and (order.namespace, str(each[field].get("name"))) not in there:
                yield f"envFrom gives no variables here: {field} is optional, and there is none."
    if container.get("command"):
        yield from _notes_of_mounts(container)


def _notes_of_mounts(container: Mapping[str, Any]) -> Iterator[str]:
    """A process finds a volume where it is on this machine, and only if it is told so."""
    said = "\n".join((*listening.words(container), *(str(each.get("value")) for each in container.get("env") or ())))
    for mount in container.get("volumeMounts") or ():
        path = str(mount["mountPath"])
        if path not in said and path not in ("/dev/shm", "/tmp"):  # noqa: S108  # every machine has these
            yield (
                f"The volume {mount['name']} is not at {path} here, and neither arguments nor variables name that "
                "path, so the process cannot find it."
            )


def _refusal(field: str, reason: str, remedy: str = _REMEDY) -> errors.Unresolvable:
    return errors.Unresolvable("UnsupportedField", f"{field} cannot be honoured here: {reason}.", remedy=remedy)
