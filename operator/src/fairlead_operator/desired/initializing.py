"""The init container that fetches artefacts: its arguments, its credentials, and what a platform lays over it.

The Secrets of a ServiceAccount are mounted, and the program of the container finds out what they hold: the operator may
not read Secrets. The image of a ClusterStorageContainer knows nothing of that; it gets their keys as variables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.resolve import merge, storage, storage_spec
from fairlead.resolve.credentials import OVERRIDE_VARIABLE, ROLE_ANNOTATION, STORAGE_CONFIG_VARIABLE, Credentials
from fairlead.resolve.mounted import CONFIG_MAPS, FOLDER_VARIABLE, NAMES_VARIABLE, SECRETS, Mounted
from fairlead_operator.desired import foreign, wiring

if TYPE_CHECKING:
    from fairlead.api.storagecontainer import ClusterStorageContainer
    from fairlead.resolve.service import ResolvedComponent, Source
    from fairlead_operator.desired.model import Surroundings

__all__ = ["GLOBAL_BUNDLE", "NAME", "UID_ANNOTATION", "container"]

NAME: Final = "storage-initializer"
"""The name of the container, by which its end is found in a pod's status."""

UID_ANNOTATION: Final = "serving.kserve.io/storage-initializer-uid"
"""The user that it runs as."""

GLOBAL_BUNDLE: Final = "global-ca-bundle"
"""The copy of the operator's ConfigMap with authorities, in every other namespace."""

_FOLDER: Final = "/var/secrets/fairlead"
_BUNDLE_VOLUME: Final = "cabundle-cert"
_INSECURE: Final = "KSERVE_OCI_INSECURE_REGISTRY"


def container(
    sources: Sequence[Source], component: ResolvedComponent, surroundings: Surroundings, made: wiring.Wiring
) -> dict[str, Any]:
    """The init container that fetches artefacts; the volumes that it needs for that are added.

    Args:
        sources: the artefacts.
        component: their component.
        surroundings: what it is rendered in.
        made: gets the volumes.

    Raises:
        Unresolvable: no container that there is takes all of them.
    """
    config = surroundings.config.storage
    chosen = _chosen(sources, component, surroundings)
    over = {} if chosen is None else {key: each for key, each in chosen.spec.container.items() if key != "name"}
    is_foreign = over.get("image") not in (None, "", config.image)
    parts = foreign.Parts(made)
    _add_entry(sources, parts, is_foreign=is_foreign)
    mounted = _mounted(sources, surroundings)
    (foreign.add if is_foreign else _add_files)(sources, mounted, parts)
    if config.oci_insecure and any(each.uri.startswith("oci") for each in sources):
        parts.env[_INSECURE] = {"value": "true"}
    _add_bundle(surroundings, mounted.config_map if is_foreign else None, parts)
    base: dict[str, Any] = {
        "name": NAME,
        "image": config.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [] if over.get("args") else _pairs(sources),
        "env": [{"name": name, **value} for name, value in parts.env.items()],
        "envFrom": parts.env_from,
        "resources": config.resources.manifest(),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": wiring.restricted(_uid(component.annotations)),
        "volumeMounts": parts.mounts,
    }
    return merge.container({key: value for key, value in base.items() if value not in ([], {})}, over)


def _pairs(sources: Sequence[Source]) -> list[str]:
    return [wiring.literal(part) for each in sources for part in (each.uri, each.mount_path)]


def _uid(annotations: Mapping[str, str]) -> int | None:
    text = annotations.get(UID_ANNOTATION)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text.strip()):
        raise errors.Unresolvable(
            "InvalidAnnotation",
            f"The annotation {UID_ANNOTATION} is {text[:60]!r}.",
            remedy="Give the number of a user, such as 1337.",
        )
    return int(text)


# -- the container of a platform --------------------------------------------------------------------------


def _chosen(
    sources: Sequence[Source], component: ResolvedComponent, surroundings: Surroundings
) -> ClusterStorageContainer | None:
    """The ClusterStorageContainer that fetches all of the artefacts: the named one, else the first that takes each."""
    found = [_taking(each, component.storage_container, surroundings) for each in sources]
    names = list(dict.fromkeys("the operator's own" if each is None else each.metadata.name for each in found))
    if len(names) > 1:
        raise errors.Unresolvable(
            "UnsupportedStorageContainer",
            f"The artefacts of {component.name} would be fetched by different ClusterStorageContainers:"
            f" {', '.join(names)}.",
            remedy="Name one that takes all of them with storageContainerName, or declare one.",
        )
    if (one := found[0]) is not None and len(sources) > 1 and not one.spec.supports_multi_model_download:
        raise errors.Unresolvable(
            "UnsupportedStorageContainer",
            f"The ClusterStorageContainer {one.metadata.name} fetches one artefact, and {component.name} has"
            f" {len(sources)}.",
            remedy="Set its supportsMultiModelDownload if its image takes several pairs of an address and a folder.",
        )
    return one


def _taking(source: Source, name: str | None, surroundings: Surroundings) -> ClusterStorageContainer | None:
    declared = surroundings.storage_containers
    if name is None:
        return next((each for each in declared if storage.takes(each, source.uri)), None)
    one = next((each for each in declared if each.metadata.name == name), None)
    if one is not None and storage.takes(one, source.uri):
        return one
    why = "there is none of that name" if one is None else f"it is disabled, or does not take {source.uri[:80]}"
    raise errors.Unresolvable(
        "UnsupportedStorageContainer",
        f"storageContainerName is {name!r}, and {why}.",
        remedy="Take it out, or declare one that fits.",
    )


# -- credentials ------------------------------------------------------------------------------------------


def _add_entry(sources: Sequence[Source], parts: foreign.Parts, *, is_foreign: bool) -> None:
    """Give the entry of the storage secret, and what is laid over it, as KServe's program is given them.

    Raises:
        Unresolvable: the image of somebody else would have to complete an address.
    """
    names = next((each.credentials for each in sources if each.credentials and each.credentials.specified), None)
    if names is None:
        return
    if is_foreign and any(each.uri.startswith(storage_spec.PENDING) for each in sources):
        raise errors.Unresolvable(
            "InvalidStorageSpec",
            "Where a ClusterStorageContainer of its own fetches a model, its address cannot come from a Secret.",
            remedy="Give type and bucket in storage.parameters, or the whole address in storageUri.",
        )
    if names.entry is not None:
        reference: dict[str, Any] = {"name": names.entry.secret, "key": names.entry.key}
        if names.optional:
            reference["optional"] = True
        parts.env[STORAGE_CONFIG_VARIABLE] = {"valueFrom": {"secretKeyRef": reference}}
    if names.parameters:
        text = json.dumps(dict(names.parameters), sort_keys=True)
        parts.env[OVERRIDE_VARIABLE] = {"value": wiring.literal(text)}


def _mounted(sources: Sequence[Source], surroundings: Surroundings) -> Mounted:
    """The Secrets for the artefacts; logins of registries among them where one is in a registry."""
    ordered = sorted(sources, key=lambda each: not each.uri.startswith("oci"))
    named = [each.credentials for each in ordered if each.credentials is not None]
    names = next((each for each in named if not each.specified), named[0] if named else Credentials())
    return Mounted(
        namespace=surroundings.owner.namespace, credentials=names, config=surroundings.config.resolve.credentials
    )


def _add_files(sources: Sequence[Source], mounted: Mounted, parts: foreign.Parts) -> None:
    """Mount Secrets, each in a folder of its name, and say whose they are."""
    account = mounted.credentials.holder
    bundle = mounted.config_map or _of_entry(sources)
    role = account is not None and ROLE_ANNOTATION in account.annotations
    if not (mounted.secrets or bundle or role):
        return
    parts.env[FOLDER_VARIABLE] = {"value": _FOLDER}
    parts.env[NAMES_VARIABLE] = {"value": wiring.literal(mounted.text())}
    for index, name in enumerate(mounted.secrets):
        source: dict[str, Any] = {"secretName": name}
        if name != mounted.credentials.secret:
            source["optional"] = True
        parts.mount(f"fairlead-credentials-{index}", f"{_FOLDER}/{SECRETS}/{name}", secret=source)
    if bundle:
        parts.mount(
            "fairlead-authorities", f"{_FOLDER}/{CONFIG_MAPS}/{bundle}", configMap={"name": bundle, "optional": True}
        )


def _of_entry(sources: Sequence[Source]) -> str | None:
    """The ConfigMap that parameters of ``storage`` name."""
    for each in sources:
        if each.credentials is not None and each.credentials.specified:
            return dict(each.credentials.parameters).get("cabundle_configmap")
    return None


def _add_bundle(surroundings: Surroundings, own: str | None, parts: foreign.Parts) -> None:
    """Mount the authorities that are trusted for all, and say where."""
    config = surroundings.config.storage
    name = config.ca_bundle_config_map
    if name and surroundings.owner.namespace != surroundings.home:
        name = GLOBAL_BUNDLE
    if name := own or name:
        parts.env["CA_BUNDLE_CONFIGMAP_NAME"] = {"value": name}
        parts.env["CA_BUNDLE_VOLUME_MOUNT_POINT"] = {"value": config.ca_bundle_mount_path}
        parts.mount(_BUNDLE_VOLUME, config.ca_bundle_mount_path, configMap={"name": name, "optional": True})
