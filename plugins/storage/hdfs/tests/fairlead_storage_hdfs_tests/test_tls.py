"""Namenodes and datanodes behind https, with certificates on both sides."""

from __future__ import annotations

import base64
import logging
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_storage_hdfs_tests.certification import Authority
from fairlead_storage_hdfs_tests.hadoop import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead_storage_hdfs_tests.conftest import MakeProvider
    from fairlead_storage_hdfs_tests.hadoop import Cluster


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("authority of the test")


@pytest.fixture
def secure(authority: Authority, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that asks for client certificates."""
    with running(context=authority.server(tmp_path, clients=True)) as cluster:
        cluster.put("/model.bin", b"content")
        yield cluster


def read(provider: MakeProvider, cluster: Cluster, **credentials: str) -> bytes:
    one = provider(HDFS_NAMENODE=cluster.urls[0], **credentials)
    (item,) = one.list("hdfs:///model.bin")
    return b"".join(one.open_range(item))


@pytest.mark.parametrize("encoded", [False, True], ids=["PEM", "base64"])
def test_both_sides_show_who_they_are(
    secure: Cluster, provider: MakeProvider, authority: Authority, encoded: bool
) -> None:
    pair = authority.pair("alice")
    given = {"TLS_CA": authority.certificate, "TLS_CERT": pair.certificate, "TLS_KEY": pair.key}
    if encoded:
        given = {key: base64.encodebytes(text.encode()).decode() for key, text in given.items()}
    assert read(provider, secure, **given) == b"content"


def test_nothing_of_a_key_is_left_on_the_disk(
    secure: Cluster,
    provider: MakeProvider,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    pair = authority.pair("alice")
    read(provider, secure, TLS_CA=authority.certificate, TLS_CERT=pair.certificate, TLS_KEY=pair.key)
    assert list(folder.rglob("*")) == []


def test_files_of_a_mounted_secret_are_read(
    secure: Cluster, provider: MakeProvider, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, folder = authority.pair("alice"), tmp_path / "secret"
    folder.mkdir()
    for name, text in {
        "HDFS_NAMENODE": secure.urls[0],
        "TLS_CA": authority.certificate,
        "TLS_CERT": pair.certificate,
        "TLS_KEY": pair.key,
    }.items():
        folder.joinpath(name).write_text(text)
    monkeypatch.setenv("HDFS_SECRET_DIR", str(folder))
    assert [item.size for item in provider().list("hdfs:///model.bin")] == [7]


def test_a_server_that_nobody_vouches_for_is_refused(
    secure: Cluster, provider: MakeProvider, authority: Authority
) -> None:
    pair, other = authority.pair("alice"), Authority("another")
    for authorities in ({}, {"TLS_CA": other.certificate}):
        with pytest.raises(errors.StorageError, match="TLS_CA") as caught:
            read(provider, secure, TLS_CERT=pair.certificate, TLS_KEY=pair.key, **authorities)
        assert not isinstance(caught.value, errors.StorageUnavailable)
    assert secure.requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_asks_for_a_certificate_that_is_missing_or_not_its_authoritys(
    authority: Authority, provider: MakeProvider, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context, stranger = authority.server(tmp_path, clients=True), Authority("another").pair("mallory")
    context.minimum_version = context.maximum_version = version
    with running(context=context) as cluster:
        for given in ({}, {"TLS_CERT": stranger.certificate, "TLS_KEY": stranger.key}):
            with pytest.raises(errors.StorageError, match="TLS_CERT") as caught:
                read(provider, cluster, TLS_CA=authority.certificate, **given)
            # With TLS 1.3 the server may be gone before its alert is read.
            assert version is ssl.TLSVersion.TLSv1_3 or isinstance(caught.value, errors.AccessDenied)
        assert cluster.requests == []


def test_verification_can_be_turned_off_and_that_is_said(
    authority: Authority, provider: MakeProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(context=authority.server(tmp_path, clients=False)) as cluster:
        cluster.put("/model.bin", b"content")
        with pytest.raises(errors.StorageError, match="TLS_CA"):
            read(provider, cluster)
        with caplog.at_level(logging.WARNING):
            assert read(provider, cluster, TLS_SKIP_VERIFY="true") == b"content"
    assert "TLS_SKIP_VERIFY" in caplog.text


def test_the_bundle_of_the_environment_counts_where_there_is_no_authority_of_the_service(
    secure: Cluster, provider: MakeProvider, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, pair = tmp_path / "bundle.pem", authority.pair("alice")
    bundle.write_text(authority.certificate)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert read(provider, secure, TLS_CERT=pair.certificate, TLS_KEY=pair.key) == b"content"


@pytest.mark.parametrize("damage", ["TLS_CA", "TLS_CERT", "TLS_KEY", "swapped", "path", "encrypted"])
def test_certificates_that_cannot_be_read_are_an_error_that_does_not_show_them(
    provider: MakeProvider, authority: Authority, damage: str
) -> None:
    pair = authority.pair("alice")
    given = {"TLS_CA": authority.certificate, "TLS_CERT": pair.certificate, "TLS_KEY": pair.key}
    if damage == "swapped":
        given["TLS_KEY"] = authority.pair("bob").key
    elif damage == "path":
        given["TLS_KEY"] = "/etc/secret/key.pem"
    elif damage == "encrypted":
        given["TLS_KEY"] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nsecret\n-----END ENCRYPTED PRIVATE KEY-----\n"
    else:
        given[damage] = "-----BEGIN secret-----\nsecret\n"
    with pytest.raises(errors.ConfigurationError, match="TLS_") as caught:
        provider(HDFS_NAMENODE="https://namenode:9871", **given)
    assert "secret" not in str(caught.value)
