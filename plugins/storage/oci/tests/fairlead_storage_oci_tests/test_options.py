"""KServe's variables, plain http, and the authorities of certificates."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead_storage_oci.provider import OciProvider
from fairlead_storage_oci_tests import images, registries
from fairlead_storage_oci_tests.certificates import Authority

if TYPE_CHECKING:
    from fairlead_storage_oci_tests.registries import Registry

_Make = Callable[..., OciProvider]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(
    contents: Path, registry: Registry, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of an image in a registry that speaks TLS."""
    images.files(registry, "secure", "1", {"model.bin": b"model"})
    folder = tmp_path_factory.mktemp("secure")
    with registries.running(folder, contents, tls=(authority.certificate, authority.key)) as running:
        yield f"oci://{running.host}/secure:1"


def _plain(registry: Registry) -> str:
    images.files(registry, "plain", "1", {"model.bin": b"model"})
    return f"oci+fetch://{registry.host}/plain:1"


def _elsewhere(host: str, port: int, **options: Any) -> Any:
    """Resolves every name to this machine, as a registry elsewhere would not."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_a_registry_elsewhere_is_asked_over_plain_http_where_that_is_set(
    make: _Make, registry: Registry, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = registry.host.rpartition(":")[2]
    uri = _plain(registry).replace(registry.host, f"registry.example:{port}")
    with pytest.raises(errors.StorageError):
        make(resolve=_elsewhere).list(uri)
    assert make({"KSERVE_OCI_INSECURE_REGISTRY": value}, resolve=_elsewhere).list(uri)
    monkeypatch.setenv("KSERVE_OCI_INSECURE_REGISTRY", value)
    assert make(resolve=_elsewhere).list(uri)


def test_a_registry_of_this_machine_is_asked_over_plain_http_unless_that_is_turned_off(
    make: _Make, registry: Registry
) -> None:
    uri = _plain(registry)
    assert make().list(uri)
    with pytest.raises(errors.StorageError):
        make({"KSERVE_OCI_INSECURE_REGISTRY": "false"}).list(uri)


def test_another_word_is_an_error(make: _Make) -> None:
    with pytest.raises(errors.ConfigurationError, match="KSERVE_OCI_INSECURE_REGISTRY"):
        make({"KSERVE_OCI_INSECURE_REGISTRY": "maybe"})


def test_a_certificate_of_an_unknown_authority_is_not_trusted(make: _Make, secure: str) -> None:
    with pytest.raises(errors.StorageError, match="not trusted"):
        make({"KSERVE_OCI_INSECURE_REGISTRY": "no"}).list(secure)


@pytest.mark.parametrize("given", [True, False])
def test_the_authorities_that_kserve_mounts_are_trusted(
    make: _Make, secure: str, authority: Authority, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = {
        "CA_BUNDLE_CONFIGMAP_NAME": "cabundle",
        "CA_BUNDLE_VOLUME_MOUNT_POINT": str(authority.certificate.parent),
    }
    if not given:
        for name, value in bundle.items():
            monkeypatch.setenv(name, value)
    provider = make({"KSERVE_OCI_INSECURE_REGISTRY": "no", **(bundle if given else {})})
    (item,) = provider.list(secure)
    assert b"".join(provider.open_range(item)) == b"model"


def test_authorities_that_are_not_there_are_an_error(make: _Make, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="CA_BUNDLE_CONFIGMAP_NAME"):
        make({"CA_BUNDLE_VOLUME_MOUNT_POINT": str(tmp_path)})
    (tmp_path / "cabundle.crt").write_text("no certificate")
    with pytest.raises(errors.ConfigurationError, match="no certificates"):
        make({"CA_BUNDLE_VOLUME_MOUNT_POINT": str(tmp_path)})
