"""The values of all fields as what they configure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from fairlead.resolve.config import DISALLOWED_ANNOTATIONS, DISALLOWED_LABELS, Config, CredentialsConfig
from fairlead_operator.configuration import model

__all__ = ["assembled"]

_S3: Final[Mapping[str, str]] = {
    "s3Endpoint": "S3_ENDPOINT",
    "s3UseHttps": "S3_USE_HTTPS",
    "s3Region": "AWS_DEFAULT_REGION",
    "s3VerifySSL": "S3_VERIFY_SSL",
    "s3UseVirtualBucket": "S3_USER_VIRTUAL_BUCKET",
    "s3UseAccelerate": "S3_USE_ACCELERATE",
    "s3UseAnonymousCredential": "awsAnonymousCredential",
    "s3CABundleConfigMap": "AWS_CA_BUNDLE_CONFIGMAP",
    "s3CABundle": "AWS_CA_BUNDLE",
}
"""The variables that say what fields of ``credentials.s3`` say."""

_GPUS: Final = Config().gpu_resources

_Of: TypeAlias = Callable[[str], Any]


def assembled(values: Mapping[str, Any]) -> model.OperatorConfig:
    """What the fields configure.

    Args:
        values: what each field of the table with an effect comes to, by its path.
    """

    def key(name: str) -> _Of:
        return lambda field: values[f"{name}.{field}"]

    logger, collector, metrics = key("logger"), key("opentelemetryCollector"), key("metricsAggregator")
    rollout, autoscaler = key("deploy.deploymentRolloutStrategy.defaultRollout"), key("autoscaler")
    return model.OperatorConfig(
        resolve=_resolve(key),
        storage=_storage(key("storageInitializer")),
        agent=model.Sidecar(image=key("agent")("image"), resources=_resources(key("agent"))),
        logger=_logger(logger),
        ingress=_ingress(key("ingress"), key("fairlead")("clusterDomain")),
        rollout=model.Rollout(max_surge=rollout("maxSurge"), max_unavailable=rollout("maxUnavailable")),
        headless=key("service")("serviceClusterIPNone"),
        scrape=metrics("enablePrometheusScraping"),
        aggregate=metrics("enableMetricAggregation"),
        stabilization=model.Stabilization(
            scale_up=autoscaler("scaleUpStabilizationWindowSeconds"),
            scale_down=autoscaler("scaleDownStabilizationWindowSeconds"),
        ),
        opentelemetry=model.OpenTelemetry(
            scrape_interval=collector("scrapeInterval"),
            receiver=collector("metricReceiverEndpoint"),
            scaler=collector("metricScalerEndpoint"),
            resources=_resources(key("opentelemetryCollector.resource")),
        ),
        mounts_token=None if key("security")("autoMountServiceAccountToken") else False,
    )


def _resolve(key: Callable[[str], _Of]) -> Config:
    service, sizes, ingress = key("inferenceService"), key("inferenceService.resource"), key("ingress")
    art = key("explainers.art")
    requests = {name: size for name in ("cpu", "memory") if (size := sizes(f"{name}Request"))}
    limits = {name: size for name in ("cpu", "memory") if (size := sizes(f"{name}Limit"))}
    return Config(
        default_mode=key("deploy")("defaultDeploymentMode"),
        resources=requests,
        limits=limits if limits != requests else None,
        disallowed_annotations=DISALLOWED_ANNOTATIONS.union(service("serviceAnnotationDisallowedList")),
        disallowed_labels=DISALLOWED_LABELS.union(service("serviceLabelDisallowedList")),
        ingress_domain=ingress("ingressDomain"),
        domain_template=ingress("domainTemplate"),
        path_template=ingress("pathTemplate"),
        url_scheme=ingress("urlScheme"),
        gpu_resources=tuple(dict.fromkeys((*_GPUS, *key("multiNode")("customGPUResourceTypeList")))),
        art_image=":".join(each for each in (art("image"), art("defaultImageVersion")) if each),
        credentials=_credentials(key("credentials")),
    )


def _credentials(of: _Of) -> CredentialsConfig:
    s3 = {variable: of(f"s3.{name}") for name, variable in _S3.items()}
    return CredentialsConfig(
        annotation=of("storageSecretNameAnnotation"),
        entries=of("storageSpecSecretName"),
        gcs_key=of("gcs.gcsCredentialFileName"),
        s3_access_key_id=of("s3.s3AccessKeyIDName"),
        s3_secret_access_key=of("s3.s3SecretAccessKeyName"),
        s3={variable: text for variable, text in s3.items() if text},
    )


def _resources(of: _Of) -> model.Resources:
    return model.Resources(
        cpu_request=of("cpuRequest"),
        cpu_limit=of("cpuLimit"),
        memory_request=of("memoryRequest"),
        memory_limit=of("memoryLimit"),
    )


def _storage(of: _Of) -> model.StorageInitializer:
    sidecar = of("enableModelcar") or of("enableOciModelSupport")
    return model.StorageInitializer(
        image=of("image"),
        resources=_resources(of),
        ca_bundle_config_map=of("caBundleConfigMapName"),
        ca_bundle_mount_path=of("caBundleVolumeMountPath"),
        oci_mode=of("ociModelMode") or ("modelcar" if sidecar else None),
        oci_insecure=of("ociInsecureRegistry"),
        modelcar=model.Modelcar(cpu=of("cpuModelcar"), memory=of("memoryModelcar"), uid=of("uidModelcar")),
    )


def _logger(of: _Of) -> model.Logger:
    return model.Logger(
        default_url=of("defaultUrl"),
        ca_bundle=of("caBundle"),
        ca_cert_file=of("caCertFile"),
        skip_verify=of("tlsSkipVerify"),
        storage=of("storage"),
        marshaller_url=of("marshallerUrl"),
        batch_size=of("batchSize"),
        batch_interval=of("batchInterval"),
    )


def _ingress(of: _Of, cluster_domain: str) -> model.Ingress:
    return model.Ingress(
        gateway_api=of("enableGatewayApi"),
        gateway=of("kserveIngressGateway"),
        ingress_class=of("ingressClassName"),
        additional_domains=of("additionalIngressDomains"),
        disabled=of("disableIngressCreation"),
        without_timeout=of("disableHTTPRouteTimeout"),
        cluster_domain=cluster_domain,
    )
