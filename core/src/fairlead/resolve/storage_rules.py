"""Rules about where artefacts come from, and where they are placed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.api.inferenceservice import ExplainerSpec
from fairlead.api.predictor import PredictorSpec
from fairlead.resolve import findings, implementations, storage
from fairlead.resolve.storage_entries import SPECIFIED_TYPES

if TYPE_CHECKING:
    from fairlead.api.component import StorageUri
    from fairlead.api.inferenceservice import ArtExplainer
    from fairlead.api.predictor import ConfidentialSpec, PredictorExtension
    from fairlead.resolve.catalogue import Catalogue

__all__ = ["check_storage", "scheme"]

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_RESOURCE_ID: Final = re.compile(r"kbs:///[^/\s]+/[^/\s]+/[^/\s]+")


def scheme(uri: str) -> str | None:
    """What stands before ``://``, in lower case; None for a path of this machine."""
    found = _SCHEME.match(uri)
    return found[1].lower() if found else None


def check_storage(found: findings.Findings, component: implementations.Declared, catalogue: Catalogue) -> None:
    """Every artefact of a component."""
    spec, path = component.spec, component.path
    blocks: list[tuple[str, PredictorExtension | ArtExplainer]] = []
    if isinstance(spec, PredictorSpec):
        blocks += implementations.blocks(spec)
    if isinstance(spec, ExplainerSpec) and spec.art is not None:
        blocks.append(("art", spec.art))
    for name, block in blocks:
        if block.storage_uri is not None and spec.storage_uris:
            found.problem(
                f"{path}.storageUris",
                f"{name}.storageUri is set as well. Keep one of them; storageUris may list it with the mountPath "
                "/mnt/models.",
            )
        _check_block(found, f"{path}.{name}", block, catalogue, is_model=name == "model")
    if spec.storage_uris:
        for index, item in enumerate(spec.storage_uris):
            _check_fetchable(found, f"{path}.storageUris[{index}].uri", item.uri, catalogue)
        _check_places(found, f"{path}.storageUris", spec.storage_uris)


def _check_block(
    found: findings.Findings,
    path: str,
    block: PredictorExtension | ArtExplainer,
    catalogue: Catalogue,
    *,
    is_model: bool,
) -> None:
    uri = block.storage_uri
    if uri is not None:
        _check_fetchable(found, f"{path}.storageUri", uri, catalogue)
    if block.storage is not None:
        if uri is not None and block.storage.path:
            found.problem(f"{path}.storage.path", "storageUri is set as well. Keep one of them.")
        if not is_model:
            _check_specified(found, path, uri, (block.storage.parameters or {}).get("type"))
    confidential: ConfidentialSpec | None = getattr(block, "confidential", None)
    if confidential is not None and confidential.enabled:
        _check_confidential(found, path, uri, confidential.resource_id)


def _check_specified(found: findings.Findings, path: str, uri: str | None, kind: str | None) -> None:
    known = findings.listed(SPECIFIED_TYPES)
    if kind is not None and kind not in SPECIFIED_TYPES:
        found.problem(f"{path}.storage.parameters.type", f"{findings.shown(kind)} is not one of {known}.")
    if uri is not None and scheme(uri) not in SPECIFIED_TYPES:
        found.problem(
            f"{path}.storageUri",
            f"{findings.shown(uri)} cannot have a storage beside it, which describes {known} alone. Take storage out, "
            "or give an address of one of these.",
        )


def _check_confidential(found: findings.Findings, path: str, uri: str | None, resource_id: str | None) -> None:
    if not uri:
        found.problem(f"{path}.confidential", "it decrypts what storageUri names, and there is none. Set storageUri.")
    elif scheme(uri) in ("oci", "pvc"):
        found.warn(f"{path}.confidential", f"{scheme(uri)}:// is mounted and not fetched, so it is not decrypted.")
    if resource_id is not None and not _RESOURCE_ID.fullmatch(resource_id):
        found.problem(
            f"{path}.confidential.resourceId",
            f"{findings.shown(resource_id)} is not of the form kbs:///<repository>/<type>/<tag>.",
        )


def _check_fetchable(found: findings.Findings, path: str, uri: str, catalogue: Catalogue) -> None:
    """An address that nobody is known to fetch: KServe says so only when the service is there, so it is a warning."""
    if not uri:
        found.problem(path, "it is empty. Give an address, or take it out.")
        return
    try:
        storage.check_uri(uri, path, catalogue)
    except errors.Unresolvable as error:
        found.warn(path, str(error).removeprefix(f"{path}: "))


# -- several artefacts ------------------------------------------------------------------------------------


def _check_places(found: findings.Findings, path: str, items: Sequence[StorageUri]) -> None:
    fetched: list[tuple[str, ...]] = []
    places: dict[tuple[str, ...], list[int]] = {}
    for index, item in enumerate(items):
        parts = _parts(item.mount_path)
        if not parts or ".." in parts or not item.mount_path.startswith("/"):
            found.problem(
                f"{path}[{index}].mountPath",
                f"{findings.shown(item.mount_path)} is not a folder below /, such as /mnt/models.",
            )
            continue
        places.setdefault(parts, []).append(index)
        if scheme(item.uri) != "pvc":
            fetched.append(parts)
    for parts, indexes in places.items():
        # A volume is mounted over what is there, so its folder is its own; KServe looks at this only beside two other
        # artefacts.
        if len(indexes) > 1 and any(scheme(items[index].uri) == "pvc" for index in indexes):
            found.problem(
                f"{path}[{indexes[1]}].mountPath",
                f"/{'/'.join(parts)} is the folder of storageUris[{indexes[0]}] too, and a volume needs a folder of "
                "its own. Give it another mountPath.",
            )
    if len(fetched) > 1 and len({parts[0] for parts in fetched}) > 1:
        shown = findings.listed(dict.fromkeys(f"/{'/'.join(parts)}" for parts in fetched), "and")
        found.problem(path, f"{shown} have no folder in common but /. Place them below one, such as /mnt.")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))
