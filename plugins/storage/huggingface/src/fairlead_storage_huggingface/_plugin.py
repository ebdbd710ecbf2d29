"""What the core needs to know of this provider."""

from __future__ import annotations

from fairlead import StorageSpec, hookimpl
from fairlead.storage.policy import VARIABLES

__all__ = ["fairlead_storage_providers"]


@hookimpl
def fairlead_storage_providers() -> list[StorageSpec]:
    """Describe the provider for the Hugging Face Hub."""
    return [
        StorageSpec(
            name="huggingface",
            prefixes=("hf://",),
            immutable=(r"hf://[^:]+:[0-9a-f]{40}/?",),
            factory="fairlead_storage_huggingface.provider:HuggingFaceProvider",
            credentials=("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", *VARIABLES),
            origins=("HF_ENDPOINT",),
        )
    ]
