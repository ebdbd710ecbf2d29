"""Where artefacts are put, who fetches them, and what cannot be wired into a pod."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from fairlead import errors
from fairlead_operator.desired import storage
from fairlead_operator_tests.desired.pods_of_storage import (
    POD,
    account,
    configured,
    container,
    described,
    predictor,
    wired,
)

S3 = predictor("storageUri: 's3://models/iris'")
OCI = predictor("storageUri: 'oci://registry.example/iris:1'")
SEVERAL = "{predictor: {storageUris: %s, model: {modelFormat: {name: sklearn}}}}"


def several(*pairs: tuple[str, str]) -> str:
    listed = yaml.safe_dump([{"uri": uri, "mountPath": path} for uri, path in pairs], default_flow_style=True)
    return SEVERAL % listed.strip()


def initializer(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = [each for each in pod["initContainers"] if each["name"] == "storage-initializer"]
    return dict(found)


def mounts(pod: dict[str, Any], name: str = "kserve-container") -> dict[str, dict[str, Any]]:
    (found,) = [each for each in pod["containers"] if each["name"] == name]
    return {each["mountPath"]: each for each in found.get("volumeMounts", ())}


def refused(spec: str, **more: Any) -> errors.Unresolvable:
    with pytest.raises(errors.Unresolvable) as caught:
        wired(spec, **more)
    assert caught.value.remedy
    return caught.value


# -- what is wired, and where -----------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["/mnt/data/iris", "file:///mnt/data/iris"])
def test_a_path_is_left_alone(uri: str) -> None:
    assert wired(predictor(f"storageUri: '{uri}'")) == POD


def test_the_pod_that_is_given_stays_as_it_is() -> None:
    component, surroundings = described(S3)
    before = copy.deepcopy(POD)
    storage.wired(POD, component, surroundings)
    assert before == POD


def test_every_server_in_a_pod_finds_the_model_and_other_containers_do_not() -> None:
    text = "{containers: [{name: kserve-container}, {name: transformer-container}, {name: proxy}]}"
    pod = wired(S3, pod=text)
    assert mounts(pod).keys() == mounts(pod, "transformer-container").keys() == {"/mnt/models"}
    assert mounts(pod, "proxy") == {}


def test_workers_find_it_too_and_so_does_a_container_of_another_name_that_is_alone() -> None:
    for name in ("worker-container", "explain"):
        assert mounts(wired(S3, pod=f"{{containers: [{{name: {name}}}]}}"), name).keys() == {"/mnt/models"}


def test_the_annotation_lets_containers_write_where_the_model_is() -> None:
    for uri in ("s3://models/iris", "pvc://claim/iris"):
        pod = wired(predictor(f"storageUri: '{uri}'"), annotations={"storage.kserve.io/readonly": "false"})
        assert "readOnly" not in mounts(pod)["/mnt/models"]


def test_init_containers_of_ones_own_run_before() -> None:
    pod = wired(S3, pod="{initContainers: [{name: mine}], containers: [{name: kserve-container}]}")
    assert [each["name"] for each in pod["initContainers"]] == ["mine", "storage-initializer"]


@pytest.mark.parametrize(
    ("path", "volume"),
    [
        ("/mnt/models", "kserve-provision-location"),
        ("/mnt/adapters/one", "mnt-adapters-one"),
        ("/mnt/Adapters_1/", "mnt-adapters-1-4bbb7acc"),
        (f"/mnt/{'a' * 80}", f"mnt-{'a' * 50}-"),
    ],
)
def test_a_volume_is_named_after_its_folder(path: str, volume: str) -> None:
    pod = wired(several(("s3://models/iris", path)))
    name = pod["volumes"][-1]["name"]
    assert name.startswith(volume)
    assert len(name) <= 63


def test_the_root_of_a_claim_is_mounted_whole_and_two_claims_are_two_volumes() -> None:
    pod = wired(several(("pvc://one", "/mnt/one"), ("pvc://two/deep/er/", "/mnt/two")))
    assert "subPath" not in mounts(pod)["/mnt/one"]
    assert mounts(pod)["/mnt/two"]["subPath"] == "deep/er"
    claims = {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"]}
    assert claims == {"kserve-pvc-source-0": "one", "kserve-pvc-source-1": "two"}
    assert "initContainers" not in pod


def test_a_folder_for_a_mount_of_ones_own_can_be_made_in_the_volume() -> None:
    text = "{containers: [{name: kserve-container, volumeMounts: [{name: mine, mountPath: /mnt/models/mine}]}]}"
    assert "readOnly" not in mounts(wired(S3, pod=text))["/mnt/models"]


def test_the_initializer_runs_as_the_user_that_the_annotation_says() -> None:
    for uid in (1337, 0):
        made = initializer(wired(S3, annotations={"serving.kserve.io/storage-initializer-uid": str(uid)}))
        assert made["securityContext"]["runAsUser"] == uid
        assert made["securityContext"]["runAsNonRoot"] is (uid != 0)


def test_dollars_in_addresses_are_not_replaced_by_kubernetes() -> None:
    made = initializer(wired(predictor("storageUri: 's3://models/$(HOME)/$$'")))
    assert made["args"][0] == "s3://models/$$(HOME)/$$$$"


def test_authorities_of_the_operators_own_namespace_are_mounted_from_there() -> None:
    pod = wired(S3, config=configured(ca_bundle_config_map="company"), home="models")
    assert pod["volumes"][0] == {"name": "cabundle-cert", "configMap": {"name": "company", "optional": True}}


@pytest.mark.parametrize(
    ("spec", "more", "condition", "said"),
    [
        (predictor("storageUri: 'pvc:///iris'"), {}, "UnsupportedStorageUri", "names no claim"),
        (predictor("storageUri: 'pvc://claim/../x'"), {}, "UnsupportedStorageUri", "no path within a claim"),
        (predictor("storageUri: 'oci://'"), {}, "UnsupportedStorageUri", "names no image"),
        (OCI, {"config": configured(oci_mode=None)}, "UnsupportedStorageUri", "switched off"),
        (S3, {"annotations": {"serving.kserve.io/storage-initializer-uid": "me"}}, "InvalidAnnotation", "'me'"),
        (
            S3,
            {"pod": "{containers: [{name: kserve-container, volumeMounts: [{name: a, mountPath: /mnt/models/}]}]}"},
            "InvalidPodSpec",
            "Two volumes would be mounted at /mnt/models",
        ),
        (
            S3,
            {"pod": "{initContainers: [{name: storage-initializer}], containers: [{name: kserve-container}]}"},
            "InvalidPodSpec",
            "a container 'storage-initializer'",
        ),
        (
            S3,
            {"pod": "{volumes: [{name: kserve-provision-location}], containers: [{name: kserve-container}]}"},
            "InvalidPodSpec",
            "a volume 'kserve-provision-location'",
        ),
        (several(("oci://a/b", "/models")), {}, "InvalidStorageUris", "one of its own, below /"),
        (
            several(("oci://a/b", "/mnt/a"), ("oci://a/c", "/mnt/b")),
            {},
            "InvalidStorageUris",
            "/mnt, /mnt: each needs one of its own",
        ),
        (
            several(*((f"oci+native://a/{index}", f"/mnt/{index}") for index in range(11))),
            {},
            "InvalidStorageUris",
            "11 models in images",
        ),
    ],
)
def test_what_cannot_be_put_into_a_pod_is_refused(spec: str, more: dict[str, Any], condition: str, said: str) -> None:
    error = refused(spec, **more)
    assert error.condition == condition
    assert said in error.reason


# -- images -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ((1, 30), "ImageVolumeUnsupported"),
        ((1, 31), "ImageVolumeSubPathUnsupported"),
        ((1, 32), "ImageVolumeSubPathUnsupported"),
        ((1, 33), "ImageVolumeAlpha"),
        ((1, 34), "ImageVolumeAlpha"),
        ((1, 35), None),
    ],
)
def test_a_cluster_that_may_not_mount_images_is_told_of(version: tuple[int, int], reason: str | None) -> None:
    component, surroundings = described(OCI, config=configured(oci_mode="native"), version=version)
    found = storage.problems(component, surroundings)
    assert [each.reason for each in found] == ([reason] if reason else [])
    assert all(each.condition == "OciImageVolumeCompatible" and "fetch" in each.message for each in found)


def test_the_scheme_of_an_address_wins_over_the_configuration() -> None:
    native = predictor("storageUri: 'oci+native://registry.example/iris:1'")
    component, surroundings = described(native, version=(1, 30))
    assert storage.problems(component, surroundings)
    assert "image" in wired(native)["volumes"][0]
    fetched = wired(predictor("storageUri: 'oci+fetch://registry.example/iris:1'"))
    assert initializer(fetched)["args"][0] == "oci+fetch://registry.example/iris:1"
    component, surroundings = described(OCI, version=(1, 30))
    assert storage.problems(component, surroundings) == ()


def test_a_server_runs_as_the_user_of_the_sidecar_unless_it_says_another() -> None:
    everyone: list[dict[str, Any]] = []
    for own, expected in (("{}", 1010), ("{runAsUser: 5, runAsGroup: 6}", 5)):
        pod = wired(OCI, pod=f"{{containers: [{{name: kserve-container, securityContext: {own}}}]}}")
        everyone = [*pod["containers"], *pod["initContainers"]]
        assert {each["securityContext"]["runAsUser"] for each in everyone} == {expected}
    assert {each["securityContext"]["runAsGroup"] for each in everyone} == {6}


# -- credentials ------------------------------------------------------------------------------------------


def test_only_what_is_fetched_from_a_registry_gets_its_logins() -> None:
    ml = account("default", pulls=("registry",))
    assert "env" not in initializer(wired(S3, ml))
    pod = wired(several(("s3://a/b", "/mnt/a"), ("oci+fetch://a/b", "/mnt/b")), ml)
    assert any(each["mountPath"].endswith("/secrets/registry") for each in initializer(pod)["volumeMounts"])


def test_an_entry_beside_other_artefacts_leaves_these_their_account() -> None:
    text = "{predictor: {storageUris: [{uri: 's3://models/words', mountPath: /mnt/words}],"
    spec = f"{text} model: {{modelFormat: {{name: sklearn}}, storage: {{key: minio, path: iris}}}}}}}}"
    made = initializer(wired(spec, account("default", "hub")))
    assert made["args"] == ["<scheme-placeholder>://iris", "/mnt/models", "s3://models/words", "/mnt/words"]
    assert {each["name"] for each in made["env"]} == {
        "STORAGE_CONFIG",
        "FAIRLEAD_CREDENTIALS",
        "FAIRLEAD_CREDENTIALS_NAMES",
    }


# -- containers of a platform -----------------------------------------------------------------------------


def test_the_first_container_that_takes_an_address_fetches_it_unless_one_is_named() -> None:
    disabled = container("away", "s3://").model_copy(update={"disabled": True})
    there = (
        disabled,
        container("jobs", "s3://", workloadType="localModelDownloadJob"),
        container("first", "s3://", container={"name": "x", "image": "example/first"}),
        container("second", "s3://", container={"name": "x", "image": "example/second"}),
    )
    assert initializer(wired(S3, storage_containers=there))["image"] == "example/first"
    named = predictor("storageUri: 's3://models/iris'", "storageContainerName: second,")
    assert initializer(wired(named, storage_containers=there))["image"] == "example/second"
    assert initializer(wired(predictor("storageUri: 'gs://a/b'"), storage_containers=there))["image"].startswith(
        "fairlead/"
    )


def test_arguments_of_a_container_replace_the_pairs_and_the_rest_is_laid_over() -> None:
    over = {"name": "x", "args": ["all"], "command": ["fetch"], "volumeMounts": [{"name": "cache", "mountPath": "/c"}]}
    made = initializer(
        wired(S3, account("default", "hub"), storage_containers=(container("a", "s3://", container=over),))
    )
    assert made["args"] == ["all"]
    assert made["command"] == ["fetch"]
    assert made["image"] == "fairlead/storage-initializer:latest"
    assert {"/c", "/mnt/models", "/var/secrets/fairlead/secrets/hub"} == {
        each["mountPath"] for each in made["volumeMounts"]
    }


def test_a_registrys_login_is_a_file_that_any_user_may_read() -> None:
    there = (container("images", "oci+fetch://"),)
    spec = predictor("storageUri: 'oci+fetch://registry.example/iris:1'")
    pod = wired(spec, account("default", "minio", pulls=("login", "other")), storage_containers=there)
    (volume,) = [each for each in pod["volumes"] if each["name"] == "oci-fetch-auth"]
    assert volume["secret"]["secretName"] == "login"
    assert volume["secret"]["items"] == [{"key": ".dockerconfigjson", "path": "config.json", "mode": 0o444}]
    assert [each["secretRef"]["name"] for each in initializer(pod)["envFrom"]] == ["minio"]


@pytest.mark.parametrize(
    ("spec", "containers", "said"),
    [
        (
            several(("s3://a/b", "/mnt/a"), ("s3://a/c", "/mnt/b")),
            [container("one", "s3://")],
            "fetches one artefact, and iris-predictor has 2",
        ),
        (
            several(("s3://a/b", "/mnt/a"), ("gs://a/c", "/mnt/b")),
            [container("one", "s3://", supportsMultiModelDownload=True)],
            "by different ClusterStorageContainers: one, the operator's own",
        ),
        (
            predictor("storage: {key: minio, path: iris}"),
            [container("all", supportedUriFormats=[{"regex": ".*"}])],
            "its address cannot come from a Secret",
        ),
    ],
)
def test_a_container_that_cannot_fetch_all_is_refused(spec: str, containers: list[Any], said: str) -> None:
    assert said in refused(spec, storage_containers=tuple(containers)).reason


def test_a_container_for_several_artefacts_gets_all_pairs() -> None:
    there = (container("one", "s3://", "gs://", supportsMultiModelDownload=True),)
    made = initializer(wired(several(("s3://a/b", "/mnt/a"), ("gs://a/c", "/mnt/b")), storage_containers=there))
    assert made["args"] == ["s3://a/b", "/mnt/a", "gs://a/c", "/mnt/b"]


def test_a_container_that_is_named_and_is_not_there_is_refused_for_containers_of_ones_own_too() -> None:
    spec = (
        "{predictor: {storageContainerName: nowhere, containers: [{name: mine, image: x,"
        " env: [{name: STORAGE_URI, value: 's3://a/b'}]}]}}"
    )
    assert "'nowhere', and there is none of that name" in refused(spec).reason
