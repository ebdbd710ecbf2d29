"""The plugin ``file``: ``file://`` URIs and bare paths, used in place."""

from __future__ import annotations

from fairlead.contracts.storage import StorageSpec
from fairlead.hookspecs import hookimpl


@hookimpl
def fairlead_storage_providers() -> list[StorageSpec]:
    """Describe the provider for local files."""
    return [
        StorageSpec(
            name="file",
            prefixes=("file://",),
            factory="fairlead.storage.file.provider:FileProvider",
            local=True,
        )
    ]
