"""KServe's agent: the sidecar that logs and batches requests, in the place where the component would be asked.

Each component is logged as its own ``logger`` says; what it leaves open, the ConfigMap says. The agent answers the
kubelet's probe by asking the component, so that it needs to know how: by the component's own probe where that is an
HTTP request or a connection, else by a connection to the port that it sends requests to. Events name the pod that they
come from, by its real name.

Where payloads are kept as files, all keys of the Secrets of a ServiceAccount (by default ``logger-sa``) become
variables of the agent by their own names. The operator may not read Secrets: a key that is to be a file does not
become one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from fairlead.resolve import s3_options
from fairlead_operator.desired import service, wiring

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fairlead.api.component import Batcher, LoggerSpec
    from fairlead.resolve.secrets import ServiceAccount
    from fairlead.resolve.service import ResolvedComponent
    from fairlead_operator.configuration import model as configuration
    from fairlead_operator.desired.model import Surroundings

__all__ = ["CONTAINER", "wired"]

CONTAINER: Final = "agent"
"""The name of the agent's container."""

_POD_NAME: Final = "POD_NAME"
_CA_VOLUME: Final = "agent-ca-bundle"
_CA_FOLDER: Final = "/etc/tls/logger"
_LOOPBACK: Final = "127.0.0.1"
_TIMING: Final = ("periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold", "initialDelaySeconds")


def wired(
    pod: Mapping[str, Any], component: ResolvedComponent, annotations: Mapping[str, str], surroundings: Surroundings
) -> dict[str, Any]:
    """The PodSpec with the agent in it, where the component is logged or batched.

    Args:
        pod: the PodSpec; the container that requests come to has its readiness probe.
        component: the component.
        annotations: those of its pods, of which some may be logged.
        surroundings: what it is rendered in.
    """
    if component.logger is None and component.batcher is None:
        return dict(pod)
    config = surroundings.config
    entry = service.entry_container(pod)
    args: list[str] = []
    if component.batcher is not None:
        args += _batching(component.batcher)
    if component.logger is not None:
        args += _logging(component.logger, component, annotations, surroundings)
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": config.agent.image,
        "args": [*args, "--component-port", str(service.entry_port(entry))],
        "ports": [{"name": "agent-port", "containerPort": service.AGENT_PORT, "protocol": "TCP"}],
        "env": [
            *_options(component, surroundings),
            {"name": _POD_NAME, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "SERVING_READINESS_PROBE", "value": json.dumps(_asked(entry), separators=(",", ":"))},
        ],
        "resources": config.agent.resources.manifest(),
        "readinessProbe": _readiness(entry),
    }
    if secrets := _secrets(component, surroundings):
        container["envFrom"] = secrets
    if security := pod["containers"][0].get("securityContext"):
        container["securityContext"] = security
    found = {**pod, "containers": [*pod["containers"], container]}
    if component.logger is None or not config.logger.ca_bundle:
        return found
    container["volumeMounts"] = [{"name": _CA_VOLUME, "mountPath": _CA_FOLDER, "readOnly": True}]
    bundle = {"name": _CA_VOLUME, "configMap": {"name": config.logger.ca_bundle, "optional": True}}
    return {**found, "volumes": [*(pod.get("volumes") or ()), bundle]}


def _batching(batcher: Batcher) -> list[str]:
    args = ["--enable-batcher"]
    if batcher.max_batch_size is not None:
        args += ["--max-batchsize", str(batcher.max_batch_size)]
    if batcher.max_latency is not None:
        args += ["--max-latency", str(batcher.max_latency)]
    return args


def _logging(
    logger: LoggerSpec, component: ResolvedComponent, annotations: Mapping[str, str], surroundings: Surroundings
) -> list[str]:
    owner, defaults = surroundings.owner, surroundings.config.logger
    args = [
        *("--log-url", wiring.literal(logger.url or defaults.default_url)),
        *("--source-uri", f"$({_POD_NAME})"),
        *("--log-mode", logger.mode or "all"),
        *("--inference-service", owner.name),
        *("--namespace", owner.namespace),
        *("--endpoint", component.labels.get("endpoint", "")),
        *("--component", component.kind.value),
        *_storing(logger, defaults),
    ]
    if logger.metadata_headers:
        args += ["--metadata-headers", wiring.literal(",".join(logger.metadata_headers))]
    noted = [f"{key}={annotations[key]}" for key in logger.metadata_annotations or () if key in annotations]
    if noted:
        args += ["--metadata-annotations", wiring.literal(",".join(noted))]
    if defaults.ca_cert_file:
        args += ["--logger-ca-cert-file", defaults.ca_cert_file]
    return [*args, "--logger-tls-skip-verify"] if defaults.skip_verify else args


def _storing(logger: LoggerSpec, defaults: configuration.Logger) -> list[str]:
    """Where payloads are kept as files, and how many together."""
    storage = _storage(logger, defaults)
    said = {
        "--log-store-path": storage.get("path"),
        "--log-store-format": (storage.get("parameters") or {}).get("format"),
        "--log-marshaller-url": logger.marshaller_url or defaults.marshaller_url,
        "--log-batch-size": logger.batch_size if logger.batch_size is not None else defaults.batch_size,
        "--log-batch-interval": logger.batch_interval or defaults.batch_interval,
    }
    return [
        word for flag, value in said.items() if value not in (None, "") for word in (flag, wiring.literal(str(value)))
    ]


def _storage(logger: LoggerSpec, defaults: configuration.Logger) -> Mapping[str, Any]:
    """Where payloads are kept; empty for nowhere."""
    own = logger.storage.model_dump(by_alias=True, exclude_none=True) if logger.storage is not None else None
    return own or defaults.storage or {}


def _account(component: ResolvedComponent, surroundings: Surroundings) -> ServiceAccount | None:
    """Whose Secrets the agent needs, because payloads are kept."""
    if component.logger is None or not _storage(component.logger, surroundings.config.logger):
        return None
    return component.logger_account


def _secrets(component: ResolvedComponent, surroundings: Surroundings) -> list[dict[str, Any]]:
    account = _account(component, surroundings)
    return [{"secretRef": {"name": each, "optional": True}} for each in (account.secrets if account else ())]


def _options(component: ResolvedComponent, surroundings: Surroundings) -> list[dict[str, str]]:
    """Settings of S3 that no Secret says."""
    account = _account(component, surroundings)
    if account is None:
        return []
    found = s3_options.options(None, account.annotations, surroundings.config.resolve.credentials.s3)
    return [{"name": name, "value": wiring.literal(value)} for name, value in sorted(found.items())]


# -- probes ---------------------------------------------------------------------------------------------


def _readiness(entry: Mapping[str, Any]) -> dict[str, Any]:
    """How the kubelet asks the agent: the header tells it that a probe asks, and not a client."""
    own = entry.get("readinessProbe") or {}
    path = (own.get("httpGet") or {}).get("path") or "/"
    header = {"name": "K-Network-Probe", "value": "queue"}
    question = {"httpGet": {"path": path, "port": service.AGENT_PORT, "httpHeaders": [header]}}
    return {**question, **{name: own[name] for name in _TIMING if name in own}}


def _asked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """How the agent asks the component."""
    own = entry.get("readinessProbe") or {}
    timing = {name: own[name] for name in _TIMING if name in own}
    for way in ("httpGet", "tcpSocket"):
        if question := own.get(way):
            port = _number(question.get("port"), entry)
            return {way: {**question, "port": port, "host": question.get("host") or _LOOPBACK}, **timing}
    return {"tcpSocket": {"port": service.entry_port(entry), "host": _LOOPBACK}, **timing}


def _number(port: Any, entry: Mapping[str, Any]) -> int:
    """The number of a port that a probe names."""
    named = {str(each.get("name")): int(each["containerPort"]) for each in entry.get("ports") or ()}
    if isinstance(port, str) and port in named:
        return named[port]
    return int(port) if str(port).isdigit() and int(port) else service.entry_port(entry)
