"""The plugin ``git``: folders and files of git repositories, at a branch, a tag or a commit."""

from __future__ import annotations

from typing import Final

from fairlead.contracts.storage import StorageSpec
from fairlead.hookspecs import hookimpl

_REPOSITORY: Final = r"https://[^/?#]+/[^?#]*\.git/?(?:@[^?#]*)?(?:#.*)?$"
"""KServe's way: an https URL whose path ends with ``.git``; a ref and a folder may follow as elsewhere."""


@hookimpl
def fairlead_storage_providers() -> list[StorageSpec]:
    """Describe the provider for git."""
    return [
        StorageSpec(
            name="git",
            # git+ssh is taken to say why it cannot be read.
            prefixes=("git+https://", "git+http://", "git+file://", "git+ssh://"),
            patterns=(_REPOSITORY,),
            immutable=(r".*\.git/?@[0-9a-f]{40}(?:#.*)?", r"git\+[^#]*@[0-9a-f]{40}(?:#.*)?"),
            factory="fairlead_storage_git.provider:GitProvider",
            credentials=("GIT_USERNAME", "GIT_PASSWORD", "GIT_MAX_BYTES", "*-headers", "FAIRLEAD_STORAGE_*"),
        )
    ]
