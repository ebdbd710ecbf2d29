from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.api.component import Batcher, LoggerSpec
from fairlead.contracts.autoscaler import ScalingSpec
from fairlead.local.replicas import fetching, unsupported
from fairlead.resolve.runtimes import SECURITY
from fairlead.resolve.service import ComponentKind, ResolvedComponent, ResolvedWorkers, Scaling, Source
from fairlead_tests.local.replicas.making import container, order, serving

RUNS: dict[str, Any] = {"command": ["x"]}


@pytest.mark.parametrize(
    "field",
    [
        {"affinity": {"nodeAffinity": {}}},
        {"nodeSelector": {"disk": "ssd"}},
        {"tolerations": [{"key": "gpu"}]},
        {"serviceAccountName": "me"},
        {"securityContext": {"runAsUser": 1}},
        {"imagePullSecrets": [{"name": "s"}]},
        {"unheardOf": {"a": 1}},
    ],
)
def test_what_is_harmless_on_one_machine_is_noted(tmp_path: Path, field: dict[str, Any]) -> None:
    notes = unsupported.of_pod(order(tmp_path, pod=field, **RUNS))
    assert [note.split()[0] for note in notes] == list(field)


def test_limits_hold_for_no_process_and_requests_are_the_platforms(tmp_path: Path) -> None:
    assert unsupported.of_pod(order(tmp_path, **RUNS, resources={"requests": {"cpu": "1"}})) == ()
    (note,) = unsupported.of_pod(order(tmp_path, **RUNS, resources={"limits": {"cpu": "1"}}))
    assert note.startswith("resources.limits has no effect here: ")


@pytest.mark.parametrize("field", ["securityContext", "resizePolicy"])
def test_what_is_harmless_in_a_container_is_noted(tmp_path: Path, field: str) -> None:
    (note,) = unsupported.of_pod(order(tmp_path, **RUNS, **{field: {"x": "y"}}))
    assert note.startswith(f"{field} has no effect here: ")


@pytest.mark.parametrize(
    ("pod", "named"),
    [
        ({"containers": [container(**RUNS), {"name": "proxy"}]}, "containers[proxy]"),
        ({"initContainers": [{"name": "init"}]}, "initContainers"),
        ({"hostAliases": [{"ip": "1.2.3.4", "hostnames": ["db"]}]}, "hostAliases"),
        ({"restartPolicy": "Never"}, "restartPolicy"),
        ({"containers": [container(**RUNS, envFrom=[{"prefix": "P_"}])]}, "envFrom"),
        ({"containers": [container(**RUNS, lifecycle={"postStart": {"exec": {}}})]}, "lifecycle.postStart"),
        ({"containers": [container(**RUNS, volumeDevices=[{"name": "v"}])]}, "volumeDevices"),
    ],
)
def test_what_changes_the_container_is_refused_by_its_name(tmp_path: Path, pod: dict[str, Any], named: str) -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        unsupported.of_pod(order(tmp_path, pod=pod, **RUNS))
    assert caught.value.condition == "UnsupportedField"
    assert caught.value.reason.startswith(named)
    assert caught.value.remedy


@pytest.mark.parametrize("kind", ["configMap", "secret", "persistentVolumeClaim", "projected", "csi", "nfs"])
def test_a_volume_of_a_cluster_is_refused(tmp_path: Path, kind: str) -> None:
    mounted = {"volumeMounts": [{"name": "v", "mountPath": "/etc/v"}]}
    with pytest.raises(errors.Unresolvable, match=rf"volumes\[v\]\.{kind}"):
        unsupported.of_pod(order(tmp_path, pod={"volumes": [{"name": "v", kind: {"name": "n"}}]}, **RUNS, **mounted))


def test_a_volume_that_nothing_mounts_is_harmless(tmp_path: Path) -> None:
    assert (
        unsupported.of_pod(order(tmp_path, pod={"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, **RUNS))
        == ()
    )


def test_volumes_of_this_machine_are_folders(tmp_path: Path) -> None:
    declared = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "host", "hostPath": {"path": "/srv/data"}},
        {"name": "maybe", "secret": {"secretName": "s", "optional": True}},
    ]
    mounts = [
        {"name": "scratch", "mountPath": "/cache"},
        {"name": "host", "mountPath": "/data", "subPath": "a"},
        {"name": "maybe", "mountPath": "/s"},
    ]
    made = order(tmp_path, pod={"volumes": declared}, command=["x", "/cache", "/data", "/s"], volumeMounts=mounts)
    assert unsupported.volumes(made) == {
        "/cache": made.folder / "volumes/scratch",
        "/data": Path("/srv/data/a"),
        "/s": made.folder / "volumes/maybe",
    }
    assert unsupported.of_pod(made) == ()


def test_a_mount_that_the_process_cannot_know_of_is_noted(tmp_path: Path) -> None:
    mounts = [{"name": "scratch", "mountPath": "/cache"}]
    (note,) = unsupported.of_pod(
        order(tmp_path, pod={"volumes": [{"name": "scratch", "emptyDir": {}}]}, volumeMounts=mounts, **RUNS)
    )
    assert "/cache" in note


def test_a_mount_of_no_volume_or_out_of_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Unresolvable, match="no such volume"):
        unsupported.of_pod(order(tmp_path, volumeMounts=[{"name": "v", "mountPath": "/v"}], **RUNS))
    outward = [{"name": "v", "mountPath": "/v", "subPath": "../x"}]
    with pytest.raises(errors.Unresolvable, match="subPath"):
        unsupported.of_pod(
            order(tmp_path, pod={"volumes": [{"name": "v", "emptyDir": {}}]}, volumeMounts=outward, **RUNS)
        )


def test_an_image_beside_a_command_is_noted_and_not_used(tmp_path: Path) -> None:
    assert "not used" in unsupported.of_pod(order(tmp_path, image="me/server:1", **RUNS))[0]
    assert unsupported.of_pod(serving(tmp_path, "file:///m", image="fairlead/sklearnserver:1")) == ()


def component(**fields: Any) -> ResolvedComponent:
    return ResolvedComponent(
        kind=ComponentKind.PREDICTOR,
        name="iris-predictor",
        pod={},
        labels={},
        annotations={},
        sources=(),
        scaling=Scaling(strategy=None, spec=ScalingSpec()),
        **fields,
    )


def test_batching_is_fairlead_serves_own_and_of_no_other_server(tmp_path: Path) -> None:
    batching = component(batcher=Batcher())
    assert "by itself" in unsupported.of_component(batching, serving(tmp_path, "file:///m"))[0]
    with pytest.raises(errors.Unresolvable, match=r"predictor\.batcher"):
        unsupported.of_component(batching, order(tmp_path, **RUNS))


def test_logging_of_payloads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Unresolvable, match=r"predictor\.logger"):
        unsupported.of_component(component(logger=LoggerSpec()), serving(tmp_path, "file:///m"))


def test_an_artefact_in_a_volume_of_a_cluster_is_refused() -> None:
    with pytest.raises(errors.Unresolvable) as caught:
        fetching.check([Source(uri="pvc://claim/model")])
    assert caught.value.condition == "UnsupportedStorageUri"


def test_what_a_runtime_plugin_brings_is_not_noted(tmp_path: Path) -> None:
    assert unsupported.of_pod(serving(tmp_path, "file:///m", securityContext=dict(SECURITY))) == ()
    (note,) = unsupported.of_pod(serving(tmp_path, "file:///m", securityContext={**SECURITY, "runAsUser": 1}))
    assert note.startswith("securityContext has no effect here: ")


def test_replicas_of_several_nodes_are_refused(tmp_path: Path) -> None:
    workers = ResolvedWorkers(
        pod={},
        nodes=2,
        pipeline_parallel_size=2,
        tensor_parallel_size=1,
        head_gpus=1,
        worker_gpus=1,
        gpu_resource="nvidia.com/gpu",
    )
    with pytest.raises(errors.Unresolvable) as caught:
        unsupported.of_component(component(workers=workers), serving(tmp_path, "file:///m"))
    assert caught.value.condition == "UnsupportedWorkerSpec"
    assert caught.value.remedy


def test_a_strategy_of_deployments_is_noted(tmp_path: Path) -> None:
    strategy = component(deployment_strategy={"type": "Recreate"})
    (note,) = unsupported.of_component(strategy, serving(tmp_path, "file:///m"))
    assert note.startswith("predictor.deploymentStrategy has no effect here: ")
