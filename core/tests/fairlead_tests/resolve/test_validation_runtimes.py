"""Rules about ServingRuntimes and ClusterServingRuntimes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead import errors
from fairlead.api import ClusterServingRuntime
from fairlead.resolve import validation
from fairlead_tests.resolve.validating import MAIN, formats, runtime

if TYPE_CHECKING:
    from fairlead.resolve.runtime_rules import AnyRuntime


def wrong(declared: AnyRuntime, *others: AnyRuntime) -> list[str]:
    """What is wrong with a runtime, without its name."""
    try:
        validation.validate_runtime(declared, others)
    except errors.InvalidManifest as error:
        return [text.partition(": ")[2] for text in error.problems]
    return []


def test_a_runtime_that_is_disabled_may_say_anything() -> None:
    bad: dict[str, Any] = {"workerSpec": {"containers": [], "tensorParallelSize": 0}, "protocolVersions": ["v9"]}
    assert wrong(runtime(**bad, disabled=True)) == []
    assert len(wrong(runtime(**bad))) == 2


def test_a_format_has_one_priority_in_a_runtime() -> None:
    assert wrong(runtime(supportedModelFormats=formats(("sklearn", "0", 2), ("sklearn", "1", 2)))) == []
    assert wrong(runtime(supportedModelFormats=formats(("sklearn", "0", 2), ("sklearn", "1", None)))) == [
        (
            "spec.supportedModelFormats[1].priority: sklearn has the priority none here and 2 in "
            "supportedModelFormats[0]. Give both the same."
        )
    ]
    assert wrong(runtime(supportedModelFormats=[*formats(("a", "1", 2)), {"name": "a", "priority": 3}])) == []


def test_a_priority_for_a_format_belongs_to_one_runtime() -> None:
    first = runtime(supportedModelFormats=formats(("sklearn", "1", 2)), protocolVersions=["v1", "v2"])
    for second in (
        runtime("two", supportedModelFormats=formats(("SKLearn", "1", 2)), protocolVersions=["v2"]),
        runtime("two", supportedModelFormats=formats(("sklearn", "1", 2))),
        runtime("two", supportedModelFormats=formats(("sklearn", "1", 2)), namespace="default", multiModel=False),
    ):
        (found,) = wrong(first, second)
        assert found.startswith("spec.supportedModelFormats[0].priority: ServingRuntime ")
        assert found.endswith("two has the priority 2 for sklearn 1 too. Give one of them another.")


def test_runtimes_that_are_never_weighed_against_each_other_may_share_a_priority() -> None:
    first = runtime(supportedModelFormats=formats(("sklearn", "1", 2)), protocolVersions=["v1"])
    same = formats(("sklearn", "1", 2))
    for second in (
        runtime("two", supportedModelFormats=same, protocolVersions=["v2"]),
        runtime("two", supportedModelFormats=same, disabled=True),
        runtime("two", supportedModelFormats=same, multiModel=True),
        runtime("two", supportedModelFormats=same, namespace="flowers"),
        runtime("two", ClusterServingRuntime, supportedModelFormats=same),
        runtime("two", supportedModelFormats=formats(("sklearn", "2", 2))),
        runtime("two", supportedModelFormats=formats(("sklearn", "1", 1))),
        runtime("two", supportedModelFormats=[{"name": "sklearn", "version": "1", "priority": 2}]),
    ):
        assert wrong(first, second) == []
    first = runtime(supportedModelFormats=formats(("sklearn", "1", None)))
    assert wrong(first, runtime("two", supportedModelFormats=formats(("sklearn", "1", None)))) == []


def test_workers_of_a_runtime_stay() -> None:
    before = runtime(workerSpec={"containers": []})
    assert wrong(runtime(workerSpec={"containers": [MAIN]}), before) == []
    (found,) = wrong(runtime(), before)
    assert found.startswith("spec.workerSpec: it was there before, and cannot be taken out.")


def test_workers_of_a_runtime_are_well_formed() -> None:
    sized = {"name": "a", "env": [{"name": "TENSOR_PARALLEL_SIZE", "value": "1"}]}
    strange = {**MAIN, "resources": {"limits": {"example.com/gpu": 1}}}
    worker = {"containers": [sized, {"name": "b"}], "pipelineParallelSize": 0}
    found = wrong(runtime(containers=[strange], workerSpec=worker))
    assert [text.partition(":")[0] for text in found] == [
        "spec.workerSpec.containers",
        "spec.workerSpec.pipelineParallelSize",
        "spec.containers[0].resources.limits",
        "spec.workerSpec.containers[0].env[0]",
    ]
    assert wrong(runtime(containers=[strange])) == []


def test_no_container_of_a_runtime_sets_pythonpath() -> None:
    found = wrong(runtime(containers=[{**MAIN, "env": [{"name": "PYTHONPATH", "value": "x"}]}]))
    assert [text.partition(":")[0] for text in found] == ["spec.containers[0].env[0]"]


def test_a_runtime_names_protocols_that_there_are() -> None:
    assert wrong(runtime(protocolVersions=["v1", "v3"])) == [
        'spec.protocolVersions[1]: "v3" is not one of grpc-v1, grpc-v2, v1 or v2.'
    ]
