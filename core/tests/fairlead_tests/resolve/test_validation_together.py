"""Rules about trained models and storage containers, and about objects that are declared together."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.api import Resource, TrainedModel, read
from fairlead.resolve import validation
from fairlead.resolve.catalogue import Catalogue
from fairlead_tests.api.manifests import MANIFESTS
from fairlead_tests.resolve.validating import CONFIG, MODEL, formats, runtime, service, trained

# -- trained models and storage containers --------------------------------------------------------------------


def refused(declared: TrainedModel, previous: TrainedModel | None = None) -> tuple[str, ...]:
    with pytest.raises(errors.InvalidManifest) as raised:
        validation.validate_trained_model(declared, previous)
    return raised.value.problems


def test_a_trained_model_has_letters_digits_hyphens_and_underscores() -> None:
    validation.validate_trained_model(trained("Iris_2-x"))
    (found,) = refused(trained("iris.2"))
    assert found.startswith('TrainedModel default/iris.2: metadata.name: "iris.2" holds something else than letters')


@pytest.mark.parametrize("uri", ["s3://x", "gs://x", "https://x/y", "http://x/y"])
def test_a_trained_model_comes_from_four_schemes(uri: str) -> None:
    validation.validate_trained_model(trained(uri=uri))


@pytest.mark.parametrize("uri", ["pvc://x", "/models/x", "hf://a/b", ""])
def test_a_trained_model_comes_from_no_other_scheme(uri: str) -> None:
    (found,) = refused(trained(uri=uri))
    assert found.endswith("does not begin with s3://, gs://, https:// or http://.")


def test_the_memory_of_a_trained_model_stays() -> None:
    validation.validate_trained_model(trained(memory="1Gi"), trained(memory="1024Mi"))
    (found,) = refused(trained(memory="1Gi"), trained(memory="2Gi"))
    assert 'spec.model.memory: it was "2Gi", and cannot be changed.' in found
    assert len(refused(trained(memory=0))) == 1


# -- together -------------------------------------------------------------------------------------------------


def parsed(text: str) -> list[Resource]:
    return read(text, "text")


def check(*resources: Resource) -> list[str]:
    try:
        validation.check(resources, CONFIG, Catalogue())
    except errors.InvalidManifest as error:
        return list(error.problems)
    return []


def test_objects_of_every_kind_are_checked_together() -> None:
    found = [resource for name, text in MANIFESTS.items() for resource in read(text, name)]
    assert [text.partition(": ")[0] for text in check(*found)] == ["InferenceService default/digits"]


def test_everything_that_is_wrong_with_all_objects_is_told() -> None:
    found = check(service({}), runtime(protocolVersions=["v9"]), trained(uri="x"))
    assert [text.partition(": ")[0] for text in found] == [
        "InferenceService default/iris",
        "ServingRuntime default/one",
        "TrainedModel default/iris_2",
    ]


def test_warnings_of_all_objects_are_returned() -> None:
    declared = service({"model": MODEL, "scaleMetricType": "Value"})
    (found,) = validation.check([declared, trained()], CONFIG, Catalogue())
    assert found.startswith("InferenceService default/iris: spec.predictor.scaleMetricType: ")


def test_objects_are_defaulted_before_they_are_checked() -> None:
    assert check(service({"sklearn": {"storageUri": "gs://x"}}, canary=[])) == []
    assert check(service({"containers": [{"image": "x"}]})) == []


def test_an_object_is_declared_once() -> None:
    assert check(service(), service(metadata={"namespace": "default"})) == [
        (
            "InferenceService default/iris: metadata.name: this object is declared more than once. Keep one, or rename "
            "the other."
        )
    ]
    assert check(service(), service(metadata={"namespace": "flowers"}), trained("iris")) == []
    assert len(check(runtime(), runtime())) == 1


def test_two_services_do_not_make_objects_of_one_name() -> None:
    first = service(metadata={"name": "a-b"})
    second = service({"name": "b", "model": MODEL}, metadata={"name": "a"})
    assert check(first, second) == [
        (
            'InferenceService default/a: spec.predictor.name: the name "a-b-predictor" of the objects of '
            "spec.predictor is also that of InferenceService default/a-b. Choose another name."
        )
    ]


def test_two_services_do_not_have_one_host() -> None:
    first = service(metadata={"name": "a-b", "namespace": "c"})
    second = service(metadata={"name": "a", "namespace": "b-c"})
    (found,) = check(first, second)
    assert 'metadata.name: the host "a-b-c.example.com" is also that of InferenceService c/a-b.' in found


def test_no_service_has_the_host_of_a_component_of_another() -> None:
    first = service(metadata={"name": "a"})
    second = service(metadata={"name": "a-predictor"})
    for found in (check(first, second), check(second, first)):
        assert len(found) == 1
        assert 'the host "a-predictor-default.example.com"' in found[0]


def test_runtimes_are_checked_beside_each_other() -> None:
    same = formats(("sklearn", "1", 2))
    found = check(runtime("one", supportedModelFormats=same), runtime("two", supportedModelFormats=same))
    assert [text.partition(": ")[0] for text in found] == ["ServingRuntime default/one", "ServingRuntime default/two"]


def test_a_storage_container_says_which_addresses_it_takes() -> None:
    text = MANIFESTS["a storage container"]
    assert check(*parsed(text)) == []
    assert len(check(*parsed(text.replace('prefix: "gs://"', "")))) == 1
    (found,) = check(*parsed(text.replace("https?://(.+)/(.+)", "https?://(.+")))
    assert 'spec.supportedUriFormats[1].regex: "https?://(.+" is no regular expression: ' in found
    assert len(check(*parsed(text.replace("initContainer", "sidecar")))) == 1
