"""The certificate of the webhooks: an authority and a server's certificate, made and renewed here, kept in a Secret.

Pure but for random numbers: the time is given, and reading and writing the Secret is another's.

The Secret has the keys of cert-manager and KServe: ``tls.crt``, ``tls.key`` and ``ca.crt``, and ``ca.key`` beside them.
One without ``ca.key`` is somebody else's: it is used, and never written.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fairlead import errors

if TYPE_CHECKING:
    from fairlead_operator.desired.model import Manifest

__all__ = ["Bundle", "from_secret", "issued", "names_of", "renewed", "to_secret", "wrong_with"]

_AUTHORITY: Final = "fairlead-operator webhooks"
_AUTHORITY_LASTS: Final = dt.timedelta(days=3650)
_SERVER_LASTS: Final = dt.timedelta(days=90)
_LEFT: Final = 1 / 3  # of its time, when a certificate is renewed
_CLOCKS_DIFFER: Final = dt.timedelta(minutes=10)
_KEYS: Final = {"certificate": "tls.crt", "key": "tls.key", "authorities": "ca.crt", "authority_key": "ca.key"}


@dataclasses.dataclass(frozen=True, slots=True)
class Bundle:
    """A server's certificate and what it is trusted by, as PEM.

    Attributes:
        certificate: the server's certificate.
        key: its private key.
        authorities: those who vouch for it, the one in use first; one that it has replaced stays until it expires, so
            that replicas that have not loaded the new certificate yet are trusted.
        authority_key: the private key of the first; empty for a certificate that somebody else provides.
    """

    certificate: bytes
    key: bytes = dataclasses.field(repr=False)
    authorities: bytes
    authority_key: bytes = dataclasses.field(default=b"", repr=False)

    @property
    def ours(self) -> bool:
        """Whether it was made here, and may be renewed here."""
        return bool(self.authority_key)

    @property
    def ca_bundle(self) -> str:
        """The authorities as the configuration of a webhook has them."""
        return base64.b64encode(self.authorities).decode()


def names_of(service: str, namespace: str, domain: str = "cluster.local") -> tuple[str, ...]:
    """The names that a server behind a Service has."""
    own = f"{service}.{namespace}"
    return (f"{own}.svc", f"{own}.svc.{domain}", own, service)


def issued(names: Sequence[str], now: dt.datetime) -> Bundle:
    """A new authority, and a certificate of it.

    Args:
        names: the names of the server, the first of them its own.
        now: the time.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _AUTHORITY)])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    authority = (
        _builder(name, name, key.public_key(), now, _AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return _signed(names, now, authority, key, _pem(authority))


def renewed(bundle: Bundle | None, names: Sequence[str], now: dt.datetime) -> Bundle:
    """The certificate that is to be used now: the same where that is good, and a new one where it is not.

    Args:
        bundle: what there is; None for nothing.
        names: the names of the server.
        now: the time.

    Raises:
        ConfigurationError: it is somebody else's, and cannot be used.
    """
    if bundle is None:
        return issued(names, now)
    problem = wrong_with(bundle, names, now)
    if not problem:
        return bundle
    if not bundle.ours:
        raise errors.ConfigurationError(
            f"The certificate of the webhooks {problem}.",
            remedy="Whoever provides it has to renew it. Or delete its Secret, and the operator makes one.",
        )
    try:
        authority, key = _authority(bundle)
        lives = _left(authority, now) > _LEFT
    except ValueError:
        return issued(names, now)
    if lives:
        return _signed(names, now, authority, key, bundle.authorities)
    fresh = issued(names, now)
    older = [each for each in x509.load_pem_x509_certificates(bundle.authorities) if each.not_valid_after_utc > now]
    return dataclasses.replace(fresh, authorities=fresh.authorities + b"".join(map(_pem, older)))


def wrong_with(bundle: Bundle, names: Sequence[str], now: dt.datetime) -> str:
    """Why a certificate is to be renewed, as what follows on its name; empty where it is not."""
    try:
        certificate, *_ = x509.load_pem_x509_certificates(bundle.certificate)
        authorities = x509.load_pem_x509_certificates(bundle.authorities)
        key = serialization.load_pem_private_key(bundle.key, None)
        has = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return "cannot be read"
    if _public(key) != certificate.public_key().public_bytes(*_PUBLIC):
        return "is not that of its key"
    if bundle.ours and not any(_vouches(each, certificate) for each in authorities):
        return "is not vouched for by its authority"
    missing = [each for each in names[:1] if each not in has.get_values_for_type(x509.DNSName)]
    if missing:
        return f"has not the name {missing[0]}"
    if now > certificate.not_valid_after_utc:
        return f"has expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    if bundle.ours and min(_left(each, now) for each in (certificate, authorities[0])) <= _LEFT:
        return "is about to expire"
    return ""


# -- the Secret -----------------------------------------------------------------------------------------


def to_secret(bundle: Bundle, name: str, namespace: str, known: Mapping[str, Any] | None = None) -> Manifest:
    """The Secret that holds a certificate.

    Args:
        bundle: the certificate.
        name: the name of the Secret.
        namespace: its namespace.
        known: the Secret that it replaces: writing fails where another was faster; None to make a new one, which
            fails where another has.
    """
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    metadata["labels"] = {"app.kubernetes.io/managed-by": "fairlead-operator"}
    if known is not None:
        metadata["resourceVersion"] = known["metadata"]["resourceVersion"]
    data = {key: base64.b64encode(getattr(bundle, field)).decode() for field, key in _KEYS.items()}
    kind = "kubernetes.io/tls" if known is None else known.get("type", "Opaque")  # a type cannot be changed
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}


def from_secret(secret: Mapping[str, Any] | None) -> Bundle | None:
    """The certificate that a Secret holds; None where it holds none, such as one that is yet to be filled."""
    data = (secret or {}).get("data") or {}
    found = {}
    for field, key in _KEYS.items():
        try:
            found[field] = base64.b64decode(data.get(key) or "", validate=True)
        except (binascii.Error, ValueError, TypeError):
            found[field] = b""
    if not (found["certificate"] and found["key"] and found["authorities"]):
        return None
    return Bundle(**found)


# -- within ---------------------------------------------------------------------------------------------

_PUBLIC: Final = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _signed(
    names: Sequence[str],
    now: dt.datetime,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    authorities: bytes,
) -> Bundle:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    lasts = min(_SERVER_LASTS, authority.not_valid_after_utc - now)
    vouched = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(subject, authority.subject, key.public_key(), now, lasts)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(vouched), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Bundle(_pem(certificate), _private(key), authorities, _private(authority_key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, lasts: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(bundle: Bundle) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The authority in use and its key; raises ValueError where they cannot be used."""
    authority, *_ = x509.load_pem_x509_certificates(bundle.authorities)
    key = serialization.load_pem_private_key(bundle.authority_key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or _public(key) != authority.public_key().public_bytes(*_PUBLIC):
        raise ValueError("it is the key of another")
    return authority, key


def _left(certificate: x509.Certificate, now: dt.datetime) -> float:
    """The part of its time that a certificate has left."""
    whole = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return (certificate.not_valid_after_utc - now) / whole


def _vouches(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001  # a wrong signature is an exception of its own, and so is a foreign kind of key
        return False
    return True


def _public(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(*_PUBLIC))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
