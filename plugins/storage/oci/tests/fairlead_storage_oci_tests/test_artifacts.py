"""Artefacts that are no images: files of ORAS, and of ModelPack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.contracts.storage import Unpacking
from fairlead_storage_oci_tests import images
from fairlead_storage_oci_tests.images import EMPTY, FILEPATH, LAYER, TITLE, UNPACK

if TYPE_CHECKING:
    from fairlead_storage_oci.provider import OciProvider
    from fairlead_storage_oci_tests.double import Double
    from fairlead_storage_oci_tests.registries import Registry


def test_files_are_named_by_their_titles(provider: OciProvider, registry: Registry) -> None:
    images.files(registry, "oras/files", "1", {"model.joblib": b"model", "sub/notes.txt": b"", "a b.bin": b"ab"})
    items = provider.list(f"oci://{registry.host}/oras/files:1")
    assert {item.name: b"".join(provider.open_range(item)) for item in items} == {
        "model.joblib": b"model",
        "sub/notes.txt": b"",
        "a b.bin": b"ab",
    }
    assert all(item.unpacking is None for item in items)
    assert all(item.digest and item.etag and item.size is not None for item in items)


@pytest.mark.parametrize(
    ("title", "media_type", "annotations", "expected"),
    [
        ("model", f"{LAYER}+gzip", {UNPACK: "true"}, Unpacking(kind="tar.gz", below="model", into="model")),
        ("model/", "x/y", {UNPACK: "true"}, Unpacking(kind="tar.gz", below="model", into="model")),
        ("model", "x/y+zstd", {UNPACK: "true"}, Unpacking(kind="tar.zst", below="model", into="model")),
        ("model", f"{LAYER}+gzip", {}, Unpacking(kind="tar.gz", below="model", into="model")),
        ("model", f"{LAYER}+gzip", {UNPACK: "false"}, None),
        ("model.tar.gz", f"{LAYER}+gzip", {}, None),
        ("model.bin", LAYER, {}, None),
    ],
)
def test_a_folder_that_oras_has_packed_is_unpacked(
    provider: OciProvider,
    double: Double,
    title: str,
    media_type: str,
    annotations: dict[str, str],
    expected: Unpacking | None,
) -> None:
    layer = double.blob("oras", images.packed({"model/a": b"a"}), media_type, **{TITLE: title, **annotations})
    images.artifact(double, "oras", "1", [layer])
    (item,) = provider.list(f"oci://{double.host}/oras:1")
    assert (item.name, item.unpacking) == (title.rstrip("/"), expected)


@pytest.mark.parametrize("prefix", ["org.cncf", "org.cnai"])
def test_layers_of_modelpack_are_files_or_archives_by_their_media_type(
    provider: OciProvider, double: Double, prefix: str
) -> None:
    path = f"{prefix}.model.filepath"
    weight = f"application/vnd.{prefix.removeprefix('org.')}.model.weight.v1"
    layers = [
        double.blob("pack", b"1", f"{weight}.raw", **{path: "weights/a.safetensors"}),
        double.blob("pack", b"2", f"{weight}.tar", **{path: "b"}),
        double.blob("pack", b"3", f"{weight}.tar+gzip", **{path: "c"}),
        double.blob("pack", b"4", f"{weight}.tar+zstd", **{path: "d"}),
        double.blob("pack", b"5", "application/vnd.docker.ai.gguf.v3", **{path: "model.gguf"}),
    ]
    images.artifact(double, "pack", "1", layers)
    found = {item.name: item.unpacking for item in provider.list(f"oci://{double.host}/pack:1")}
    assert found == {
        "weights/a.safetensors": None,
        "b": Unpacking(kind="tar"),
        "c": Unpacking(kind="tar.gz"),
        "d": Unpacking(kind="tar.zst"),
        "model.gguf": None,
    }


def test_a_layer_without_a_name_is_refused_by_its_media_type(provider: OciProvider, double: Double) -> None:
    layer = double.blob("helm", b"x", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    images.artifact(double, "helm", "1", [layer])
    with pytest.raises(errors.StorageError, match=r"helm\.chart\.content") as caught:
        provider.list(f"oci://{double.host}/helm:1")
    assert FILEPATH in (caught.value.remedy or "")
    assert TITLE in (caught.value.remedy or "")


def test_an_artefact_of_nothing_but_the_empty_layer_holds_no_files(provider: OciProvider, registry: Registry) -> None:
    images.artifact(registry, "oras/empty", "1", [registry.blob("oras/empty", b"{}", EMPTY)])
    with pytest.raises(errors.ArtifactNotFound, match="holds no files"):
        provider.list(f"oci://{registry.host}/oras/empty:1")


def test_files_with_the_configuration_of_an_image_are_files(provider: OciProvider, double: Double) -> None:
    document = {
        "mediaType": images.MANIFEST,
        "config": double.blob("both", b"{}", f"{images.OCI}.config.v1+json"),
        "layers": [double.blob("both", b"model", "application/octet-stream", **{TITLE: "model.bin"})],
    }
    double.manifest("both", "1", document)
    (item,) = provider.list(f"oci://{double.host}/both:1")
    assert (item.name, item.unpacking) == ("model.bin", None)
