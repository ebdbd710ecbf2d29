"""Every field of ``inferenceservice-config``: what it may be, what it is where nobody says, and what it does.

This table is the only place that knows them: what reads the ConfigMap, the documentation, the manifest that is shipped
and ``fairlead-operator config`` are all made from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead_operator.configuration import values

if TYPE_CHECKING:
    from fairlead_operator.configuration.values import Kind

__all__ = ["BY_PATH", "CONFIG_MAP", "FIELDS", "KEYS", "OVERRIDES", "Field"]

CONFIG_MAP: Final = "inferenceservice-config"
"""The name of the ConfigMap, in the operator's namespace and in that of a service."""

OVERRIDES: Final[Mapping[str, str]] = {
    "namespace": "fairlead.overrides.namespace",
    "service": "fairlead.overrides.service",
}
"""The fields that say what may be laid over, by the level that does it; only the cluster's ConfigMap has them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        key: the key of the ConfigMap.
        name: the field in the JSON of that key; those of objects within it with dots.
        kind: what its value may be.
        default: what it is where nobody says, as JSON has it; None for what has no value then.
        meaning: what it does, or why it has no effect.
        effect: whether it has one.
        cluster_only: whether only the cluster's ConfigMap may have it.
    """

    key: str
    name: str
    kind: Kind
    default: Any
    meaning: str
    effect: bool = True
    cluster_only: bool = False

    @property
    def path(self) -> str:
        """Key and field, as overrides and annotations name it."""
        return f"{self.key}.{self.name}"

    def unsaid(self) -> Any:
        """What it comes to where nobody says."""
        return None if self.default is None else self.kind.read(self.default)


def _resources(key: str, prefix: str, whose: str, *sizes: str) -> Iterator[Field]:
    """Requests and limits, given as cpuRequest, cpuLimit, memoryRequest, memoryLimit."""
    names = ("cpuRequest", "cpuLimit", "memoryRequest", "memoryLimit")
    meanings = ("the processors requested", "the most processors", "the memory requested", "the most memory")
    for name, meaning, size in zip(names, meanings, sizes, strict=True):
        yield Field(key, f"{prefix}{name}", values.QUANTITY, size, f"{meaning}, of {whose}")


def _unused(key: str, why: str, *names: str) -> Iterator[Field]:
    """Fields that are known and do nothing here."""
    for name in names:
        yield Field(key, name, values.ANYTHING, None, why, effect=False)


_SIZED: Final = ("image", "cpuRequest", "cpuLimit", "memoryRequest", "memoryLimit")
_SMALL: Final = ("100m", "1", "100Mi", "1Gi")
_S3: Final = "S3 where a Secret says nothing"
_INITIALIZER: Final = "the init container that fetches models"
_OF_ISTIO: Final = "Istio and Knative route nothing here"
_OF_LLM: Final = "it is of LLMInferenceServices, which are not served here"
_OF_GRAPHS: Final = "it is of the router of InferenceGraphs, which the operator does not run"
_OF_NODES: Final = "models are not cached on nodes ahead of time here"
_OF_AGENT: Final = "the sidecar that logs and batches is that of the key `agent`"
_OF_BATCHER: Final = "a service sets maxBatchSize and maxLatency itself"
_OF_OTHERS: Final = "explainers come as ServingRuntimes and containers"

FIELDS: Final[tuple[Field, ...]] = (
    # -- what is served
    Field("inferenceService", "serviceAnnotationDisallowedList", values.NAMES, [],
          "annotations that objects do not get, beside those that they never get"),
    Field("inferenceService", "serviceLabelDisallowedList", values.NAMES, [],
          "labels that objects do not get, beside those that they never get"),
    *_resources("inferenceService", "resource.", "containers of one's own that say nothing", "1", "1", "2Gi", "2Gi"),
    Field("explainers", "art.image", values.IMAGE, "kserve/art-explainer", "the image of explainers `art`"),
    Field("explainers", "art.defaultImageVersion", values.TEXT, "latest", "its tag where a service names none"),
    *_unused("explainers", _OF_OTHERS, "alibi.image", "alibi.defaultImageVersion", "aix.image",
             "aix.defaultImageVersion"),
    Field("multiNode", "customGPUResourceTypeList", values.NAMES, [],
          "resources that count as GPUs, beside those of NVIDIA, AMD, Intel and Habana"),
    # -- where models come from
    Field("storageInitializer", "image", values.IMAGE, "fairlead/storage-initializer:latest",
          f"the image of {_INITIALIZER}"),
    *_resources("storageInitializer", "", _INITIALIZER, *_SMALL),
    Field("storageInitializer", "caBundleConfigMapName", values.NAME, "",
          "the ConfigMap with authorities that it trusts, in the operator's namespace"),
    Field("storageInitializer", "caBundleVolumeMountPath", values.FOLDER, "/etc/ssl/custom-certs",
          "the folder in which it finds them"),
    Field("storageInitializer", "enableModelcar", values.FLAG, True,
          "whether `oci://` models come in a sidecar where `ociModelMode` is not said"),
    Field("storageInitializer", "enableOciModelSupport", values.FLAG, False, "another name of `enableModelcar`"),
    Field("storageInitializer", "ociModelMode", values.choice("", "modelcar", "native", "fetch"), "",
          "how `oci://` models come: a sidecar, an image volume, or fetched"),
    Field("storageInitializer", "ociInsecureRegistry", values.FLAG, False,
          "whether registries may be asked without TLS"),
    Field("storageInitializer", "cpuModelcar", values.QUANTITY, "10m", "the processors of the sidecar"),
    Field("storageInitializer", "memoryModelcar", values.QUANTITY, "15Mi", "the memory of the sidecar"),
    Field("storageInitializer", "uidModelcar", values.NUMBER, 1010, "the user that the sidecar runs as"),
    *_unused("storageInitializer", "volumes are always mounted and never copied", "enableDirectPvcVolumeMount"),
    Field("credentials", "storageSpecSecretName", values.NEEDED_NAME, "storage-config",
          "the Secret whose entries `storage` of a model names"),
    Field("credentials", "storageSecretNameAnnotation", values.QUALIFIED, "serving.kserve.io/storageSecretName",
          "the annotation that names the one Secret of a service"),
    Field("credentials", "gcs.gcsCredentialFileName", values.NEEDED_FILE, "gcloud-application-credentials.json",
          "the key of a Secret with a service account of Google Cloud"),
    Field("credentials", "s3.s3AccessKeyIDName", values.NEEDED_FILE, "AWS_ACCESS_KEY_ID",
          "the key of a Secret with the id of an access key"),
    Field("credentials", "s3.s3SecretAccessKeyName", values.NEEDED_FILE, "AWS_SECRET_ACCESS_KEY",
          "the key of a Secret with its secret"),
    Field("credentials", "s3.s3Endpoint", values.TEXT, "", f"{_S3}: the endpoint"),
    Field("credentials", "s3.s3Region", values.TEXT, "", f"{_S3}: the region"),
    Field("credentials", "s3.s3UseHttps", values.SWITCH, "", f"{_S3}: whether the endpoint has TLS"),
    Field("credentials", "s3.s3VerifySSL", values.SWITCH, "", f"{_S3}: whether certificates are checked"),
    Field("credentials", "s3.s3UseVirtualBucket", values.SWITCH, "", f"{_S3}: whether buckets are hosts"),
    Field("credentials", "s3.s3UseAccelerate", values.SWITCH, "", f"{_S3}: whether Transfer Acceleration is used"),
    Field("credentials", "s3.s3UseAnonymousCredential", values.SWITCH, "",
          f"{_S3}: whether requests are not signed"),
    Field("credentials", "s3.s3CABundleConfigMap", values.NAME, "", f"{_S3}: the ConfigMap with authorities"),
    Field("credentials", "s3.s3CABundle", values.TEXT, "", f"{_S3}: the file with authorities"),
    # -- where requests come in
    Field("ingress", "enableGatewayApi", values.FLAG, False, "whether HTTPRoutes are made, and not an Ingress"),
    Field("ingress", "kserveIngressGateway", values.GATEWAY, "kserve/kserve-ingress-gateway",
          "the Gateway of the HTTPRoutes"),
    Field("ingress", "ingressClassName", values.NAME, "", "the class of the Ingress; the cluster's default if empty"),
    Field("ingress", "ingressDomain", values.DOMAIN, "example.com", "the domain that hosts are made in"),
    Field("ingress", "additionalIngressDomains", values.DOMAINS, [], "further domains of a service's own host"),
    Field("ingress", "domainTemplate", values.HOST_TEMPLATE, "{{.Name}}-{{.Namespace}}.{{.IngressDomain}}",
          "how hosts are made"),
    Field("ingress", "pathTemplate", values.PATH_TEMPLATE, "", "how a path beside the host is made; none if empty"),
    Field("ingress", "urlScheme", values.choice("http", "https"), "http", "the scheme of the URLs in the status"),
    Field("ingress", "disableIngressCreation", values.FLAG, False, "whether no route is made at all"),
    Field("ingress", "disableHTTPRouteTimeout", values.FLAG, False, "whether HTTPRoutes have no timeout"),
    *_unused("ingress", _OF_ISTIO, "ingressGateway", "ingressService", "localGateway", "localGatewayService",
             "knativeLocalGatewayService", "disableIstioVirtualHost"),
    *_unused("ingress", _OF_LLM, "enableLLMInferenceServiceTLS", "modelBasedRoutingHeaderName",
             "modelBasedRoutingMode"),
    Field("service", "serviceClusterIPNone", values.FLAG, False, "whether Services are headless"),
    # -- what runs beside a model
    Field("agent", "image", values.IMAGE, "kserve/agent:latest", "the image of the sidecar that logs and batches"),
    *_resources("agent", "", "that sidecar", *_SMALL),
    Field("logger", "defaultUrl", values.URL, "http://default-broker", "where payloads go if a service does not say"),
    Field("logger", "caBundle", values.NAME, "", "the ConfigMap with authorities for that address"),
    Field("logger", "caCertFile", values.FILE, "", "the key in it"),
    Field("logger", "tlsSkipVerify", values.FLAG, False, "whether certificates are not checked"),
    Field("logger", "storage", values.STORAGE, None, "where payloads are kept, as `logger.storage` of a service"),
    Field("logger", "marshallerUrl", values.URL, "", "what turns payloads into files"),
    Field("logger", "batchSize", values.COUNT, None, "how many payloads become one file"),
    Field("logger", "batchInterval", values.DURATION, "", "how long payloads wait for a file to fill"),
    *_unused("logger", _OF_AGENT, *_SIZED),
    *_unused("batcher", _OF_AGENT, *_SIZED),
    *_unused("batcher", _OF_BATCHER, "maxBatchSize", "maxLatency"),
    # -- how it is run
    Field("deploy", "defaultDeploymentMode",
          values.choice("Standard", "Knative", spelled={"RawDeployment": "Standard", "Serverless": "Knative"}),
          "Standard", "the mode of services that name none; only `Standard` runs here"),
    Field("deploy", "deploymentRolloutStrategy.defaultRollout.maxSurge", values.BOUND, "25%",
          "how many pods there may be beyond those wanted while they are replaced"),
    Field("deploy", "deploymentRolloutStrategy.defaultRollout.maxUnavailable", values.BOUND, "25%",
          "how many pods may be missing while they are replaced"),
    Field("security", "autoMountServiceAccountToken", values.FLAG, True,
          "`false` keeps the token of the ServiceAccount out of pods that do not ask for it"),
    Field("metricsAggregator", "enableMetricAggregation", values.FLAG_TEXT, "false",
          "whether metrics of all containers are joined where a service says nothing"),
    Field("metricsAggregator", "enablePrometheusScraping", values.FLAG_TEXT, "false",
          "whether pods ask to be scraped where a service says nothing"),
    Field("autoscaler", "scaleUpStabilizationWindowSeconds", values.WINDOW, "0",
          "seconds of KEDA's autoscaler before it adds pods"),
    Field("autoscaler", "scaleDownStabilizationWindowSeconds", values.WINDOW, "300",
          "seconds of KEDA's autoscaler before it takes pods away"),
    Field("opentelemetryCollector", "scrapeInterval", values.NEEDED_DURATION, "5s", "how often a pod is asked"),
    Field("opentelemetryCollector", "metricReceiverEndpoint", values.ADDRESS, "keda-otel-scaler.keda.svc:4317",
          "where the collector sends metrics"),
    Field("opentelemetryCollector", "metricScalerEndpoint", values.ADDRESS, "keda-otel-scaler.keda.svc:4318",
          "where KEDA asks for them"),
    *_resources("opentelemetryCollector", "resource.", "the collector", "200m", "1", "512Mi", "2Gi"),
    # -- what KServe does not have
    Field("fairlead", "clusterDomain", values.DOMAIN, "cluster.local", "the domain of Services", cluster_only=True),
    Field("fairlead", "overrides.namespace", values.PATTERNS, ["*"],
          "what ConfigMaps of namespaces may lay over, as patterns of `key.field`", cluster_only=True),
    Field("fairlead", "overrides.service", values.PATTERNS, ["*"],
          "what annotations of services may lay over, as patterns of `key.field`", cluster_only=True),
    # -- what there is not here
    *_unused("router", _OF_GRAPHS, *_SIZED, "imagePullPolicy", "imagePullSecrets", "headers.propagate"),
    *_unused("localModel", _OF_NODES, "enabled", "jobNamespace", "defaultJobImage", "fsGroup",
             "jobTTLSecondsAfterFinished", "reconcilationFrequencyInSecs", "disableVolumeManagement"),
    *_unused("scheduler", _OF_LLM, "expirationAnnotations"),
    *_unused("autoscaling-wva-controller-config", _OF_LLM, "prometheus.url", "prometheus.tlsInsecureSkipVerify",
             "prometheus.authModes", "prometheus.triggerAuthName", "prometheus.triggerAuthKind"),
)  # fmt: skip
"""The fields, by what they are about."""

BY_PATH: Final[Mapping[str, Field]] = {field.path: field for field in FIELDS}
"""The fields by key and field."""

KEYS: Final = tuple(dict.fromkeys(field.key for field in FIELDS))
"""The keys of the ConfigMap."""
