"""Runtime plugins as ClusterServingRuntimes, and what is common to runtimes of both kinds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead.api.servingruntime import ClusterServingRuntime
from fairlead.resolve import implementations, service

if TYPE_CHECKING:
    from fairlead.contracts.runtime import ModelFormat, RuntimeSpec

__all__ = ["PLUGIN_ANNOTATION", "PROBES", "RESOURCES", "SECURITY", "cluster_runtime", "runtime_name"]

PLUGIN_ANNOTATION: Final = "fairlead.io/runtime"
"""Names the runtime plugin that a ClusterServingRuntime was made from."""

RESOURCES: Final = {"cpu": "1", "memory": "2Gi"}
"""What a container of a runtime plugin requests, and its limits, as KServe's own runtimes do."""

SECURITY: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""How a container of a runtime plugin is confined: what the pod security standard ``restricted`` asks for."""

_HTTP_PORT: Final = 8080
_GRPC_PORT: Final = 8081
_READY: Final = {"httpGet": {"path": "/v2/health/ready", "port": _HTTP_PORT}, "timeoutSeconds": 5}
_LIVE: Final = {"httpGet": {"path": "/v2/health/live", "port": _HTTP_PORT}, "timeoutSeconds": 10}

PROBES: Final[Mapping[str, Any]] = {
    "startupProbe": {**_READY, "periodSeconds": 1, "failureThreshold": 3600},
    "readinessProbe": {**_READY, "periodSeconds": 2, "failureThreshold": 3},
    "livenessProbe": {**_LIVE, "periodSeconds": 10, "failureThreshold": 6},
}
"""How the container of a runtime plugin is asked.

It is ready once its model has answered a sample, until it drains. A model may take an hour to load: nothing asks
whether the server lives before it has.
"""


def runtime_name(plugin: str) -> str:
    """The name of the ClusterServingRuntime of a runtime plugin."""
    return f"fairlead-{plugin}"


def cluster_runtime(spec: RuntimeSpec, version: str | None) -> ClusterServingRuntime:
    """An installed runtime plugin as the ClusterServingRuntime that it is.

    Args:
        spec: what the plugin says of itself.
        version: the version of its distribution, which is the tag of its image; None for ``latest``.
    """
    container = {
        "name": implementations.MAIN_CONTAINER,
        "image": spec.image or f"fairlead/{spec.name}server:{version or 'latest'}",
        "command": ["fairlead", "serve"],
        "args": [
            "--name={{.Name}}",
            f"--model-dir={service.MODEL_PATH}",
            f"--format={spec.name}",
            f"--http-port={_HTTP_PORT}",
            f"--grpc-port={_GRPC_PORT}",
            *spec.args,
        ],
        "ports": [
            {"containerPort": _HTTP_PORT, "name": "http1", "protocol": "TCP"},
            {"containerPort": _GRPC_PORT, "name": "h2c", "protocol": "TCP"},
        ],
        "resources": {"requests": dict(RESOURCES), "limits": dict(RESOURCES)},
        **copy.deepcopy(dict(PROBES)),
        "securityContext": copy.deepcopy(dict(SECURITY)),
    }
    return ClusterServingRuntime.parse(
        {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "ClusterServingRuntime",
            "metadata": {"name": runtime_name(spec.name), "annotations": {PLUGIN_ANNOTATION: spec.name}},
            "spec": {
                "supportedModelFormats": [_format(each) for each in spec.formats],
                "protocolVersions": list(spec.protocols),
                "annotations": {"prometheus.kserve.io/port": str(_HTTP_PORT), "prometheus.kserve.io/path": "/metrics"},
                "containers": [container],
            },
        }
    )


def _format(declared: ModelFormat) -> dict[str, Any]:
    version = {} if declared.version is None else {"version": declared.version}
    return {"name": declared.name, **version, "autoSelect": declared.auto_select, "priority": declared.priority}
