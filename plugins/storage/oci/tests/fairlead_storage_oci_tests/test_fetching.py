"""From a URI to files, with the fetcher that users have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fairlead import errors
from fairlead.plugins import Plugins
from fairlead.storage.fetcher import Fetcher
from fairlead.storage.progress import SilentProgress
from fairlead.storage.settings import FetchSettings
from fairlead_storage_oci_tests import images
from fairlead_storage_oci_tests.images import LAYER, TITLE, UNPACK

if TYPE_CHECKING:
    from fairlead_storage_oci_tests.double import Double
    from fairlead_storage_oci_tests.registries import Registry

_Fetch = Callable[[str], dict[str, bytes]]


@pytest.fixture
def fetch(tmp_path: Path) -> _Fetch:
    def fetch(uri: str) -> dict[str, bytes]:
        settings = FetchSettings(cache=tmp_path / "cache", retries=0)
        path = Fetcher(Plugins.discover(), settings, SilentProgress()).fetch(uri).path
        files = [file for file in path.rglob("*") if file.is_file()]
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}

    return fetch


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
def test_the_models_of_an_image_are_fetched_and_the_rest_is_not(
    fetch: _Fetch, registry: Registry, compression: str
) -> None:
    repository = f"fetched/{compression or 'plain'}"
    layers = (
        {"etc/passwd": b"root", "models-old/model": b"older"},
        {"models/model.joblib": b"old", "models/gone": b"gone", "models/sub/gone": b"gone", "models/sub/kept": b"kept"},
        {
            "./models/model.joblib": b"new",
            "models/.wh.gone": b"",
            "models/sub/.wh..wh..opq": b"",
            "models/sub/new": b"1",
        },
    )
    media_type = LAYER + (f"+{compression}" if compression else "")
    images.image(registry, repository, "1", *layers, media_type=media_type, compression=compression)
    assert fetch(f"oci://{registry.host}/{repository}:1") == {"model.joblib": b"new", "sub/new": b"1"}


def test_what_was_fetched_before_a_signature_was_asked_for_is_not_taken_for_signed(
    fetch: _Fetch, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = images.files(registry, "fetched/unsigned", "1", {"model.bin": b"model"})
    uri = f"oci://{registry.host}/fetched/unsigned@{made['digest']}"
    assert fetch(uri) == {"model.bin": b"model"}
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    monkeypatch.setenv("FAIRLEAD_STORAGE_COSIGN_KEY", key.public_bytes(serialization.Encoding.PEM, form).decode())
    with pytest.raises(errors.UnsafeArtifact, match="is not signed"):
        fetch(uri)


def test_an_image_without_models_is_an_error(fetch: _Fetch, registry: Registry) -> None:
    images.image(registry, "fetched/none", "1", {"etc/passwd": b"root"})
    with pytest.raises(errors.ArtifactNotFound):
        fetch(f"oci://{registry.host}/fetched/none:1")


def test_layers_that_come_twice_are_unpacked_twice(fetch: _Fetch, registry: Registry) -> None:
    images.image(registry, "fetched/twice", "1", {"models/a": b"1"}, {"models/a": b"2"}, {"models/a": b"1"})
    assert fetch(f"oci://{registry.host}/fetched/twice:1") == {"a": b"1"}


def test_a_tag_that_moves_is_fetched_anew(fetch: _Fetch, registry: Registry) -> None:
    uri = f"oci://{registry.host}/fetched/moved:1"
    for content in (b"1", b"2"):
        images.image(registry, "fetched/moved", "1", {"models/a": content})
        assert fetch(uri) == {"a": content}


def test_files_and_packed_folders_of_an_artefact_lie_beside_each_other(fetch: _Fetch, registry: Registry) -> None:
    repository = "fetched/oras"
    folder = images.packed({"weights/a": b"a", "weights/sub/b": b"b"})
    layers = [
        registry.blob(repository, b"{}", "application/json", **{TITLE: "config.json"}),
        registry.blob(repository, folder, f"{LAYER}+gzip", **{TITLE: "weights", UNPACK: "true"}),
    ]
    images.artifact(registry, repository, "1", layers)
    assert fetch(f"oci://{registry.host}/{repository}:1") == {
        "config.json": b"{}",
        "weights/a": b"a",
        "weights/sub/b": b"b",
    }


def test_a_single_archive_of_an_artefact_is_unpacked(fetch: _Fetch, registry: Registry) -> None:
    images.files(registry, "fetched/archive", "1", {"model.tar.gz": images.packed({"model.joblib": b"m"})})
    assert fetch(f"oci://{registry.host}/fetched/archive:1") == {"model.joblib": b"m"}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b"])
def test_names_that_leave_the_target_are_refused(fetch: _Fetch, double: Double, name: str, tmp_path: Path) -> None:
    images.files(double, "evil", "1", {name: b"evil", "model.bin": b"model"})
    with pytest.raises(errors.UnsafeArtifact):
        fetch(f"oci://{double.host}/evil:1")
    assert not list(tmp_path.rglob("evil"))


def test_members_of_a_layer_that_leave_the_target_are_refused(fetch: _Fetch, double: Double, tmp_path: Path) -> None:
    images.image(double, "evil", "1", {"models/../../evil": b"evil"})
    with pytest.raises(errors.StorageError):
        fetch(f"oci://{double.host}/evil:1")
    assert not list(tmp_path.rglob("evil"))


def test_credentials_of_a_service_reach_the_registry(double: Double, tmp_path: Path) -> None:
    from fairlead_storage_oci_tests.double import Guard

    images.image(double, "iris", "1", {"models/a": b"a"})
    double.guard = Guard(challenge='Basic realm="x"', good={"Basic YWRhOnB3"})
    secret = json.dumps({"auths": {double.host: {"auth": "YWRhOnB3"}}})
    settings = FetchSettings(cache=tmp_path / "cache", credentials={".dockerconfigjson": secret})
    path = Fetcher(Plugins.discover(), settings, SilentProgress()).fetch(f"oci://{double.host}/iris:1").path
    assert (path / "a").read_bytes() == b"a"
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file() and b"YWRhOnB3" in file.read_bytes()]
