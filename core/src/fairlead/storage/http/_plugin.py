"""The plugin ``http``: single files from ``http://`` and ``https://``."""

from __future__ import annotations

from fairlead.contracts.storage import StorageSpec
from fairlead.hookspecs import hookimpl
from fairlead.storage.policy import VARIABLES


@hookimpl
def fairlead_storage_providers() -> list[StorageSpec]:
    """Describe the provider for http and https."""
    return [
        StorageSpec(
            name="http",
            prefixes=("http://", "https://"),
            factory="fairlead.storage.http.provider:HttpProvider",
            credentials=("*-headers", *VARIABLES),
        )
    ]
