"""Where artefacts come from, and in which folder containers find them."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead import errors
from fairlead.api import ClusterStorageContainer
from fairlead.resolve import Source, storage
from fairlead_tests.resolve import worlds

MODEL = "{predictor: {model: {modelFormat: {name: sklearn}, %s}}}"


def container(name: str = "own", **more: Any) -> ClusterStorageContainer:
    """A ClusterStorageContainer for modelscope://, and for what has a bucket."""
    formats = more.pop("formats", [{"prefix": "modelscope://"}, {"regex": "^xyz://.+/bucket"}])
    spec = {"container": {"name": "storage-initializer"}, "supportedUriFormats": formats}
    return ClusterStorageContainer.parse(
        {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "ClusterStorageContainer",
            "metadata": {"name": name},
            "spec": {**spec, **({"workloadType": more.pop("workloadType")} if "workloadType" in more else {})},
            **more,
        }
    )


def refused(text: str, **known: Any) -> errors.Unresolvable:
    with pytest.raises(errors.Unresolvable) as caught:
        worlds.resolved(text, worlds.catalogue(**known))
    return caught.value


@pytest.mark.parametrize(
    "uri",
    [
        "gs://a/b",
        "s3://a/b",
        "pvc://a/b",
        "file:///a",
        "https://a/b",
        "http://a/b",
        "hdfs://a/b",
        "webhdfs://a/b",
        "oci://a/b",
        "oci+native://a/b",
        "oci+fetch://a/b",
        "hf://a/b",
        "https://account.blob.core.windows.net/a/b",
        "/mnt/here",
        "here/model.joblib",
    ],
)
def test_addresses_of_kserve_and_paths_are_accepted(uri: str) -> None:
    found = worlds.resolved(MODEL % f"storageUri: {uri!r}")
    assert found.predictor.sources == (Source(uri=uri, mount_path="/mnt/models"),)


def test_addresses_that_a_provider_takes_are_accepted() -> None:
    assert worlds.resolved(MODEL % "storageUri: 'git+ssh://a/b'").warnings == ()


@pytest.mark.parametrize("uri", ["modelscope://a/b", "xyz://a/bucket"])
def test_addresses_that_a_storage_container_takes_are_accepted(uri: str) -> None:
    text = MODEL % f"storageUri: '{uri}'"
    assert refused(text).condition == "UnsupportedStorageUri"
    assert worlds.resolved(text, worlds.catalogue(storage_containers=(container(),))).warnings == ()


@pytest.mark.parametrize("more", [{"disabled": True}, {"workloadType": "localModelDownloadJob"}])
def test_storage_containers_that_are_not_for_this_do_not_count(more: dict[str, Any]) -> None:
    known = (container(**more),)
    assert (
        refused(MODEL % "storageUri: 'modelscope://a/b'", storage_containers=known).condition == "UnsupportedStorageUri"
    )


def test_a_pattern_that_is_none_is_an_error_that_names_its_container() -> None:
    known = (container(formats=[{"regex": "("}]),)
    error = refused(MODEL % "storageUri: 'modelscope://a/b'", storage_containers=known)
    assert "The ClusterStorageContainer own" in error.reason


def test_an_unknown_scheme_is_refused_with_the_nearest_and_a_line_to_install() -> None:
    error = refused(MODEL % "storageUri: 's33://a/b'")
    assert error.condition == "UnsupportedStorageUri"
    assert error.reason == "spec.predictor.model.storageUri: nothing that is known here fetches s33:// (s33://a/b)."
    assert "Did you mean s3://?" in str(error.remedy)
    assert "by convention fairlead-storage-s33" in str(error.remedy)


def test_a_password_in_an_address_is_not_repeated() -> None:
    error = refused(MODEL % "storageUri: 'ftpx://user:secret@host/x'")
    assert "secret" not in str(error)


def test_an_address_that_no_provider_here_takes_is_a_warning() -> None:
    [warning] = worlds.resolved(MODEL % "storageUri: 's3://a/b'").warnings
    assert warning == "spec.predictor: no storage provider that is installed here takes s3:// (s3://a/b)."


def test_several_artefacts_have_a_folder_each() -> None:
    text = "storageUris: [{uri: 'file:///a'}, {uri: 'file:///b', mountPath: /mnt/b}]"
    found = worlds.resolved(f"{{predictor: {{model: {{modelFormat: {{name: sklearn}}}}, {text}}}}}")
    assert found.predictor.sources == (Source(uri="file:///a"), Source(uri="file:///b", mount_path="/mnt/b"))


def test_storage_uri_of_a_container_is_fetched_and_becomes_its_folder() -> None:
    found = worlds.resolved(
        "{predictor: {containers: [{name: a, image: x, env: "
        "[{name: STORAGE_URI, value: 'file:///m'}, {name: B, value: c}]}]}}"
    )
    assert found.predictor.sources == (Source(uri="file:///m"),)
    assert found.predictor.pod["containers"][0]["env"] == [
        {"name": "STORAGE_URI", "value": "/mnt/models"},
        {"name": "B", "value": "c"},
        {"name": "INFERENCE_SERVICE_NAME", "value": "iris"},
    ]


def test_storage_uri_of_a_transformer_is_fetched_too() -> None:
    found = worlds.resolved(
        "{predictor: {sklearn: {storageUri: /m}}, transformer: {containers: [{name: a, image: x, "
        "env: [{name: STORAGE_URI, value: 'file:///t'}]}]}}"
    )
    assert [each.sources[0].uri for each in found.components.values()] == ["/m", "file:///t"]


@pytest.mark.parametrize(
    "variable", ["{name: STORAGE_URI}", "{name: STORAGE_URI, valueFrom: {secretKeyRef: {name: a}}}"]
)
def test_storage_uri_has_to_be_known_before_a_container_runs(variable: str) -> None:
    error = refused(f"{{predictor: {{containers: [{{name: a, image: x, env: [{variable}]}}]}}}}")
    assert error.condition == "UnsupportedStorageUri"


def test_two_containers_cannot_ask_for_two_artefacts_in_one_folder() -> None:
    text = "{name: %s, image: x, env: [{name: STORAGE_URI, value: 'file:///%s'}]}"
    error = refused(f"{{predictor: {{containers: [{text % ('a', 'a')}, {text % ('b', 'b')}]}}}}")
    assert "file:///a and file:///b" in error.reason
    assert "storageUris" in str(error.remedy)


@pytest.mark.parametrize(
    ("field", "condition"),
    [
        ("storage: {key: minio, path: a/b}", "SecretNotFound"),
        ("storageUri: 's3://a', storage: {key: minio}", "SecretNotFound"),
        ("storageUri: 's3://a', confidential: {enabled: true}", "UnsupportedConfidential"),
    ],
)
def test_what_is_not_done_here_is_refused_with_a_remedy(field: str, condition: str) -> None:
    error = refused(MODEL % field)
    assert error.condition == condition
    assert error.remedy


def test_a_storage_container_that_is_named_has_to_be_there_and_to_fit() -> None:
    text = "{predictor: {storageContainerName: own, model: {modelFormat: {name: sklearn}, storageUri: '%s'}}}"
    assert refused(text % "s3://a").condition == "UnsupportedStorageContainer"
    error = refused(text % "s3://a", storage_containers=(container(),))
    assert "does not take s3://a" in error.reason
    fitting = worlds.resolved(text % "modelscope://a/b", worlds.catalogue(storage_containers=(container(),)))
    assert fitting.predictor.sources == (Source(uri="modelscope://a/b"),)


def test_azure_needs_no_rule_of_its_own() -> None:
    storage.check_uri("https://account.blob.core.windows.net/a/b", "here", worlds.catalogue(storage={}))
    with pytest.raises(errors.Unresolvable):
        storage.check_uri("wasbs://account.blob.core.windows.net/a/b", "here", worlds.catalogue(storage={}))
