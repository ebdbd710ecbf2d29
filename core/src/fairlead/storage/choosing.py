"""Which storage provider takes a URI."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.plugins import Kind
from fairlead.storage import uris

if TYPE_CHECKING:
    from fairlead.contracts.storage import StorageSpec
    from fairlead.plugins import Plugins

__all__ = ["choose"]


def choose(plugins: Plugins, uri: str) -> StorageSpec:
    """The provider that takes a URI: by pattern, else by the longest prefix, else the one for local paths.

    Raises:
        StorageError: none does, or several do, or it cannot be used.
    """
    specs = list(plugins.storage_providers().values())
    kind = uris.scheme(uri)
    normal = uri if kind is None else kind + uri[len(kind) :]
    found = [spec for spec in specs if any(re.match(pattern, normal) for pattern in spec.patterns)]
    if not found and kind is None:
        if (registry := _REGISTRY.match(uri)) and not Path(uri).exists():
            raise errors.StorageError(
                f"No installed storage provider takes {registry[1]}:/ ({uris.redact(uri)}).",
                remedy=f"pip install {Kind.STORAGE.distribution('mlflow')}",
            )
        return _one(plugins, [spec for spec in specs if spec.local], uri, "a local path")
    if not found:
        lengths = {
            spec.name: max((len(prefix) for prefix in spec.prefixes if normal.startswith(prefix)), default=0)
            for spec in specs
        }
        longest = max(lengths.values(), default=0)
        found = [spec for spec in specs if longest and lengths[spec.name] == longest]
    return _one(plugins, found, uri, f"{kind}://")


def _one(plugins: Plugins, found: Sequence[StorageSpec], uri: str, what: str) -> StorageSpec:
    if len(found) == 1:
        return found[0]
    shown = uris.redact(uri)
    if found:
        names = " and ".join(spec.name for spec in found)
        raise errors.StorageError(
            f"{shown} is claimed by the storage providers {names}.",
            remedy="Uninstall one of them, or leave it out of FAIRLEAD_PLUGINS.",
        )
    kind = uris.scheme(uri) or "file"
    name = _PLUGINS.get(kind, kind)
    for info in plugins.infos(Kind.STORAGE):
        if info.error is not None and (info.name == name or what == "a local path"):
            raise errors.StorageError(info.error.reason, remedy=info.error.remedy) from info.error
    known = sorted(prefix for spec in plugins.storage_providers().values() for prefix in spec.prefixes)
    raise errors.StorageError(
        f"No installed storage provider takes {what} ({shown}); they take {', '.join(known) or 'nothing'}.",
        remedy=f"A provider is a plugin, by convention named {Kind.STORAGE.distribution(name)}.",
    )


_REGISTRY: Final = re.compile(r"(models|runs|mlflow-artifacts):/")
"""Addresses of MLflow have one slash, and would be taken for paths."""

_PLUGINS: Final = {
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
    "git+file": "git",
    "git+http": "git",
    "git+https": "git",
    "git+ssh": "git",
    "gs": "gcs",
    "hf": "huggingface",
    "oci+fetch": "oci",
    "webhdfs": "hdfs",
}
"""Schemes whose plugin is not named as they are, to say which is missing."""
