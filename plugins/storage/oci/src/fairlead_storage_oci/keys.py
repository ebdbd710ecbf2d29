"""Keys: public keys that signatures are checked by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = ["Key", "load"]

_MARK: Final = "-----BEGIN "
_LABELS: Final = ("-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----")
_MIN_RSA_BITS: Final = 2048


class Key:
    """A public key.

    Args:
        check: raises ``cryptography``'s ``InvalidSignature`` for a signature, its first argument, that is not by this
            key of a content, its second.
        fingerprint: what to call the key in errors.
    """

    def __init__(self, check: Callable[[bytes, bytes], None], fingerprint: str) -> None:
        self._check = check
        self.fingerprint = fingerprint

    def signed(self, signature: bytes, content: bytes) -> bool:
        """Whether a signature is by this key, of this content."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._check(signature, content)
        except InvalidSignature:
            return False
        return True


def load(value: str, name: str) -> Key:
    """Read a key: the PEM of a public key, or the path of a file with it.

    The schemes are cosign's: ECDSA on P-256 with SHA-256, RSA (PKCS #1 version 1.5) with SHA-256, and Ed25519.

    Args:
        value: PEM or path.
        name: the setting, for errors.

    Raises:
        ConfigurationError: it is not such a key.
    """
    text = value if _MARK in value else _read(value, name)
    if text.count(_MARK) != 1 or not any(label in text for label in _LABELS):
        raise errors.ConfigurationError(
            f"{name} is not the PEM of one public key.",
            remedy="cosign public-key --key cosign.key prints it. Certificates and private keys are not taken.",
        )
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return _key(load_pem_public_key(text.encode()), name)
    except (ValueError, UnsupportedAlgorithm):
        raise errors.ConfigurationError(f"{name} is a public key that cannot be read.") from None


def _read(value: str, name: str) -> str:
    if "://" in value or value.strip().lower() == "keyless":
        raise errors.ConfigurationError(
            f"{name} asks for a key of a cloud, of a cluster or of Sigstore's own services, which is not supported.",
            remedy="Give the public key itself, as PEM or as the path of a file.",
        )
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise errors.ConfigurationError(f"{name} is neither PEM nor a file that can be read: {reason}.") from None


def _key(public: PublicKeyTypes, name: str) -> Key:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    fingerprint = f"sha256:{hashlib.sha256(der).hexdigest()[:16]}"
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        curve = public
        return Key(lambda signature, content: curve.verify(signature, content, ec.ECDSA(hashes.SHA256())), fingerprint)
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= _MIN_RSA_BITS:
        number = public
        return Key(
            lambda signature, content: number.verify(signature, content, padding.PKCS1v15(), hashes.SHA256()),
            fingerprint,
        )
    if isinstance(public, ed25519.Ed25519PublicKey):
        return Key(public.verify, fingerprint)
    raise errors.ConfigurationError(
        f"{name} is a public key of a kind that is not supported.",
        remedy=f"Supported are ECDSA on P-256, RSA from {_MIN_RSA_BITS} bits on, and Ed25519.",
    )
