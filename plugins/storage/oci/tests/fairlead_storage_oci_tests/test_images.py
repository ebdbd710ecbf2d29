"""Images: the layers to unpack, the platform, and what a manifest has to be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.contracts.storage import Unpacking
from fairlead_storage_oci import manifests
from fairlead_storage_oci_tests import images
from fairlead_storage_oci_tests.images import DOCKER, LAYER

if TYPE_CHECKING:
    from fairlead_storage_oci.provider import OciProvider
    from fairlead_storage_oci_tests.double import Double
    from fairlead_storage_oci_tests.registries import Registry

_FILES = {"models/model.joblib": b"model"}


def test_layers_are_listed_from_the_lowest_on(provider: OciProvider, registry: Registry) -> None:
    images.image(registry, "layers", "1", {"etc/os": b"1"}, _FILES, {"etc/os": b"1"})
    items = provider.list(f"oci://{registry.host}/layers:1")
    assert [item.unpacking for item in items] == [Unpacking(kind="tar.gz", below="models", layered=True)] * 3
    assert len({item.name for item in items}) == 3, "a layer may come twice"
    assert items[0].digest == items[2].digest != items[1].digest
    assert b"".join(provider.open_range(items[1])) == images.packed(_FILES)


@pytest.mark.parametrize(
    ("media_type", "compression", "docker", "kind"),
    [
        (LAYER, "", False, "tar"),
        (f"{LAYER}+gzip", "gzip", False, "tar.gz"),
        (f"{LAYER}+zstd", "zstd", False, "tar.zst"),
        (f"{images.OCI}.layer.nondistributable.v1.tar+gzip", "gzip", False, "tar.gz"),
        (f"{DOCKER}.image.rootfs.diff.tar.gzip", "gzip", True, "tar.gz"),
        (f"{DOCKER}.image.rootfs.diff.tar", "", True, "tar"),
    ],
)
def test_the_media_type_of_a_layer_says_how_it_is_packed(
    provider: OciProvider, double: Double, media_type: str, compression: str, docker: bool, kind: str
) -> None:
    images.image(double, "kinds", "1", _FILES, media_type=media_type, compression=compression, docker=docker)
    (item,) = provider.list(f"oci://{double.host}/kinds:1")
    assert item.unpacking is not None
    assert item.unpacking.kind == kind


def test_a_layer_of_an_unknown_media_type_is_refused_by_its_name(provider: OciProvider, double: Double) -> None:
    images.image(double, "odd", "1", _FILES, media_type=f"{LAYER}+gzip+encrypted")
    with pytest.raises(errors.StorageError, match=r"tar\+gzip\+encrypted"):
        provider.list(f"oci://{double.host}/odd:1")


@pytest.mark.parametrize("docker", [False, True])
def test_an_index_leads_to_the_image_for_this_machine(provider: OciProvider, registry: Registry, docker: bool) -> None:
    repository = f"index/{int(docker)}"
    media_type = f"{DOCKER}.image.rootfs.diff.tar.gzip" if docker else f"{LAYER}+gzip"
    made = {
        name: images.image(
            registry, repository, name, {"models/name": name.encode()}, media_type=media_type, docker=docker
        )
        for name in ("other", "unknown", "this")
    }
    images.index(
        registry,
        repository,
        "all",
        images.platform(made["unknown"], "unknown", "unknown"),
        images.platform(made["other"], manifests.architecture(), "windows"),
        images.platform(made["this"], manifests.architecture()),
        docker=docker,
    )
    (item,) = provider.list(f"oci://{registry.host}/{repository}:all")
    assert b"".join(provider.open_range(item)) == images.packed({"models/name": b"this"})


def test_an_index_without_this_platform_says_which_it_has(provider: OciProvider, registry: Registry) -> None:
    made = images.image(registry, "foreign", "one", _FILES)
    images.index(registry, "foreign", "all", images.platform(made, "s390y"), images.platform(made, "arm65"))
    with pytest.raises(errors.ArtifactNotFound, match="linux/arm65, linux/s390y"):
        provider.list(f"oci://{registry.host}/foreign:all")


def test_an_index_of_one_manifest_without_a_platform_leads_to_it(provider: OciProvider, registry: Registry) -> None:
    images.index(registry, "single", "all", images.files(registry, "single", "one", {"a.bin": b"a"}))
    assert [item.name for item in provider.list(f"oci://{registry.host}/single:all")] == ["a.bin"]


def test_an_index_that_leads_to_itself_ends(provider: OciProvider, double: Double) -> None:
    made = images.image(double, "deep", "0", _FILES)
    for depth in range(1, 6):
        made = images.index(double, "deep", str(depth), images.platform(made, manifests.architecture()))
    assert provider.list(f"oci://{double.host}/deep:3")
    with pytest.raises(errors.StorageError, match="more than 4 indexes"):
        provider.list(f"oci://{double.host}/deep:5")


def test_a_digest_names_its_manifest(provider: OciProvider, registry: Registry) -> None:
    made = images.image(registry, "pinned", "1", _FILES)
    images.image(registry, "pinned", "1", {"models/other": b"2"})
    (item,) = provider.list(f"oci://{registry.host}/pinned@{made['digest']}")
    (moved,) = provider.list(f"oci://{registry.host}/pinned:1")
    assert item.digest != moved.digest
    assert item.etag == item.digest, "a tag that moves is seen as a change"


def test_another_manifest_than_its_digest_says_is_refused(provider: OciProvider, double: Double) -> None:
    made = images.image(double, "swapped", "1", _FILES)
    images.image(double, "swapped", "2", {"models/evil": b""})
    double.manifests[f"swapped/{made['digest']}"] = double.manifests["swapped/2"]
    with pytest.raises(errors.IntegrityError, match="damaged or exchanged"):
        provider.list(f"oci://{double.host}/swapped@{made['digest']}")


def test_another_manifest_than_the_registry_announces_is_refused(provider: OciProvider, double: Double) -> None:
    images.image(double, "announced", "1", _FILES)
    double.faults.digest = "sha256:" + "0" * 64
    with pytest.raises(errors.IntegrityError):
        provider.list(f"oci://{double.host}/announced:1")


def test_another_manifest_than_the_index_names_is_refused(provider: OciProvider, double: Double) -> None:
    made = images.image(double, "nested", "1", _FILES)
    images.index(double, "nested", "all", images.platform(made, manifests.architecture()))
    media_type, content = double.manifests[f"nested/{made['digest']}"]
    double.manifests[f"nested/{made['digest']}"] = (media_type, content + b" ")
    with pytest.raises(errors.IntegrityError):
        provider.list(f"oci://{double.host}/nested:all")


_CONFIG = {"mediaType": images.EMPTY, "digest": "sha256:" + "0" * 64, "size": 2}


@pytest.mark.parametrize(
    ("document", "media_type", "error", "text"),
    [
        ("[1]", images.MANIFEST, errors.StorageError, "not a JSON object"),
        ("[" * 100_000, images.MANIFEST, errors.StorageError, "not a JSON object"),
        ({"schemaVersion": 1, "fsLayers": []}, f"{DOCKER}.distribution.manifest.v1+prettyjws", errors.StorageError,
         "manifest.v1"),
        ({"mediaType": "text/plain"}, "text/plain", errors.StorageError, "text/plain"),
        ({"layers": [], "manifests": [], "config": _CONFIG}, images.MANIFEST, errors.UnsafeArtifact, "at once"),
        ({"mediaType": images.INDEX, "manifests": []}, images.MANIFEST, errors.UnsafeArtifact, "calls itself"),
        ({"config": _CONFIG}, images.MANIFEST, errors.StorageError, "no list of layers"),
        ({"config": 7, "layers": []}, images.MANIFEST, errors.StorageError, "descriptor"),
        ({"config": _CONFIG, "layers": [{**_CONFIG, "size": -1}]}, images.MANIFEST, errors.StorageError, "size"),
        ({"config": _CONFIG, "layers": [{**_CONFIG, "digest": "sha256:../../x"}]}, images.MANIFEST,
         errors.StorageError, "digest"),
        ({"config": _CONFIG, "layers": [{**_CONFIG, "annotations": {"a": 1}}]}, images.MANIFEST, errors.StorageError,
         "annotations"),
        ({"config": _CONFIG, "layers": []}, images.MANIFEST, errors.ArtifactNotFound, "holds no files"),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(
    provider: OciProvider, double: Double, document: Any, media_type: str, error: type[Exception], text: str
) -> None:
    content = document if isinstance(document, str) else json.dumps(document)
    double.raw_manifest("bad", "1", content.encode(), media_type)
    with pytest.raises(error, match=text):
        provider.list(f"oci://{double.host}/bad:1")


def test_a_manifest_that_does_not_end_is_not_read_to_the_end(provider: OciProvider, double: Double) -> None:
    double.raw_manifest("long", "1", b" " * (5 * 1024 * 1024), images.MANIFEST)
    with pytest.raises(errors.StorageError, match="more than 4194304 bytes"):
        provider.list(f"oci://{double.host}/long:1")


def test_what_is_not_there_is_not_found(provider: OciProvider, registry: Registry) -> None:
    for name in ("missing:1", "missing@sha256:" + "0" * 64):
        with pytest.raises(errors.ArtifactNotFound):
            provider.list(f"oci://{registry.host}/{name}")


def test_the_architecture_is_named_as_go_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for machine, name in (("x86_64", "amd64"), ("aarch64", "arm64"), ("ppc64le", "ppc64le"), ("armv7l", "arm")):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert manifests.architecture() == name


def test_a_provider_serves_several_repositories(make: Callable[..., OciProvider], registry: Registry) -> None:
    provider = make()
    for name in ("several/a", "several/b"):
        images.files(registry, name, "1", {"name": name.encode()})
    items = [provider.list(f"oci://{registry.host}/{name}:1")[0] for name in ("several/a", "several/b")]
    assert [b"".join(provider.open_range(item)) for item in items] == [b"several/a", b"several/b"]
