"""What the core needs to know of this provider; importing it loads neither gcsfs nor google-auth."""

from __future__ import annotations

from typing import Final

from fairlead import StorageSpec, hookimpl

__all__ = ["SPEC", "fairlead_storage_providers"]

SPEC: Final = StorageSpec(
    name="gcs",
    prefixes=("gs://",),
    factory="fairlead_storage_gcs.provider:GcsProvider",
    credentials=(
        "gcloud-application-credentials.json",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "STORAGE_EMULATOR_HOST",
        "FAIRLEAD_STORAGE_*",
    ),
    origins=("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"),
)


@hookimpl
def fairlead_storage_providers() -> list[StorageSpec]:
    """The provider for Google Cloud Storage."""
    return [SPEC]
