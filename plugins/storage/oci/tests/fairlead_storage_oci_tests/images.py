"""Images and artefacts, made and pushed as their tools do."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import zstandard

if TYPE_CHECKING:
    from fairlead_storage_oci_tests.registries import Descriptor

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
MANIFEST = f"{OCI}.manifest.v1+json"
INDEX = f"{OCI}.index.v1+json"
LAYER = f"{OCI}.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
UNPACK = "io.deis.oras.content.unpack"
FILEPATH = "org.cncf.model.filepath"


class Target(Protocol):
    """What can be pushed to."""

    def blob(self, repository: str, content: bytes, media_type: str, **annotations: str) -> Descriptor: ...

    def manifest(self, repository: str, tag: str, document: Mapping[str, Any]) -> Descriptor: ...


def packed(files: Mapping[str, bytes], compression: str = "gzip") -> bytes:
    """A tar archive: plain, or compressed with gzip or zstd."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    plain = buffer.getvalue()
    if compression == "gzip":
        return gzip.compress(plain, mtime=0)
    return zstandard.ZstdCompressor().compress(plain) if compression == "zstd" else plain


def image(
    target: Target,
    repository: str,
    tag: str,
    *layers: Mapping[str, bytes],
    media_type: str = f"{LAYER}+gzip",
    compression: str = "gzip",
    docker: bool = False,
) -> Descriptor:
    """Push an image; each layer is given by its files."""
    config = f"{DOCKER}.container.image.v1+json" if docker else f"{OCI}.config.v1+json"
    pushed = [target.blob(repository, packed(layer, compression), media_type) for layer in layers]
    document = {
        "schemaVersion": 2,
        "mediaType": f"{DOCKER}.distribution.manifest.v2+json" if docker else MANIFEST,
        "config": target.blob(repository, b'{"architecture":"amd64","os":"linux","rootfs":{}}', config),
        "layers": pushed,
    }
    return target.manifest(repository, tag, document)


def index(target: Target, repository: str, tag: str, *manifests: Descriptor, docker: bool = False) -> Descriptor:
    """Push an index over manifests that are there."""
    media_type = f"{DOCKER}.distribution.manifest.list.v2+json" if docker else INDEX
    return target.manifest(repository, tag, {"schemaVersion": 2, "mediaType": media_type, "manifests": list(manifests)})


def platform(manifest: Descriptor, architecture: str, system: str = "linux") -> Descriptor:
    """A manifest as an index names it."""
    return {**manifest, "platform": {"os": system, "architecture": architecture}}


def artifact(target: Target, repository: str, tag: str, layers: Sequence[Descriptor]) -> Descriptor:
    """Push an artefact that is no image, over blobs that are there."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.example.model",
        "config": target.blob(repository, b"{}", EMPTY),
        "layers": list(layers),
    }
    return target.manifest(repository, tag, document)


def files(target: Target, repository: str, tag: str, contents: Mapping[str, bytes]) -> Descriptor:
    """Push files as ORAS does: each a layer with its name as an annotation."""
    layers = [
        target.blob(repository, content, "application/octet-stream", **{TITLE: name})
        for name, content in contents.items()
    ]
    return artifact(target, repository, tag, layers)
