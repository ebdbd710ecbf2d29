"""Contents: which files the layers of a manifest are."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairlead import RemoteObject, errors
from fairlead.contracts.storage import Unpacking

if TYPE_CHECKING:
    from fairlead_storage_oci.manifests import Descriptor, Manifest
    from fairlead_storage_oci.references import Reference

__all__ = ["objects"]

_IMAGE_CONFIGS: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
_OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_OCI_FOREIGN: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
_DOCKER_FOREIGN: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar"
_LAYERS: Final = {
    **{f"{layer}{suffix}": kind
       for layer in (_OCI_LAYER, _OCI_FOREIGN)
       for suffix, kind in (("", "tar"), ("+gzip", "tar.gz"), ("+zstd", "tar.zst"))},
    **{f"{layer}{suffix}": kind
       for layer in (_DOCKER_LAYER, _DOCKER_FOREIGN)
       for suffix, kind in (("", "tar"), (".gzip", "tar.gz"), (".zstd", "tar.zst"))},
}  # fmt: skip
"""Layers of images: OCI image specification, "Image Layer Filesystem Changeset", and Docker's before it."""

_EMPTY: Final = "application/vnd.oci.empty.v1+json"
_TITLE: Final = "org.opencontainers.image.title"
_UNPACK: Final = "io.deis.oras.content.unpack"
_PATHS: Final = ("org.cncf.model.filepath", "org.cnai.model.filepath")
_PACKED_NAMES: Final = (".tar", ".tar.gz", ".tgz", ".gz")
_MODELS: Final = "models"
"""The folder of an image that holds the model, as KServe has it."""


def objects(reference: Reference, manifest: Manifest) -> Sequence[RemoteObject]:
    """The files of an artefact, or the layers of an image, which are to be unpacked in this order.

    Raises:
        ArtifactNotFound: there are none.
        StorageError: a layer is of a media type that is not known.
    """
    named = [_name(layer) for layer in manifest.layers]
    image = manifest.config.media_type in _IMAGE_CONFIGS and not all(named)
    found = [
        _layer(reference, number, layer) if image else _file(reference, layer)
        for number, layer in enumerate(manifest.layers)
        if image or layer.media_type != _EMPTY or _name(layer)
    ]
    if not found:
        raise errors.ArtifactNotFound(f"{reference} holds no files.")
    return found


def _name(layer: Descriptor) -> str:
    return next((layer.annotations[key] for key in (*_PATHS, _TITLE) if layer.annotations.get(key)), "")


def _layer(reference: Reference, number: int, layer: Descriptor) -> RemoteObject:
    kind = _LAYERS.get(layer.media_type)
    if kind is None:
        raise errors.StorageError(
            f"{reference} has a layer of the media type {layer.media_type!a}, which is not supported.",
            remedy=f"Layers are tar archives, plain or packed with gzip or zstd: {_OCI_LAYER}[+gzip|+zstd].",
        )
    # An image may hold one layer twice, as tools add empty ones; hence the number.
    name = f"layer-{number:04d}-{layer.digest.partition(':')[2][:12]}"
    return _object(reference, layer, name, Unpacking(kind=kind, below=_MODELS, layered=True))


def _file(reference: Reference, layer: Descriptor) -> RemoteObject:
    name = _name(layer).removesuffix("/")
    if not name:
        raise errors.StorageError(
            f"{reference} is no image, and has a layer of the media type {layer.media_type!a} without a file name.",
            remedy=f"Artefacts are read whose layers have the annotation {_TITLE} (ORAS) or {_PATHS[0]} (ModelPack).",
        )
    return _object(reference, layer, name, _unpacking(layer, name))


def _unpacking(layer: Descriptor, name: str) -> Unpacking | None:
    if any(layer.annotations.get(key) for key in _PATHS):
        # Members are named from the root of the model on, whatever the annotation says (ModelPack's own client).
        kind = _packed(layer.media_type)
        return Unpacking(kind=kind) if kind else None
    if layer.annotations.get(_UNPACK, "").lower() == "true":
        # ORAS packs folders with gzip, whatever media type its user gives them.
        kind = "tar.zst" if layer.media_type.endswith("+zstd") else "tar.gz"
        return Unpacking(kind=kind, below=name, into=name)
    told = _UNPACK in layer.annotations
    if not told and layer.media_type == f"{_OCI_LAYER}+gzip" and not name.endswith(_PACKED_NAMES):
        # So does ORAS for Python, which tells a folder by this media type alone.
        return Unpacking(kind="tar.gz", below=posixpath.basename(name), into=name)
    return None


def _packed(media_type: str) -> str | None:
    suffixes = {".tar": "tar", ".tar+gzip": "tar.gz", ".tar.gzip": "tar.gz", ".tar+zstd": "tar.zst"}
    return next((kind for suffix, kind in suffixes.items() if media_type.endswith(suffix)), None)


def _object(reference: Reference, layer: Descriptor, name: str, unpacking: Unpacking | None) -> RemoteObject:
    return RemoteObject(
        name=name,
        key=reference.blob(layer.digest),
        size=layer.size,
        etag=layer.digest,
        digest=layer.digest,
        unpacking=unpacking,
    )
