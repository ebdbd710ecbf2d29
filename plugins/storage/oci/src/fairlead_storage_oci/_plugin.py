"""What the core needs to know of this provider; importing it loads no client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import StorageSpec, hookimpl

__all__ = ["SPEC", "fairlead_storage_providers"]

SPEC: Final = StorageSpec(
    name="oci",
    # The last one is taken to be refused with a reason.
    prefixes=("oci://", "oci+fetch://", "oci+native://"),
    immutable=(r"oci(?:\+fetch)?://.*@sha256:[0-9a-f]{64}",),
    factory="fairlead_storage_oci.provider:OciProvider",
    credentials=(
        ".dockerconfigjson",
        ".dockercfg",
        "KSERVE_OCI_DOCKER_CONFIG",
        "KSERVE_OCI_INSECURE_REGISTRY",
        "CA_BUNDLE_CONFIGMAP_NAME",
        "CA_BUNDLE_VOLUME_MOUNT_POINT",
        "FAIRLEAD_STORAGE_COSIGN_*",
        "FAIRLEAD_STORAGE_HOSTS",
        "FAIRLEAD_STORAGE_NETWORK",
        "FAIRLEAD_STORAGE_SCHEMES",
    ),
    # What came before a signature was asked for is not taken for signed.
    origins=("KSERVE_OCI_INSECURE_REGISTRY", "FAIRLEAD_STORAGE_COSIGN_*"),
)


@hookimpl
def fairlead_storage_providers() -> Iterable[StorageSpec]:
    """The provider of OCI registries."""
    return (SPEC,)
