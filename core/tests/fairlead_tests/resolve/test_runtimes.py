"""Runtime plugins as ClusterServingRuntimes."""

from __future__ import annotations

import dataclasses

from fairlead import ModelFormat
from fairlead.cli import parsing, serve
from fairlead.resolve import runtimes
from fairlead_tests.resolve import worlds


def test_a_plugin_becomes_the_cluster_serving_runtime_that_a_cluster_would_be_given() -> None:
    made = runtimes.cluster_runtime(worlds.SKLEARN, "1.2.3").manifest()
    assert made["metadata"] == {"name": "fairlead-sklearn", "annotations": {"fairlead.io/runtime": "sklearn"}}
    assert made["spec"]["supportedModelFormats"] == [
        {"name": "sklearn", "version": "1", "autoSelect": True, "priority": 1}
    ]
    assert made["spec"]["protocolVersions"] == ["v1", "v2", "grpc-v2"]
    assert made["spec"]["annotations"] == {"prometheus.kserve.io/port": "8080", "prometheus.kserve.io/path": "/metrics"}
    [container] = made["spec"]["containers"]
    assert container == {
        "name": "kserve-container",
        "image": "fairlead/sklearnserver:1.2.3",
        "command": ["fairlead", "serve"],
        "args": [
            "--name={{.Name}}",
            "--model-dir=/mnt/models",
            "--format=sklearn",
            "--http-port=8080",
            "--grpc-port=8081",
        ],
        "ports": [
            {"containerPort": 8080, "name": "http1", "protocol": "TCP"},
            {"containerPort": 8081, "name": "h2c", "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
        "startupProbe": {
            "httpGet": {"path": "/v2/health/ready", "port": 8080},
            "timeoutSeconds": 5,
            "periodSeconds": 1,
            "failureThreshold": 3600,
        },
        "readinessProbe": {
            "httpGet": {"path": "/v2/health/ready", "port": 8080},
            "timeoutSeconds": 5,
            "periodSeconds": 2,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", "port": 8080},
            "timeoutSeconds": 10,
            "periodSeconds": 10,
            "failureThreshold": 6,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def test_a_plugin_may_bring_its_own_image_and_arguments() -> None:
    spec = dataclasses.replace(worlds.SKLEARN, image="ghcr.io/acme/it:7", args=("--workers=2",))
    [container] = runtimes.cluster_runtime(spec, "1.2.3").spec.containers
    assert container["image"] == "ghcr.io/acme/it:7"
    assert container["args"][-1] == "--workers=2"


def test_a_plugin_without_a_version_has_the_latest_image() -> None:
    [container] = runtimes.cluster_runtime(worlds.SKLEARN, None).spec.containers
    assert container["image"] == "fairlead/sklearnserver:latest"


def test_a_format_without_a_version_stays_without() -> None:
    spec = dataclasses.replace(worlds.SKLEARN, formats=(ModelFormat("sklearn", auto_select=False, priority=3),))
    [each] = runtimes.cluster_runtime(spec, None).manifest()["spec"]["supportedModelFormats"]
    assert each == {"name": "sklearn", "autoSelect": False, "priority": 3}


def test_the_server_takes_the_arguments_of_the_container() -> None:
    [container] = runtimes.cluster_runtime(worlds.SKLEARN, None).spec.containers
    parser = parsing.Parser(prog="fairlead serve")
    serve.add_arguments(parser)
    args = parser.parse(container["args"])
    assert (args.http_port, args.grpc_port, args.format) == ("8080", "8081", "sklearn")
