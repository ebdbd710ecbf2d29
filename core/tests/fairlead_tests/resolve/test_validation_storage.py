"""Rules about where artefacts come from, and where they are placed."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.api import ClusterStorageContainer, InferenceService
from fairlead.contracts.storage import StorageSpec
from fairlead.resolve.catalogue import Catalogue
from fairlead_tests.resolve.validating import MODEL, problems, service, warnings

FORMAT = {"modelFormat": {"name": "sklearn"}}


def several(*items: tuple[str, str | None]) -> InferenceService:
    uris = [{"uri": uri, **({} if place is None else {"mountPath": place})} for uri, place in items]
    return service({"model": FORMAT, "storageUris": uris})


# -- 7: one or several ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "path", "field"),
    [
        ({"predictor": {"model": MODEL, "storageUris": [{"uri": "gs://x"}]}}, "spec.predictor", "model"),
        ({"explainer": {"art": {"storageUri": "gs://x"}, "storageUris": [{"uri": "gs://x"}]}}, "spec.explainer", "art"),
    ],
)
def test_a_component_has_one_address_or_several(spec: dict[str, Any], path: str, field: str) -> None:
    (found,) = problems(service(**spec))
    assert found.startswith(f"{path}.storageUris: {field}.storageUri is set as well. Keep one of them;")


def test_each_component_has_addresses_of_its_own() -> None:
    transformer = {"containers": [{"image": "x"}], "storageUris": [{"uri": "gs://x"}]}
    assert problems(service(transformer=transformer)) == []


# -- 8: places ------------------------------------------------------------------------------------------------


def test_artefacts_are_placed_below_one_folder() -> None:
    assert problems(several(("hf://org/base", None), ("hf://org/adapter", "/mnt/adapter"))) == []
    assert problems(several(("gs://a", "/mnt/models"), ("gs://b", "/mnt/models"))) == []
    assert problems(several(("gs://a", "/mnt/models"), ("gs://b", "/data"))) == [
        (
            "spec.predictor.storageUris: /mnt/models and /data have no folder in common but /. Place them below one, "
            "such as /mnt."
        )
    ]


def test_volumes_may_be_anywhere() -> None:
    assert problems(several(("gs://a", "/mnt/models"), ("pvc://claim/x", "/data"))) == []


@pytest.mark.parametrize("place", ["/", "//", "/./", "/mnt/../etc", "/.."])
def test_a_place_is_a_folder_below_the_root(place: str) -> None:
    (found,) = problems(several(("gs://a", place)))
    assert found.startswith("spec.predictor.storageUris[0].mountPath: ")
    assert "is not a folder below /, such as /mnt/models." in found


def test_a_volume_has_a_folder_of_its_own() -> None:
    message = "/mnt/models is the folder of storageUris[0] too, and a volume needs a folder of its own."
    for items in (
        (("pvc://a/x", None), ("pvc://b/x", "/mnt/models/")),
        (("gs://a", None), ("pvc://b/x", None)),
        (("pvc://a", "/mnt//models"), ("pvc://b", "/mnt/models"), ("gs://c", "/mnt/c"), ("gs://d", "/mnt/d")),
    ):
        (found,) = problems(several(*items))
        assert found.startswith(f"spec.predictor.storageUris[1].mountPath: {message}")


# -- 9: decryption --------------------------------------------------------------------------------------------


def confidential(resource_id: str | None = "kbs:///models/key/iris", **model: Any) -> InferenceService:
    secret = {"enabled": True, **({} if resource_id is None else {"resourceId": resource_id})}
    return service({"model": {**MODEL, "confidential": secret, **model}})


def test_decryption_needs_an_address() -> None:
    assert problems(confidential()) == []
    (found,) = problems(confidential(storageUri=None))
    assert found.startswith("spec.predictor.model.confidential: it decrypts what storageUri names, and there is none.")
    assert problems(service({"model": {**FORMAT, "confidential": {"enabled": False, "resourceId": "x"}}})) == []


@pytest.mark.parametrize("resource_id", ["kbs://a/b/c", "kbs:///a/b", "kbs:///a/b/c/d", "kbs:////b/c", "", "a/b/c"])
def test_a_key_has_three_parts(resource_id: str) -> None:
    (found,) = problems(confidential(resource_id))
    assert "is not of the form kbs:///<repository>/<type>/<tag>." in found


@pytest.mark.parametrize("kind", ["oci", "pvc"])
def test_what_is_mounted_is_not_decrypted(kind: str) -> None:
    assert warnings(confidential(storageUri=f"{kind}://x/y")) == [
        f"spec.predictor.model.confidential: {kind}:// is mounted and not fetched, so it is not decrypted."
    ]


# -- 11: the storage secret -----------------------------------------------------------------------------------


def test_storage_of_frameworks_and_explainers_is_of_a_type_that_can_be_described() -> None:
    storage = {"key": "minio", "parameters": {"type": "gs"}}
    (found,) = problems(service({"sklearn": {"storage": storage}}), defaulted=False)
    assert found == 'spec.predictor.sklearn.storage.parameters.type: "gs" is not one of s3, hdfs or webhdfs.'
    (found,) = problems(service(explainer={"art": {"storageUri": "gs://x", "storage": {"key": "minio"}}}))
    assert found.startswith('spec.explainer.art.storageUri: "gs://x" cannot have a storage beside it')
    good = {"storageUri": "s3://x", "storage": {"key": "minio", "parameters": {"type": "s3"}}}
    assert problems(service(explainer={"art": good})) == []


def test_storage_of_models_is_of_any_type() -> None:
    storage = {"key": "minio", "parameters": {"type": "gs"}}
    assert problems(service({"model": {**MODEL, "storage": storage}})) == []


def test_an_address_and_a_path_are_not_given_both() -> None:
    (found,) = problems(service({"model": {**MODEL, "storage": {"key": "minio", "path": "iris"}}}))
    assert found == "spec.predictor.model.storage.path: storageUri is set as well. Keep one of them."
    assert problems(service({"model": {**FORMAT, "storage": {"key": "minio", "path": "iris"}}})) == []


# -- who fetches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri", ["gs://x", "s3://x", "pvc://x", "https://x/y", "hf://a/b", "oci+native://x", "/models/x", "file:///x"]
)
def test_addresses_that_kserve_knows_are_in_order(uri: str) -> None:
    assert warnings(service({"model": {**FORMAT, "storageUri": uri}})) == []


def test_an_address_that_nobody_fetches_is_told() -> None:
    declared = service({"model": {**FORMAT, "storageUri": "s4://flowers/iris"}})
    (found,) = warnings(declared)
    assert found.startswith("spec.predictor.model.storageUri: nothing that is known here fetches s4://")
    provider = StorageSpec(name="s4", prefixes=("s4://",), factory="s4:Provider")
    assert warnings(declared, Catalogue(storage={"s4": provider})) == []


def test_addresses_of_a_declared_container_are_in_order() -> None:
    container = ClusterStorageContainer.parse(
        {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "ClusterStorageContainer",
            "metadata": {"name": "scope"},
            "spec": {"container": {"name": "x"}, "supportedUriFormats": [{"prefix": "modelscope://"}]},
        }
    )
    declared = service({"model": {**FORMAT, "storageUri": "modelscope://a/b"}})
    assert len(warnings(declared)) == 1
    assert warnings(declared, Catalogue(storage_containers=(container,))) == []


def test_what_signs_an_address_that_nobody_fetches_is_not_told() -> None:
    (found,) = warnings(service({"model": {**FORMAT, "storageUri": "s4://flowers/iris?signature=hidden#hidden"}}))
    assert "s4://flowers/iris" in found
    assert "hidden" not in found


def test_an_empty_address_is_none() -> None:
    assert problems(service({"model": {**FORMAT, "storageUri": ""}})) == [
        "spec.predictor.model.storageUri: it is empty. Give an address, or take it out."
    ]
