"""Certificates: made, judged, renewed before they expire, and kept in a Secret that replicas share."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from typing import Any

import kubernetes_validate
import pytest
from cryptography import x509
from cryptography.x509 import verification

from fairlead import errors
from fairlead_operator import certificates
from fairlead_operator.certificates import Bundle
from fairlead_operator.keeping import Keeper
from fairlead_operator_tests.golden import VERSION

NOW = dt.datetime(2026, 5, 4, 3, 2, 1, tzinfo=dt.UTC)
NAMES = certificates.names_of("fairlead-operator", "fairlead")
BUNDLE = certificates.issued(NAMES, NOW)


def after(**time: float) -> dt.datetime:
    return NOW + dt.timedelta(**time)


def verified(bundle: Bundle, now: dt.datetime, authorities: bytes | None = None) -> None:
    """Verify a certificate as a TLS client does; raises where it is not trusted."""
    store = verification.Store(x509.load_pem_x509_certificates(authorities or bundle.authorities))
    verifier = verification.PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(NAMES[0]))
    verifier.verify(x509.load_pem_x509_certificate(bundle.certificate), [])


def test_a_certificate_is_trusted_by_the_name_of_its_service_from_now_until_it_expires() -> None:
    verified(BUNDLE, NOW)
    verified(BUNDLE, after(days=89))
    with pytest.raises(verification.VerificationError):
        verified(BUNDLE, after(days=91))
    with pytest.raises(verification.VerificationError):
        verified(BUNDLE, NOW, certificates.issued(NAMES, NOW).authorities)


def test_it_has_every_name_that_an_api_server_may_use() -> None:
    assert NAMES[:2] == ("fairlead-operator.fairlead.svc", "fairlead-operator.fairlead.svc.cluster.local")
    certificate = x509.load_pem_x509_certificate(BUNDLE.certificate)
    has = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(has.get_values_for_type(x509.DNSName)) == NAMES


@pytest.mark.parametrize(("days", "kept"), [(0, True), (59, True), (61, False), (95, False)])
def test_it_is_renewed_before_it_expires_by_the_same_authority(days: int, kept: bool) -> None:
    found = certificates.renewed(BUNDLE, NAMES, after(days=days))
    assert (found == BUNDLE) is kept
    assert found.authorities == BUNDLE.authorities
    verified(found, after(days=days))


def test_an_authority_is_renewed_too_and_the_one_before_stays_trusted() -> None:
    late = after(days=3000)
    old = certificates.renewed(BUNDLE, NAMES, after(days=2400))
    found = certificates.renewed(BUNDLE, NAMES, late)
    assert found.authorities.endswith(BUNDLE.authorities)
    assert found.authorities != BUNDLE.authorities
    verified(found, late)
    verified(old, after(days=2401), found.authorities)
    gone = certificates.renewed(found, NAMES, after(days=7000))
    assert BUNDLE.authorities not in gone.authorities


@pytest.mark.parametrize(
    "broken",
    [
        {"certificate": b"rubbish"},
        {"key": b"rubbish"},
        {"key": certificates.issued(NAMES, NOW).key},
        {"authorities": b"rubbish"},
        {"authorities": certificates.issued(NAMES, NOW).authorities},
        {"authority_key": b"rubbish", "certificate": b"rubbish"},
    ],
)
def test_a_certificate_that_cannot_be_used_is_made_anew(broken: dict[str, bytes]) -> None:
    values = {name: getattr(BUNDLE, name) for name in ("certificate", "key", "authorities", "authority_key")}
    found = certificates.renewed(Bundle(**{**values, **broken}), NAMES, NOW)
    assert not certificates.wrong_with(found, NAMES, NOW)
    verified(found, NOW)


def test_a_certificate_for_other_names_is_made_anew() -> None:
    others = certificates.names_of("other", "place")
    assert certificates.wrong_with(BUNDLE, others, NOW) == "has not the name other.place.svc"
    assert not certificates.wrong_with(certificates.renewed(BUNDLE, others, NOW), others, NOW)


def test_a_certificate_that_somebody_else_provides_is_used_until_it_cannot_be_and_never_replaced() -> None:
    theirs = Bundle(BUNDLE.certificate, BUNDLE.key, BUNDLE.authorities)
    assert certificates.renewed(theirs, NAMES, after(days=80)) == theirs
    with pytest.raises(errors.ConfigurationError, match=r"has expired at 2026-08-02.*Whoever provides it"):
        certificates.renewed(theirs, NAMES, after(days=95))


# -- the Secret ------------------------------------------------------------------------------------------


def test_a_secret_holds_it_and_shows_no_key_in_its_representation() -> None:
    secret = certificates.to_secret(BUNDLE, "webhooks", "fairlead")
    kubernetes_validate.validate(secret, VERSION, strict=True)
    assert certificates.from_secret(secret) == BUNDLE
    assert "PRIVATE" not in repr(BUNDLE)


@pytest.mark.parametrize(
    "secret",
    [None, {}, {"data": None}, {"data": {"tls.crt": "%%%", "tls.key": "YQ==", "ca.crt": "YQ=="}}, {"data": {"a": "b"}}],
)
def test_a_secret_without_a_certificate_holds_none(secret: Any) -> None:
    assert certificates.from_secret(secret) is None


class _Store:
    """Secrets with optimistic concurrency; each write waits for the others to have read."""

    def __init__(self, secret: dict[str, Any] | None = None) -> None:
        self.secret = secret
        self.writes = 0

    async def get(self, kind: Any, name: str, namespace: str | None = None) -> dict[str, Any]:
        if self.secret is None:
            raise errors.ObjectNotFound("there is none")
        return self.secret

    async def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        if self.secret is not None:
            raise errors.ObjectConflict("there is one")
        return self._write(manifest, 1)

    async def replace(self, manifest: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        assert self.secret is not None
        known = self.secret["metadata"]["resourceVersion"]
        if manifest["metadata"]["resourceVersion"] != known:
            raise errors.ObjectConflict("it was changed")
        return self._write(manifest, int(known) + 1)

    def _write(self, manifest: dict[str, Any], version: int) -> dict[str, Any]:
        self.writes += 1
        self.secret = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": str(version)}}
        return self.secret


def keeper(store: Any, now: dt.datetime = NOW) -> Keeper:
    return Keeper(store, "webhooks", "fairlead", NAMES, lambda: now)


@pytest.mark.parametrize("days", [0, 61])
def test_replicas_that_write_at_once_agree_on_one_certificate(days: int) -> None:
    store = _Store()

    async def all_at_once() -> list[Bundle]:
        if days:
            await keeper(store).current()
        return await asyncio.gather(*(keeper(store, after(days=days)).current() for _ in range(4)))

    found = asyncio.run(all_at_once())
    assert len({each.certificate for each in found}) == 1
    assert store.writes == 1 + bool(days)


def test_a_certificate_that_is_good_is_not_written_again() -> None:
    store = _Store()
    asyncio.run(keeper(store).current())
    asyncio.run(keeper(store, after(days=30)).current())
    assert store.writes == 1


def test_a_secret_that_was_made_empty_is_filled_and_keeps_its_type() -> None:
    store = _Store({"kind": "Secret", "type": "Opaque", "metadata": {"name": "webhooks", "resourceVersion": "4"}})
    asyncio.run(keeper(store).current())
    assert store.secret is not None
    assert store.secret["type"] == "Opaque"
    assert certificates.from_secret(store.secret) is not None


def test_what_is_issued_is_what_a_server_loads() -> None:
    context = ssl.create_default_context(cadata=BUNDLE.authorities.decode())
    assert context.cert_store_stats()["x509_ca"] == 1
