"""Signatures: that somebody with a given key has signed this very manifest (cosign's signature specification).

A registry keeps the signatures of a manifest ``sha256:<hex>`` under the tag ``sha256-<hex>.sig``: a manifest whose
layers are the signed texts, each with its signature as an annotation. A text names the digest of what it signs.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead_storage_oci.manifests import Descriptor, Manifest

if TYPE_CHECKING:
    from fairlead_storage_oci.keys import Key
    from fairlead_storage_oci.registry import Document, Repository

__all__ = ["verify"]

_MEDIA_TYPE: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
_ANNOTATION: Final = "dev.cosignproject.cosign/signature"
_TYPE: Final = "cosign container image signature"
_MAX_SIGNATURES: Final = 64
_MAX_PAYLOAD: Final = 1024 * 1024


def verify(repository: Repository, document: Document, key: Key) -> None:
    """Return if one of the signatures of a manifest is by the key.

    Args:
        repository: where the manifest is, and its signatures.
        document: the manifest, or the index of several.
        key: the key.

    Raises:
        UnsafeArtifact: it is not signed, not by this key, or the signature is of another manifest.
        IntegrityError: a signature is damaged, and no other one is by this key.
    """
    faults: list[errors.StorageError] = []
    for layer in _signatures(repository, document):
        try:
            _check(repository, document, key, layer)
        except (errors.UnsafeArtifact, errors.IntegrityError, errors.ArtifactNotFound) as error:
            faults.append(error)
        else:
            return
    raise _worst(faults) if faults else _unsigned(document)


def _signatures(repository: Repository, document: Document) -> list[Descriptor]:
    try:
        manifest = repository.manifest(f"{document.digest.replace(':', '-')}.sig").parse()
    except errors.ArtifactNotFound:
        raise _unsigned(document) from None
    if not isinstance(manifest, Manifest):
        raise _unsigned(document)
    found = [layer for layer in manifest.layers if layer.media_type == _MEDIA_TYPE and _ANNOTATION in layer.annotations]
    if len(found) > _MAX_SIGNATURES:
        raise errors.StorageLimitExceeded(f"{document.subject} has more than {_MAX_SIGNATURES} signatures.")
    return found


def _check(repository: Repository, document: Document, key: Key, layer: Descriptor) -> None:
    payload = repository.small_blob(layer, _MAX_PAYLOAD)
    try:
        signature = base64.b64decode(layer.annotations[_ANNOTATION], validate=True)
    except binascii.Error:
        raise errors.IntegrityError(f"A signature of {document.subject} is damaged: it is not base64.") from None
    if not key.signed(signature, payload):
        raise errors.UnsafeArtifact(
            f"{document.subject} is signed, but not with the key {key.fingerprint}, or the signed text was changed.",
            remedy="Nothing was fetched. Sign it with that key, or name the key of who signed it.",
        )
    if _signed_digest(payload) != document.digest:
        raise errors.UnsafeArtifact(
            f"The signature that {document.subject} has by the key {key.fingerprint} is of another artefact.",
            remedy="Nothing was fetched. Somebody has put a signature where it does not belong.",
        )


def _signed_digest(payload: bytes) -> str | None:
    try:
        critical: Any = json.loads(payload)["critical"]
        digest = critical["image"]["docker-manifest-digest"] if critical["type"] == _TYPE else None
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return digest if isinstance(digest, str) else None


def _worst(faults: list[errors.StorageError]) -> errors.StorageError:
    """What to tell of several: of a signature that is damaged, before those of other people."""
    return next((fault for fault in faults if not isinstance(fault, errors.UnsafeArtifact)), faults[-1])


def _unsigned(document: Document) -> errors.UnsafeArtifact:
    return errors.UnsafeArtifact(
        f"{document.subject} is not signed: its registry has no signature of {document.digest}.",
        remedy="Nothing was fetched. Sign it with cosign sign --key, or do not ask for signatures.",
    )
