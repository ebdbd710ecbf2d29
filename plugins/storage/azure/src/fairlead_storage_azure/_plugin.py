"""What the core needs to know of this provider; importing it loads nothing of Azure's."""

from __future__ import annotations

from typing import Final

from fairlead import StorageSpec, hookimpl

__all__ = ["SPEC", "fairlead_storage_providers"]

SPEC: Final = StorageSpec(
    name="azure",
    prefixes=("az://", "abfs://", "abfss://"),
    patterns=(
        r"https://[^/?#@]+\.(blob|file)\.core\.windows\.net([/?#]|$)",
        r"https://[^/?#@]+\.z[0-9]{1,2}\.(blob|file)\.storage\.azure\.net([/?#]|$)",
    ),
    factory="fairlead_storage_azure.provider:AzureProvider",
    credentials=(
        "AZURE_STORAGE_CONNECTION_STRING",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_ACCOUNT_NAME",
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_SERVICE_URL",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_TENANT_ID",
        "AZURE_SUBSCRIPTION_ID",
        "AZ_CLIENT_ID",
        "AZ_CLIENT_SECRET",
        "AZ_TENANT_ID",
        "AZ_SUBSCRIPTION_ID",
        "AZURE_ACCESS_TOKEN",
        "AZURE_ACCESS_EXPIRES_ON_SECONDS",
        "FAIRLEAD_STORAGE_*",
    ),
    origins=(
        "AZURE_STORAGE_CONNECTION_STRING",
        "AZURE_SERVICE_URL",
        "AZURE_ACCOUNT_NAME",
        "AZURE_STORAGE_ACCOUNT_NAME",
    ),
)


@hookimpl
def fairlead_storage_providers() -> list[StorageSpec]:
    """The provider for Azure Blob Storage and Azure Files."""
    return [SPEC]
