"""What the platform decides for all InferenceServices.

These are the parts of KServe's ConfigMap ``inferenceservice-config`` that bear on what a service comes to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

__all__ = ["DISALLOWED_ANNOTATIONS", "DISALLOWED_LABELS", "Config", "CredentialsConfig"]

DISALLOWED_ANNOTATIONS: Final = frozenset(
    {
        "autoscaling.knative.dev/max-scale",
        "autoscaling.knative.dev/min-scale",
        "internal.serving.kserve.io/storage-initializer-sourceuri",
        "kubectl.kubernetes.io/last-applied-configuration",
        "modelFormat",
    }
)
"""Annotations of an InferenceService that its objects do not get."""

DISALLOWED_LABELS: Final = frozenset({"networking.knative.dev/visibility"})
"""Labels of an InferenceService that its revisions do not get."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsConfig:
    """How Secrets are named and read: the key ``credentials`` of KServe's ConfigMap.

    Attributes:
        annotation: the annotation that names the one Secret of a service.
        entries: the Secret whose entries ``storage`` of a model names.
        gcs_key: the key of a service account file of Google Cloud.
        s3_access_key_id: the key of the id of an access key of S3.
        s3_secret_access_key: the key of the secret access key of S3.
        s3: settings of S3 where a Secret says nothing, as variables: ``S3_ENDPOINT``, ``S3_USE_HTTPS``,
            ``AWS_DEFAULT_REGION``, ``S3_VERIFY_SSL``, ``S3_USER_VIRTUAL_BUCKET``, ``S3_USE_ACCELERATE``,
            ``awsAnonymousCredential``, ``AWS_CA_BUNDLE_CONFIGMAP``, ``AWS_CA_BUNDLE``.
    """

    annotation: str = "serving.kserve.io/storageSecretName"
    entries: str = "storage-config"
    gcs_key: str = "gcloud-application-credentials.json"
    s3_access_key_id: str = "AWS_ACCESS_KEY_ID"
    s3_secret_access_key: str = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  # the name of a key
    s3: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of the platform.

    Attributes:
        default_mode: the deployment mode of services that name none: ``Knative`` or ``Standard``.
        resources: default requests and limits of containers of one's own, by resource (``cpu``, ``memory``).
        limits: default limits, where they are others than the requests.
        disallowed_annotations: annotations that are not handed on to the objects of a service.
        disallowed_labels: labels that are not handed on.
        ingress_domain: the domain that hosts are made in.
        domain_template: how a host is made, with ``{{.Name}}``, ``{{.Namespace}}``, ``{{.IngressDomain}}``.
        path_template: how a path is made, with ``{{.Name}}`` and ``{{.Namespace}}``; empty for none.
        url_scheme: ``http`` or ``https``.
        gpu_resources: resources that count as a GPU.
        art_image: the image of the explainer of the Adversarial Robustness Toolbox; ``runtimeVersion`` is its tag.
        predictor_host: how transformers and explainers ask the predictor, with ``{{.Name}}`` (the predictor's object)
            and ``{{.Namespace}}``; what runs them may put another address in its place.
        credentials: how Secrets are named and read.
    """

    default_mode: str = "Knative"
    resources: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"cpu": "1", "memory": "2Gi"})
    limits: Mapping[str, str] | None = None
    disallowed_annotations: frozenset[str] = DISALLOWED_ANNOTATIONS
    disallowed_labels: frozenset[str] = DISALLOWED_LABELS
    ingress_domain: str = "example.com"
    domain_template: str = "{{.Name}}-{{.Namespace}}.{{.IngressDomain}}"
    path_template: str = ""
    url_scheme: str = "http"
    gpu_resources: tuple[str, ...] = ("nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "habana.ai/gaudi")
    art_image: str = "kserve/art-explainer:latest"
    predictor_host: str = "{{.Name}}.{{.Namespace}}"
    credentials: CredentialsConfig = dataclasses.field(default_factory=CredentialsConfig)
