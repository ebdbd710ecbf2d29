"""What the core needs to know of this provider; importing it loads neither s3fs nor botocore."""

from __future__ import annotations

from typing import Final

from fairlead import StorageSpec, hookimpl
from fairlead.storage import policy

__all__ = ["SPEC", "fairlead_storage_providers"]

SPEC: Final = StorageSpec(
    name="s3",
    prefixes=("s3://",),
    factory="fairlead_storage_s3.provider:S3Provider",
    credentials=(
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_STS",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_CA_BUNDLE",
        "AWS_CA_BUNDLE_CONFIGMAP",
        "CA_BUNDLE_CONFIGMAP_NAME",
        "CA_BUNDLE_VOLUME_MOUNT_POINT",
        "S3_ENDPOINT",
        "S3_USE_HTTPS",
        "S3_USER_VIRTUAL_BUCKET",
        "S3_USE_VIRTUAL_BUCKET",
        "S3_USE_ACCELERATE",
        "S3_VERIFY_SSL",
        "S3_CONNECT_TIMEOUT",
        "S3_READ_TIMEOUT",
        "S3_MAX_ATTEMPTS",
        "S3_MAX_FILE_CONCURRENCY",
        "awsAnonymousCredential",
        *policy.VARIABLES,
    ),
    origins=(
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "S3_ENDPOINT",
        "S3_USE_HTTPS",
        "S3_VERIFY_SSL",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
    ),
)


@hookimpl
def fairlead_storage_providers() -> list[StorageSpec]:
    """The provider for Amazon S3."""
    return [SPEC]
