"""What ``inferenceservice-config`` decides, as values; the defaults are those of an operator without the ConfigMap."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from fairlead.resolve.config import Config

__all__ = [
    "Ingress",
    "Logger",
    "Modelcar",
    "OpenTelemetry",
    "OperatorConfig",
    "Resources",
    "Rollout",
    "Sidecar",
    "Stabilization",
    "StorageInitializer",
]

_STORAGE_IMAGE: Final = "fairlead/storage-initializer:latest"
_AGENT_IMAGE: Final = "kserve/agent:latest"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Requests and limits of a container, as quantities of Kubernetes; an empty one is left out."""

    cpu_request: str = "100m"
    cpu_limit: str = "1"
    memory_request: str = "100Mi"
    memory_limit: str = "1Gi"

    def manifest(self) -> dict[str, Any]:
        """``resources`` of a container."""
        requests = {"cpu": self.cpu_request, "memory": self.memory_request}
        limits = {"cpu": self.cpu_limit, "memory": self.memory_limit}
        both = {"requests": requests, "limits": limits}
        told = {name: {key: text for key, text in values.items() if text} for name, values in both.items()}
        return {name: values for name, values in told.items() if values}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Modelcar:
    """The sidecar that holds a model image: the fields ``*Modelcar`` of the key ``storageInitializer``."""

    cpu: str = "10m"
    memory: str = "15Mi"
    uid: int | None = 1010


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StorageInitializer:
    """The init container that fetches models: the key ``storageInitializer``.

    Attributes:
        image: its image.
        resources: its requests and limits.
        ca_bundle_config_map: the ConfigMap, in the operator's namespace, with authorities that it trusts; empty for
            none.
        ca_bundle_mount_path: the folder in which it finds them.
        oci_mode: how models in images (``oci://``) come: ``modelcar``, ``native`` or ``fetch``; None for not at all.
        oci_insecure: whether registries may be asked without TLS.
        modelcar: the sidecar of the mode ``modelcar``.
    """

    image: str = _STORAGE_IMAGE
    resources: Resources = dataclasses.field(default_factory=Resources)
    ca_bundle_config_map: str = ""
    ca_bundle_mount_path: str = "/etc/ssl/custom-certs"
    oci_mode: str | None = "modelcar"
    oci_insecure: bool = False
    modelcar: Modelcar = dataclasses.field(default_factory=Modelcar)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """The sidecar that logs and batches: the key ``agent``."""

    image: str = _AGENT_IMAGE
    resources: Resources = dataclasses.field(default_factory=Resources)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Logger:
    """Logging of payloads: the key ``logger``.

    Attributes:
        default_url: where they go where a service does not say.
        ca_bundle: the ConfigMap with authorities for that address; empty for none.
        ca_cert_file: the key in it.
        skip_verify: whether certificates are not checked.
        storage: where they are kept, as ``logger.storage`` of a service has it; None for nowhere.
        marshaller_url: what writes them.
        batch_size: how many are written together; None for one at a time.
        batch_interval: how long they wait for others to be written with, such as ``30s``; empty for no bound.
    """

    default_url: str = "http://default-broker"
    ca_bundle: str = ""
    ca_cert_file: str = ""
    skip_verify: bool = False
    storage: Mapping[str, Any] | None = None
    marshaller_url: str = ""
    batch_size: int | None = None
    batch_interval: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """The way of requests: the key ``ingress``, without what `fairlead.resolve.config.Config` has of it.

    Attributes:
        gateway_api: whether HTTPRoutes are made, and not an Ingress.
        gateway: the Gateway that they belong to, as ``namespace/name``.
        ingress_class: ``ingressClassName`` of an Ingress; empty for the cluster's default.
        additional_domains: further domains for the top-level host.
        disabled: whether nobody routes (``disableIngressCreation``).
        without_timeout: whether HTTPRoutes have no timeout (``disableHTTPRouteTimeout``).
        cluster_domain: the domain of Services.
    """

    gateway_api: bool = False
    gateway: str = "kserve/kserve-ingress-gateway"
    ingress_class: str = ""
    additional_domains: tuple[str, ...] = ()
    disabled: bool = False
    without_timeout: bool = False
    cluster_domain: str = "cluster.local"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How Deployments replace pods where a service does not say: ``deploy.deploymentRolloutStrategy``."""

    max_surge: str = "25%"
    max_unavailable: str = "25%"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stabilization:
    """Windows of KEDA's HorizontalPodAutoscaler, in seconds: the key ``autoscaler``."""

    scale_up: int = 0
    scale_down: int = 300


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpenTelemetry:
    """The collector beside pods that metrics are taken of: the key ``opentelemetryCollector``."""

    scrape_interval: str = "5s"
    receiver: str = "keda-otel-scaler.keda.svc:4317"
    scaler: str = "keda-otel-scaler.keda.svc:4318"
    resources: Resources = dataclasses.field(
        default_factory=lambda: Resources(cpu_request="200m", cpu_limit="1", memory_request="512Mi", memory_limit="2Gi")
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfig:
    """All that the ConfigMap decides for one service, after namespace and service have had their say.

    Attributes:
        resolve: the part that bears on what a service comes to.
        storage: the init container that fetches models.
        agent: the sidecar of loggers and batchers.
        logger: logging of payloads.
        ingress: the way of requests.
        rollout: how pods are replaced.
        headless: whether Services have no address of their own (``service.serviceClusterIPNone``).
        scrape: whether pods ask to be scraped where a service does not say (``metricsAggregator``).
        aggregate: whether metrics are aggregated where a service does not say.
        stabilization: windows of autoscaling.
        opentelemetry: the collector beside pods.
        mounts_token: whether pods get the token of their ServiceAccount where a service does not say; None to leave
            that to Kubernetes (``security.autoMountServiceAccountToken``).
    """

    resolve: Config = dataclasses.field(default_factory=lambda: Config(default_mode="Standard"))
    storage: StorageInitializer = dataclasses.field(default_factory=StorageInitializer)
    agent: Sidecar = dataclasses.field(default_factory=Sidecar)
    logger: Logger = dataclasses.field(default_factory=Logger)
    ingress: Ingress = dataclasses.field(default_factory=Ingress)
    rollout: Rollout = dataclasses.field(default_factory=Rollout)
    headless: bool = False
    scrape: bool = False
    aggregate: bool = False
    stabilization: Stabilization = dataclasses.field(default_factory=Stabilization)
    opentelemetry: OpenTelemetry = dataclasses.field(default_factory=OpenTelemetry)
    mounts_token: bool | None = None
