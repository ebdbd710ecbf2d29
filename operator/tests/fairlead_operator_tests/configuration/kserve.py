"""The ConfigMap as KServe ships it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["SHIPPED"]

_SMALL: Final = {"memoryRequest": "100Mi", "memoryLimit": "1Gi", "cpuRequest": "100m", "cpuLimit": "1"}
_LARGE: Final = {"memoryRequest": "1Gi", "memoryLimit": "1Gi", "cpuRequest": "1", "cpuLimit": "1"}

_FIELDS: Final[Mapping[str, Any]] = {
    "explainers": {"art": {"image": "kserve/art-explainer", "defaultImageVersion": "latest"}},
    "inferenceService": {
        "resource": {"cpuLimit": "1", "memoryLimit": "2Gi", "cpuRequest": "1", "memoryRequest": "2Gi"}
    },
    "storageInitializer": {
        "image": "kserve/storage-initializer:latest",
        **_SMALL,
        "caBundleConfigMapName": "",
        "caBundleVolumeMountPath": "/etc/ssl/custom-certs",
        "enableModelcar": True,
        "cpuModelcar": "10m",
        "memoryModelcar": "15Mi",
        "uidModelcar": 1010,
    },
    "credentials": {
        "storageSpecSecretName": "storage-config",
        "storageSecretNameAnnotation": "serving.kserve.io/storageSecretName",
        "gcs": {"gcsCredentialFileName": "gcloud-application-credentials.json"},
        "s3": {
            "s3AccessKeyIDName": "AWS_ACCESS_KEY_ID",
            "s3SecretAccessKeyName": "AWS_SECRET_ACCESS_KEY",
            "s3Endpoint": "",
            "s3UseHttps": "",
            "s3Region": "",
            "s3VerifySSL": "",
            "s3UseVirtualBucket": "",
            "s3UseAccelerate": "",
            "s3UseAnonymousCredential": "",
            "s3CABundleConfigMap": "",
            "s3CABundle": "",
        },
    },
    "ingress": {
        "enableGatewayApi": False,
        "kserveIngressGateway": "kserve/kserve-ingress-gateway",
        "ingressGateway": "knative-serving/knative-ingress-gateway",
        "localGateway": "knative-serving/knative-local-gateway",
        "localGatewayService": "knative-local-gateway.istio-system.svc.cluster.local",
        "ingressDomain": "example.com",
        "ingressClassName": "istio",
        "domainTemplate": "{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}",
        "urlScheme": "http",
        "disableIstioVirtualHost": False,
        "disableIngressCreation": False,
        "disableHTTPRouteTimeout": False,
    },
    "logger": {"image": "kserve/agent:latest", **_SMALL, "defaultUrl": "http://default-broker"},
    "batcher": {"image": "kserve/agent:latest", **_LARGE, "maxBatchSize": "32", "maxLatency": "5000"},
    "agent": {"image": "kserve/agent:latest", **_SMALL},
    "router": {"image": "kserve/router:latest", **_SMALL, "imagePullPolicy": "IfNotPresent"},
    "deploy": {"defaultDeploymentMode": "Serverless"},
    "metricsAggregator": {"enableMetricAggregation": "false", "enablePrometheusScraping": "false"},
    "localModel": {
        "enabled": False,
        "jobNamespace": "kserve-localmodel-jobs",
        "defaultJobImage": "kserve/storage-initializer:latest",
        "fsGroup": 1000,
        "jobTTLSecondsAfterFinished": 3600,
        "reconcilationFrequencyInSecs": 60,
        "disableVolumeManagement": False,
    },
    "security": {"autoMountServiceAccountToken": True},
    "opentelemetryCollector": {
        "scrapeInterval": "5s",
        "metricReceiverEndpoint": "keda-otel-scaler.keda.svc:4317",
        "metricScalerEndpoint": "keda-otel-scaler.keda.svc:4318",
        "resource": {"cpuLimit": "1", "memoryLimit": "2Gi", "cpuRequest": "200m", "memoryRequest": "512Mi"},
    },
    "autoscaler": {"scaleUpStabilizationWindowSeconds": "0", "scaleDownStabilizationWindowSeconds": "300"},
}

SHIPPED: Final[Mapping[str, str]] = {
    "_example": "# What the keys below may hold.\nexplainers: |-\n  {}\n",
    **{key: json.dumps(value, indent=2) for key, value in _FIELDS.items()},
}
"""``data`` of that ConfigMap, with the key that explains the others."""
