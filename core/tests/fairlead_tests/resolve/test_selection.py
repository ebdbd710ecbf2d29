"""Which runtime serves a model, and why each other one does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fairlead import ModelFormat, errors
from fairlead.api.predictor import ModelFormat as DeclaredFormat
from fairlead.api.predictor import ModelSpec
from fairlead.resolve import Candidate
from fairlead.resolve.secrets import Vault
from fairlead.resolve.selection import Selection, select
from fairlead_tests.resolve import worlds
from fairlead_tests.resolve.worlds import cluster_runtime, runtime

SKLEARN = {"name": "sklearn", "priority": 1}


def chosen(*, name: str = "sklearn", version: str | None = None, known: dict[str, Any], **model: Any) -> Selection:
    """The runtime of a model of the namespace default."""
    spec = ModelSpec(model_format=DeclaredFormat(name=name, version=version), **model)
    return select(spec, namespace="default", catalogue=worlds.catalogue(**{"plugins": {}, **known}))


def of(*runtimes: Any) -> dict[str, Any]:
    """A catalogue's runtimes, by their kind."""
    return {
        "runtimes": tuple(each for each in runtimes if each.kind == "ServingRuntime"),
        "cluster_runtimes": tuple(each for each in runtimes if each.kind == "ClusterServingRuntime"),
    }


def refused(**more: Any) -> errors.Unresolvable:
    with pytest.raises(errors.Unresolvable) as caught:
        chosen(**more)
    return caught.value


def reasons(candidates: tuple[object, ...]) -> dict[str, str]:
    assert all(isinstance(each, Candidate) for each in candidates)
    return {each.name: each.reason for each in candidates if isinstance(each, Candidate)}


# -- by name --------------------------------------------------------------------------------------------


def test_the_runtime_that_is_named_is_looked_for_in_the_namespace_first() -> None:
    known = of(cluster_runtime("mine", SKLEARN), runtime("mine", SKLEARN))
    found = chosen(known=known, runtime="mine")
    assert found.runtime.kind == "ServingRuntime"
    assert [each.chosen for each in found.candidates] == [True, False]


def test_a_runtime_of_another_namespace_is_not_found_by_its_name() -> None:
    error = refused(known=of(runtime("mine", SKLEARN, namespace="flowers")), runtime="mine")
    assert error.condition == "RuntimeNotRecognized"
    assert reasons(error.candidates)["mine"] == "it is in the namespace flowers, and the service in default"


def test_a_runtime_that_is_named_may_have_auto_select_off() -> None:
    found = chosen(known=of(cluster_runtime("mine", {**SKLEARN, "autoSelect": False})), runtime="mine")
    assert found.runtime.metadata.name == "mine"
    assert found.candidates[0].reason == "the service names it"


def test_a_named_runtime_that_is_disabled_is_refused_before_anything_else_is_looked_at() -> None:
    error = refused(known=of(cluster_runtime("mine", {"name": "onnx"}, disabled=True)), runtime="mine")
    assert error.condition == "RuntimeDisabled"
    assert "disabled" in error.reason


def test_a_named_runtime_has_to_speak_the_protocol() -> None:
    error = refused(known=of(cluster_runtime("mine", SKLEARN)), runtime="mine", protocol_version="grpc-v2")
    assert error.condition == "NoSupportingRuntime"
    assert "it speaks v1, v2" in error.reason
    assert "protocolVersion" in str(error.remedy)


def test_a_named_runtime_has_to_serve_the_format() -> None:
    error = refused(known=of(cluster_runtime("mine", {"name": "onnx"})), runtime="mine")
    assert error.condition == "NoSupportingRuntime"
    assert reasons(error.candidates) == {"mine": "format sklearn is not among its formats: onnx"}


def test_a_named_runtime_may_be_for_several_nodes() -> None:
    known = of(cluster_runtime("mine", SKLEARN, workerSpec={"containers": [{"name": "worker-container"}]}))
    assert chosen(known=known, runtime="mine").runtime.metadata.name == "mine"


def test_a_plugin_takes_the_place_of_a_runtime_that_is_its_alias() -> None:
    found = chosen(known={"plugins": {"sklearn": worlds.SKLEARN}}, runtime="kserve-sklearnserver")
    assert (found.plugin, found.runtime.metadata.name) == ("sklearn", "fairlead-sklearn")
    assert found.candidates[0].reason == (
        "the service names kserve-sklearnserver, which is not here, and this runtime takes its place"
    )


def test_a_runtime_that_is_here_is_taken_before_a_plugin_with_that_alias() -> None:
    known = {"plugins": {"sklearn": worlds.SKLEARN}, **of(cluster_runtime("kserve-sklearnserver", SKLEARN))}
    assert chosen(known=known, runtime="kserve-sklearnserver").plugin is None


def test_a_plugin_takes_no_place_for_a_format_that_it_does_not_serve() -> None:
    error = refused(
        name="lightgbm",
        known={"plugins": {"sklearn": worlds.SKLEARN}},
        runtime="kserve-mlserver",
        protocol_version="v2",
    )
    assert error.condition == "RuntimeNotRecognized"
    assert error.remedy == "Install a runtime that serves it: pip install fairlead-runtime-lightgbm"


def test_the_wheel_for_pytorch_is_named_for_torch() -> None:
    error = refused(name="pytorch", known={"plugins": {"sklearn": worlds.SKLEARN}})
    assert error.remedy == "Install a runtime that serves it: pip install fairlead-runtime-torch"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"name": "huggingface"}, "Declare a ServingRuntime or a ClusterServingRuntime that serves it"),
        ({"name": "lightgbm", "runtime": "fairlead-lightgbm"}, "Declare a ServingRuntime or a ClusterServingRuntime"),
        ({"name": "lightgbm", "runtime": "odd"}, "The runtime odd is there and cannot be read: It has two of them."),
    ],
)
def test_in_a_cluster_nobody_is_told_to_install_a_package(asked: dict[str, Any], told: str) -> None:
    known = {"vault": Vault(sealed=True), "missing": {"odd": "It has two of them."}}
    remedy = refused(known=known, **asked).remedy
    assert remedy is not None
    assert told in remedy
    assert "pip" not in remedy


def test_a_plugin_in_the_place_of_mlserver_is_asked_in_v2_as_mlserver_is() -> None:
    assert chosen(known={"plugins": {"sklearn": worlds.SKLEARN}}, runtime="kserve-mlserver").protocol == "v2"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("fairlead-xgboost", "pip install fairlead-runtime-xgboost"),
        ("fairlead-sklern", "Take runtime out, so that one is chosen: fairlead-sklearn serves sklearn."),
        ("fairlead-broken", "fairlead plugins doctor"),
    ],
)
def test_what_to_do_about_a_name_that_is_not_known_is_said(name: str, remedy: str) -> None:
    known = {"plugins": {"sklearn": worlds.SKLEARN}, "missing": {"broken": "It raises."}}
    model = "xgboost" if "xgboost" in name else "sklearn"
    error = refused(name=model, known=known, runtime=name)
    assert error.condition == "RuntimeNotRecognized"
    assert remedy in str(error.remedy)


# -- automatically --------------------------------------------------------------------------------------


def test_without_a_protocol_a_runtime_has_to_speak_v1() -> None:
    known = of(cluster_runtime("a", {**SKLEARN, "priority": 9}, protocolVersions=["v2"]), cluster_runtime("b", SKLEARN))
    found = chosen(known=known)
    assert (found.runtime.metadata.name, found.protocol) == ("b", "v1")
    assert reasons(found.candidates)["a"] == "protocol v1: it speaks v2"


def test_with_a_protocol_the_priority_decides_among_those_that_speak_it() -> None:
    known = of(
        cluster_runtime("kserve-sklearnserver", SKLEARN),
        cluster_runtime("kserve-mlserver", {"name": "sklearn", "priority": 2}, protocolVersions=["v2"]),
    )
    found = chosen(known=known, protocol_version="v2")
    assert found.runtime.metadata.name == "kserve-mlserver"
    assert reasons(found.candidates)["kserve-sklearnserver"] == "priority 1 is lower than 2 of kserve-mlserver"


def test_a_runtime_without_protocols_speaks_all() -> None:
    found = chosen(known=of(cluster_runtime("a", SKLEARN, protocolVersions=None)), protocol_version="grpc-v2")
    assert found.protocol == "grpc-v2"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"disabled": True}, "it is disabled"),
        ({"multiModel": True}, "it is for many models in one pod (multiModel)"),
        ({"workerSpec": {"containers": [{"name": "w"}]}}, "it is for models over several nodes (workerSpec)"),
        ({"protocolVersions": ["v2", "grpc-v2"]}, "protocol v1: it speaks v2, grpc-v2"),
    ],
)
def test_runtimes_that_may_not_be_chosen_say_why(more: dict[str, Any], reason: str) -> None:
    found = chosen(known=of(cluster_runtime("a", {**SKLEARN, "priority": 5}, **more), cluster_runtime("b", SKLEARN)))
    assert found.runtime.metadata.name == "b"
    assert reasons(found.candidates)["a"] == reason


def test_a_format_with_auto_select_off_is_not_chosen() -> None:
    error = refused(known=of(cluster_runtime("a", {**SKLEARN, "autoSelect": False})))
    assert error.condition == "NoSupportingRuntime"
    assert reasons(error.candidates) == {"a": "autoSelect is off for sklearn: a service has to name it"}
    assert error.remedy == "Name it: runtime: a"


@pytest.mark.parametrize(
    ("entry", "wanted", "fits"),
    [
        ("1", None, True),
        (None, None, True),
        ("1", "1", True),
        ("1", "1.0", False),
        (None, "1", False),
        ("2", "1", False),
    ],
)
def test_versions_are_compared_as_texts(entry: str | None, wanted: str | None, fits: bool) -> None:
    format_ = {"name": "sklearn"} if entry is None else {"name": "sklearn", "version": entry}
    known = of(cluster_runtime("a", format_))
    if fits:
        assert chosen(version=wanted, known=known).runtime.metadata.name == "a"
    else:
        error = refused(version=wanted, known=known)
        assert f"sklearn:{wanted} is not among its versions" in reasons(error.candidates)["a"]


def test_formats_are_case_sensitive_and_the_nearest_is_named() -> None:
    error = refused(name="SKLearn", known=of(cluster_runtime("a", SKLEARN)))
    assert error.remedy == "Did you mean sklearn?"


def test_the_lowest_protocol_comes_first_among_equal_priorities() -> None:
    known = of(
        cluster_runtime("a", SKLEARN, protocolVersions=["grpc-v2", "v2"]),
        cluster_runtime("b", SKLEARN, protocolVersions=["v2", "v1"]),
    )
    found = chosen(known=known, protocol_version="v2")
    assert found.runtime.metadata.name == "b"
    assert reasons(found.candidates)["a"] == "the same priority as b, which speaks v1"


def test_the_newest_comes_first_among_equal_protocols() -> None:
    known = of(
        cluster_runtime("a", SKLEARN, creationTimestamp="2024-01-01T00:00:00Z"),
        cluster_runtime("b", SKLEARN, creationTimestamp="2025-01-01T00:00:00Z"),
        cluster_runtime("c", SKLEARN),
    )
    found = chosen(known=known)
    assert [each.name for each in found.candidates] == ["b", "a", "c"]
    assert reasons(found.candidates)["a"] == "the same priority as b, which is newer"


def test_the_name_decides_among_runtimes_of_one_age() -> None:
    found = chosen(known=of(cluster_runtime("b", SKLEARN), cluster_runtime("a", SKLEARN)))
    assert [each.name for each in found.candidates] == ["a", "b"]
    assert reasons(found.candidates)["b"] == "the same priority as a, which comes first by name"


def test_a_priority_comes_before_protocol_and_age_and_none_comes_last() -> None:
    known = of(
        cluster_runtime("a", {"name": "sklearn"}, creationTimestamp="2025-01-01T00:00:00Z"),
        cluster_runtime("b", SKLEARN),
        cluster_runtime("c", {"name": "sklearn", "priority": 2}, protocolVersions=[]),
    )
    found = chosen(known=known)
    assert [each.name for each in found.candidates] == ["c", "b", "a"]
    assert reasons(found.candidates)["a"] == "it has no priority, and c has 2"


def test_the_priority_is_that_of_the_first_entry_of_the_name_whatever_its_version() -> None:
    known = of(
        cluster_runtime(
            "a",
            {"name": "sklearn", "version": "0", "priority": 1, "autoSelect": False},
            {"name": "sklearn", "version": "1", "priority": 9},
        ),
        cluster_runtime("b", {"name": "sklearn", "version": "1", "priority": 2}),
    )
    assert chosen(version="1", known=known).runtime.metadata.name == "b"


def test_any_runtime_of_the_namespace_comes_before_those_for_all() -> None:
    known = of(cluster_runtime("a", {"name": "sklearn", "priority": 9}), runtime("z", {"name": "sklearn"}))
    found = chosen(known=known)
    assert found.runtime.metadata.name == "z"
    assert found.candidates[0].reason == "it serves sklearn over v1, and is the namespace's own"
    assert reasons(found.candidates)["a"] == "the namespace's own runtimes come first, and z is one"


def test_the_protocol_is_the_lowest_that_the_runtime_speaks() -> None:
    known = of(cluster_runtime("a", SKLEARN, protocolVersions=["grpc-v2", "v2"]))
    assert chosen(known=known, runtime="a").protocol == "v2"


def test_the_protocol_of_a_server_comes_before_the_lowest_of_its_runtime() -> None:
    known = of(cluster_runtime("kserve-mlserver", SKLEARN))
    assert chosen(known=known).protocol == "v2"
    own = {"annotations": {"serving.kserve.io/server-type": "torchserve"}, "protocolVersions": ["v2", "v1"]}
    assert chosen(known=of(cluster_runtime("a", SKLEARN, **own))).protocol == "v1"


def test_an_installed_plugin_is_a_cluster_serving_runtime() -> None:
    found = chosen(known={"plugins": {"sklearn": worlds.SKLEARN}})
    assert (found.plugin, found.protocol) == ("sklearn", "v1")
    assert found.runtime.spec.containers[0]["image"] == "fairlead/sklearnserver:1.2.3"


def test_a_declared_runtime_replaces_the_plugin_of_its_name() -> None:
    known = {"plugins": {"sklearn": worlds.SKLEARN}, **of(cluster_runtime("fairlead-sklearn", SKLEARN))}
    found = chosen(known=known)
    assert found.plugin is None
    assert found.candidates[1].reason == "a manifest declares another of this name"


def test_broken_plugins_are_candidates_that_say_why() -> None:
    found = chosen(known={"plugins": {"sklearn": worlds.SKLEARN}, "missing": {"onnx": "It raises ImportError."}})
    assert reasons(found.candidates)["fairlead-onnx"] == "installed but broken: It raises ImportError"


def test_a_known_format_without_a_runtime_has_a_line_to_install_it() -> None:
    error = refused(name="xgboost", known={"plugins": {"sklearn": worlds.SKLEARN}})
    assert error.reason == "No runtime serves the format xgboost over the protocol v1."
    assert error.remedy == "Install a runtime that serves it: pip install fairlead-runtime-xgboost"
    assert reasons(error.candidates) == {"fairlead-sklearn": "format xgboost is not among its formats: sklearn"}


def test_a_runtime_of_another_namespace_and_another_format_is_no_remedy() -> None:
    error = refused(name="xgboost", known=of(runtime("mine", SKLEARN, namespace="flowers")))
    assert "fairlead-runtime-xgboost" in str(error.remedy)


def test_a_known_format_whose_plugin_is_broken_leads_to_the_doctor() -> None:
    error = refused(name="xgboost", known={"missing": {"xgboost": "It raises."}})
    assert "fairlead plugins doctor" in str(error.remedy)


def test_an_unknown_format_is_told_which_there_are() -> None:
    error = refused(name="zzzz", known={"plugins": {"sklearn": worlds.SKLEARN}})
    assert "The formats here are sklearn" in str(error.remedy)


def test_a_protocol_that_no_runtime_of_the_format_speaks_is_told() -> None:
    plugin = dataclasses.replace(worlds.SKLEARN, protocols=("v2",), formats=(ModelFormat("sklearn"),))
    error = refused(known={"plugins": {"sklearn": plugin}})
    assert error.remedy == "Set protocolVersion to v2, which fairlead-sklearn speaks."


def test_a_model_without_a_format_is_refused() -> None:
    with pytest.raises(errors.Unresolvable, match="no modelFormat") as caught:
        select(ModelSpec(storage_uri="s3://a"), namespace="default", catalogue=worlds.catalogue())
    assert caught.value.condition == "InvalidPredictorSpec"
