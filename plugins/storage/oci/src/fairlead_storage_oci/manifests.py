"""Manifests and indexes: what a registry answers with for a tag or a digest (OCI image specification)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead import errors
from fairlead_storage_oci.references import DIGEST

__all__ = ["ACCEPT", "Descriptor", "Index", "Manifest", "architecture", "check_digest", "choose", "parse"]

_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ACCEPT: Final = ", ".join((*_MANIFESTS, *_INDEXES))
"""The media types that a registry may answer with."""

_MAX_LAYERS: Final = 100_000

_ARCHITECTURES: Final = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "i386": "386",
    "i686": "386",
    "loongarch64": "loong64",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
"""Go's names of architectures, which platforms are given in, by those of the kernel."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What one document says of another, or of a blob.

    Attributes:
        media_type: what it is.
        digest: of its content.
        size: in bytes.
        annotations: further texts by key.
        platform: operating system and architecture, such as ``linux/amd64``; empty where none is given.
    """

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str]
    platform: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest.

    Attributes:
        config: the configuration, whose media type says what kind of artefact it is.
        layers: the blobs, the lowest first.
    """

    config: Descriptor
    layers: Sequence[Descriptor]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index: one manifest for each platform."""

    manifests: Sequence[Descriptor]


def check_digest(content: bytes, digest: str, subject: str) -> None:
    """See that a content has a digest.

    Raises:
        IntegrityError: it has another one.
    """
    algorithm, _, wanted = digest.partition(":")
    if hashlib.new(algorithm, content).hexdigest() != wanted:
        raise errors.IntegrityError(f"{subject} does not have the digest {digest}; it was damaged or exchanged.")


def parse(content: bytes, content_type: str, subject: str) -> Manifest | Index:
    """Read a manifest or an index.

    Args:
        content: the document.
        content_type: what the registry calls it.
        subject: what to call it in errors.

    Raises:
        StorageError: it is neither, or lacks a part.
        UnsafeArtifact: it can be read as both, which would let two readers see two artefacts.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise errors.StorageError(f"{subject} is not a manifest: it is not a JSON object.")
    media_type = _media_type(document, content_type, subject)
    # OCI image specification, "Image Manifest": a client has to refuse such a document.
    if (media_type in _MANIFESTS and "manifests" in document) or (media_type in _INDEXES and "layers" in document):
        raise errors.UnsafeArtifact(f"{subject} is a manifest and an index at once.")
    if media_type in _INDEXES:
        return Index(manifests=_descriptors(document, "manifests", subject))
    if media_type in _MANIFESTS:
        return Manifest(
            config=_descriptor(document.get("config"), subject), layers=_descriptors(document, "layers", subject)
        )
    raise errors.StorageError(
        f"{subject} is of the media type {media_type!a}, which is not supported.",
        remedy=f"Supported are {ACCEPT}.",
    )


def _media_type(document: Mapping[str, Any], content_type: str, subject: str) -> str:
    told = content_type.partition(";")[0].strip().lower()
    own = document.get("mediaType")
    if isinstance(own, str):
        if told in (*_MANIFESTS, *_INDEXES) and told != own:
            raise errors.UnsafeArtifact(f"{subject} calls itself {own!a}, and its registry calls it {told}.")
        return own
    if told in (*_MANIFESTS, *_INDEXES):
        return told
    if "manifests" in document:
        return _INDEXES[0]
    return _MANIFESTS[0] if "layers" in document else told


def _descriptors(document: Mapping[str, Any], name: str, subject: str) -> list[Descriptor]:
    values = document.get(name)
    if not isinstance(values, list):
        raise errors.StorageError(f"{subject} has no list of {name}.")
    if len(values) > _MAX_LAYERS:
        raise errors.StorageLimitExceeded(f"{subject} has more than {_MAX_LAYERS} {name}.")
    return [_descriptor(value, subject) for value in values]


def _descriptor(value: object, subject: str) -> Descriptor:
    if not isinstance(value, dict):
        raise errors.StorageError(f"{subject} lacks a descriptor.")
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    annotations, place = value.get("annotations") or {}, value.get("platform") or {}
    if not (isinstance(media_type, str) and isinstance(digest, str) and DIGEST.fullmatch(digest)):
        raise errors.StorageError(f"{subject} has a descriptor without a media type or a digest that is known.")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise errors.StorageError(f"{subject} has a descriptor without a size.")
    if not isinstance(annotations, dict) or not all(isinstance(text, str) for text in annotations.values()):
        raise errors.StorageError(f"{subject} has annotations that are not texts by key.")
    if not isinstance(place, dict):
        raise errors.StorageError(f"{subject} has a platform that is not an object.")
    return Descriptor(
        media_type=media_type.lower(),
        digest=digest,
        size=size,
        annotations=annotations,
        platform=f"{place.get('os', '')}/{place.get('architecture', '')}" if place else "",
    )


def architecture() -> str:
    """This machine's architecture, by Go's name."""
    machine = platform.machine().lower()
    return _ARCHITECTURES.get(machine, machine)


def choose(index: Index, subject: str) -> Descriptor:
    """The manifest of an index for Linux on this machine's architecture; or the only one, if it names no platform.

    Raises:
        ArtifactNotFound: there is none.
    """
    wanted = f"linux/{architecture()}"
    for descriptor in index.manifests:
        if descriptor.platform == wanted:
            return descriptor
    if len(index.manifests) == 1 and not index.manifests[0].platform:
        return index.manifests[0]
    there = ", ".join(sorted({descriptor.platform or "none" for descriptor in index.manifests})) or "nothing"
    raise errors.ArtifactNotFound(
        f"{subject} has no image for {wanted}; it has {there}.",
        remedy="Push an image for this platform, or name the digest of the one that is meant.",
    )
