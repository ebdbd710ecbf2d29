"""Signatures: an artefact is fetched if the given key has signed this very manifest, and only then."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from fairlead import errors
from fairlead_storage_oci import manifests
from fairlead_storage_oci.provider import OciProvider
from fairlead_storage_oci_tests import images

if TYPE_CHECKING:
    from fairlead_storage_oci_tests.double import Double
    from fairlead_storage_oci_tests.registries import Descriptor, Registry

_Make = Callable[..., OciProvider]
_KEY = "FAIRLEAD_STORAGE_COSIGN_KEY"
_MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
_ANNOTATION = "dev.cosignproject.cosign/signature"


def _pem(key: Any) -> str:
    public = key.public_key()
    return str(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    )


def _signature(key: Any, payload: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(payload, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(payload, padding.PKCS1v15(), hashes.SHA256())
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(payload)


def _payload(digest: str) -> bytes:
    critical = {
        "identity": {"docker-reference": "example.com/iris"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return json.dumps({"critical": critical, "optional": None}).encode()


def _sign(
    target: images.Target, repository: str, made: Descriptor, *keys: Any, digest: str | None = None
) -> list[Descriptor]:
    """Push the signatures of a manifest, as ``cosign sign --key`` does; they may name another digest."""
    payload = _payload(digest or made["digest"])
    layers = []
    for key in keys:
        text = base64.b64encode(_signature(key, payload)).decode()
        layers.append(target.blob(repository, payload, _MEDIA_TYPE, **{_ANNOTATION: text}))
    _put(target, repository, made, layers)
    return layers


def _put(target: images.Target, repository: str, made: Descriptor, layers: list[Descriptor]) -> None:
    document = {
        "schemaVersion": 2,
        "mediaType": images.MANIFEST,
        "config": target.blob(repository, b"{}", f"{images.OCI}.config.v1+json"),
        "layers": layers,
    }
    target.manifest(repository, f"{made['digest'].replace(':', '-')}.sig", document)


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def stranger() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    "private",
    [
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["ecdsa", "rsa", "ed25519"],
)
def test_what_is_signed_by_the_key_is_fetched(
    make: _Make, registry: Registry, private: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    repository = f"signed/{request.node.callspec.id}"
    _sign(registry, repository, images.files(registry, repository, "1", {"model.bin": b"model"}), private)
    file = tmp_path / "cosign.pub"
    file.write_text(_pem(private))
    for value in (_pem(private), str(file)):
        provider = make({_KEY: value})
        (item,) = provider.list(f"oci://{registry.host}/{repository}:1")
        assert b"".join(provider.open_range(item)) == b"model"


def _refused(make: _Make, double: Double, key: Any, error: type[Exception], text: str) -> None:
    digests = {digest for digest, content in double.blobs.items() if content == b"model"}
    with pytest.raises(error, match=text):
        make({_KEY: _pem(key)}).list(f"oci://{double.host}/iris:1")
    assert not any(digest in request.path for request in double.requests for digest in digests), "nothing is fetched"


@pytest.fixture
def made(double: Double) -> Descriptor:
    return images.files(double, "iris", "1", {"model.bin": b"model"})


def test_what_is_not_signed_is_refused(make: _Make, double: Double, made: Descriptor, key: Any) -> None:
    _refused(make, double, key, errors.UnsafeArtifact, "is not signed")


def test_what_somebody_else_has_signed_is_refused(
    make: _Make, double: Double, made: Descriptor, key: Any, stranger: Any
) -> None:
    _sign(double, "iris", made, stranger)
    _refused(make, double, key, errors.UnsafeArtifact, "not with the key sha256:")


def test_one_signature_of_several_is_enough(
    make: _Make, double: Double, made: Descriptor, key: Any, stranger: Any
) -> None:
    _sign(double, "iris", made, stranger, key)
    assert make({_KEY: _pem(key)}).list(f"oci://{double.host}/iris:1")


def test_a_signature_of_another_artefact_is_refused(make: _Make, double: Double, made: Descriptor, key: Any) -> None:
    other = images.files(double, "iris", "2", {"other.bin": b"other"})
    _sign(double, "iris", made, key, digest=other["digest"])
    _refused(make, double, key, errors.UnsafeArtifact, "is of another artefact")


def test_a_tag_that_has_moved_to_what_is_not_signed_is_refused(
    make: _Make, double: Double, made: Descriptor, key: Any
) -> None:
    _sign(double, "iris", made, key)
    uri = f"oci://{double.host}/iris:1"
    assert make({_KEY: _pem(key)}).list(uri)
    images.files(double, "iris", "1", {"model.bin": b"model", "evil.bin": b"evil"})
    _refused(make, double, key, errors.UnsafeArtifact, "is not signed")
    assert make({_KEY: _pem(key)}).list(f"oci://{double.host}/iris@{made['digest']}")


def test_a_damaged_text_is_refused(make: _Make, double: Double, made: Descriptor, key: Any) -> None:
    (layer,) = _sign(double, "iris", made, key)
    payload = double.blobs[layer["digest"]]
    double.faults.swapped = {layer["digest"]: payload.replace(b"example.com", b"exemple.com")}
    _refused(make, double, key, errors.IntegrityError, "damaged or exchanged")
    double.faults.swapped = {layer["digest"]: payload + b" "}
    _refused(make, double, key, errors.IntegrityError, "its manifest says")


@pytest.mark.parametrize(
    "payload",
    [b"no JSON", b"[]", b'{"critical": 1}', b'{"critical": {"type": "x", "image": {}}}', b"[" * 100_000],
)
def test_a_text_that_says_something_else_is_refused(
    make: _Make, double: Double, made: Descriptor, key: Any, payload: bytes
) -> None:
    text = base64.b64encode(_signature(key, payload)).decode()
    _put(double, "iris", made, [double.blob("iris", payload, _MEDIA_TYPE, **{_ANNOTATION: text})])
    _refused(make, double, key, errors.UnsafeArtifact, "another artefact")


@pytest.mark.parametrize("text", ["%%%", "", "AAAA"])
def test_a_signature_that_is_none_is_refused(
    make: _Make, double: Double, made: Descriptor, key: Any, text: str
) -> None:
    _put(double, "iris", made, [double.blob("iris", _payload(made["digest"]), _MEDIA_TYPE, **{_ANNOTATION: text})])
    _refused(make, double, key, errors.StorageError, "damaged|not with the key")


def test_a_text_under_the_digest_of_another_layer_does_not_count(
    make: _Make, double: Double, made: Descriptor, key: Any
) -> None:
    """A layer that is not marked as a signed text is none, whatever it holds."""
    payload = _payload(made["digest"])
    text = base64.b64encode(_signature(key, payload)).decode()
    _put(double, "iris", made, [double.blob("iris", payload, "text/plain", **{_ANNOTATION: text})])
    _refused(make, double, key, errors.UnsafeArtifact, "is not signed")


def test_texts_are_bounded(make: _Make, double: Double, made: Descriptor, key: Any) -> None:
    (layer,) = _sign(double, "iris", made, key)
    _put(double, "iris", made, [layer] * 65)
    _refused(make, double, key, errors.StorageLimitExceeded, "more than 64")
    _put(double, "iris", made, [{**layer, "size": 10}])
    double.faults.swapped = {layer["digest"]: b" " * (2 * 1024 * 1024)}
    _refused(make, double, key, errors.StorageError, "1048576 bytes")


def test_the_index_of_an_image_is_what_is_signed(make: _Make, double: Double, key: Any) -> None:
    one = images.image(double, "many", "one", {"models/a": b"a"})
    every = images.index(double, "many", "all", images.platform(one, manifests.architecture()))
    _sign(double, "many", one, key)
    provider = make({_KEY: _pem(key)})
    with pytest.raises(errors.UnsafeArtifact, match="is not signed"):
        provider.list(f"oci://{double.host}/many:all")
    _sign(double, "many", every, key)
    assert provider.list(f"oci://{double.host}/many:all")
    double.manifests[f"many/{one['digest']}"] = (images.MANIFEST, b"{}")
    with pytest.raises(errors.IntegrityError):
        provider.list(f"oci://{double.host}/many:all")


def test_the_key_of_this_machine_holds_beside_that_of_a_service(
    make: _Make, double: Double, made: Descriptor, key: Any, stranger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may give credentials must not be able to take a check away."""
    monkeypatch.setenv(_KEY, _pem(key))
    uri = f"oci://{double.host}/iris:1"
    _sign(double, "iris", made, stranger)
    with pytest.raises(errors.UnsafeArtifact):
        make({_KEY: _pem(stranger)}).list(uri)
    _sign(double, "iris", made, key, stranger)
    assert make({_KEY: _pem(stranger)}).list(uri)
    assert make().list(uri)


def test_a_registry_that_does_not_answer_is_no_reason_to_do_without(
    make: _Make, double: Double, made: Descriptor, key: Any
) -> None:
    _sign(double, "iris", made, key)
    provider = make({_KEY: _pem(key)})
    for answers in (0, 1, 2):  # the manifest, the manifest of the signatures, and the signed text
        double.faults.answers = answers
        with pytest.raises(errors.StorageUnavailable):
            provider.list(f"oci://{double.host}/iris:1")


# -- keys -----------------------------------------------------------------------------------------------


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.mark.parametrize(
    "value",
    [
        "/nowhere/cosign.pub",
        "keyless",
        "k8s://ns/secret",
        "awskms:///alias/key",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        _private(ec.generate_private_key(ec.SECP256R1())),
        _pem(ec.generate_private_key(ec.SECP256R1())) * 2,
        _pem(ec.generate_private_key(ec.SECP384R1())),
        _pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # refused for that
    ],
)
def test_what_is_no_public_key_is_an_error_and_not_shown(make: _Make, value: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=_KEY) as caught:
        make({_KEY: value})
    assert "-----" not in str(caught.value)


@pytest.mark.parametrize("given", [True, False])
def test_signatures_without_a_key_are_refused_as_a_wish(
    make: _Make, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "FAIRLEAD_STORAGE_COSIGN_CERTIFICATE_IDENTITY"
    if not given:
        monkeypatch.setenv(name, "ada@example.com")
    with pytest.raises(errors.ConfigurationError, match="keyless"):
        make({name: "ada@example.com"} if given else {})
