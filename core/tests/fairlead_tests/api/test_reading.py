"""Manifests become objects, and come back as they were."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import api, errors
from fairlead.api.inferenceservice import InferenceServiceSpec
from fairlead.api.predictor import ModelFormat, ModelSpec, PredictorSpec
from fairlead_tests.api import manifests

every_manifest = pytest.mark.parametrize("text", manifests.MANIFESTS.values(), ids=manifests.MANIFESTS.keys())


@every_manifest
def test_a_manifest_comes_back_as_it_was(text: str) -> None:
    (found,) = api.read(text, "manifest.yaml")
    assert found.manifest() == manifests.plain(text)


@every_manifest
def test_json_and_yaml_are_read_alike(text: str) -> None:
    (from_json,) = api.read(json.dumps(manifests.plain(text), indent="\t"), "manifest.json")
    assert from_json == api.read(text, "manifest.yaml")[0]


def test_a_stored_manifest_can_be_read_again() -> None:
    (found,) = api.read(manifests.STATUS, "manifest.yaml")
    assert api.read(yaml.safe_dump(found.manifest()), "again.yaml") == [found]


def test_fields_have_types_and_pythons_names() -> None:
    (found,) = api.read(manifests.SKLEARN, "manifest.yaml")
    assert isinstance(found, api.InferenceService)
    predictor = found.spec.predictor
    assert (predictor.min_replicas, predictor.scale_metric, predictor.service_account_name) == (1, "cpu", "reader")
    assert predictor.model is not None
    assert predictor.model.model_format is not None
    assert predictor.model.model_format.version == "1"
    assert predictor.model.resources == {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"cpu": 1, "memory": "0.5Gi"},
    }
    assert predictor.host_ipc is None


def test_names_that_are_not_in_plain_camel_case_are_the_apis() -> None:
    spec = PredictorSpec(host_ipc=True, host_pid=False, set_hostname_as_fqdn=True)
    assert spec.model_dump(by_alias=True, exclude_unset=True) == {
        "hostIPC": True,
        "hostPID": False,
        "setHostnameAsFQDN": True,
    }


def test_what_is_not_set_has_the_apis_defaults_and_is_not_written() -> None:
    (found,) = api.read(manifests.STORAGE_URIS, "manifest.yaml")
    assert isinstance(found, api.InferenceService)
    uris = found.spec.predictor.storage_uris
    assert uris is not None
    assert uris[0].mount_path == "/mnt/models"
    (container,) = api.read(manifests.STORAGE_CONTAINER, "manifest.yaml")
    assert isinstance(container, api.ClusterStorageContainer)
    assert container.spec.supports_multi_model_download is False
    assert "supportsMultiModelDownload" not in container.manifest()["spec"]


def test_an_object_made_in_python_becomes_a_manifest() -> None:
    model = ModelSpec(model_format=ModelFormat(name="sklearn"), storage_uri="gs://flowers/iris")
    made = api.InferenceService(
        metadata=api.Metadata(name="iris"), spec=InferenceServiceSpec(predictor=PredictorSpec(model=model))
    )
    manifest = made.manifest()
    assert list(manifest) == ["apiVersion", "kind", "metadata", "spec"]
    expected = {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://flowers/iris"}}
    assert manifest == manifests.iris(predictor=expected)


def test_an_object_does_not_change() -> None:
    (found,) = api.read(manifests.TRAINED_MODEL, "manifest.yaml")
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        found.kind = "Other"


def test_a_text_may_hold_several_documents_and_empty_ones() -> None:
    text = f"{manifests.SKLEARN}---\n---\n{manifests.GRAPH}---\n# a comment alone\n---\n{manifests.RUNTIME}"
    assert [type(each) for each in api.read(text, "all.yaml")] == [
        api.InferenceService,
        api.InferenceGraph,
        api.ServingRuntime,
    ]


def test_a_text_that_declares_nothing_gives_nothing() -> None:
    assert api.read("# later\n---\n", "empty.yaml") == []


@pytest.mark.parametrize("framework", api.FRAMEWORKS)
def test_every_framework_has_a_field_that_is_short_for_its_format(framework: str) -> None:
    manifest = manifests.iris(predictor={framework: {"storageUri": "gs://x/y", "runtimeVersion": "1.2", "env": []}})
    (found,) = api.read(json.dumps(manifest), "manifest.json")
    assert found.manifest() == manifest


def test_the_frameworks_are_those_of_the_api() -> None:
    names = "sklearn xgboost tensorflow pytorch triton onnx huggingface pmml lightgbm paddle"
    assert list(api.FRAMEWORKS) == names.split()


def test_all_mistakes_of_all_documents_are_told_at_once() -> None:
    text = manifests.SKLEARN.replace("minReplicas", "minReplica") + "---\n" + manifests.GRAPH.replace("nodes:", "node:")
    with pytest.raises(errors.InvalidManifest) as raised:
        api.read(text, "all.yaml")
    assert [problem.split(" ")[0] for problem in raised.value.problems] == [
        "all.yaml:11:",
        "all.yaml:33:",
        "all.yaml:37:",
    ]


# -- anything that Kubernetes may have in a pod ---------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=3)


@settings(max_examples=60, deadline=None)
@given(containers=st.lists(objects, max_size=2), affinity=objects, labels=st.dictionaries(texts, texts, max_size=3))
def test_what_is_passed_through_comes_back_from_json_and_yaml(
    containers: list[Any], affinity: dict[str, Any], labels: dict[str, str]
) -> None:
    manifest = manifests.iris(predictor={"containers": containers, "affinity": affinity, "labels": labels})
    in_json = json.dumps(manifest)
    in_yaml = yaml.safe_dump(manifest, default_style='"', allow_unicode=True)
    for text in (in_json, in_yaml):
        (found,) = api.read(text, "manifest")
        assert found.manifest() == manifest
