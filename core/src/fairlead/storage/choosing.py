"""Which storage provider takes a URI."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
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
                remedy=f"Install the plugin {Kind.STORAGE.distribution('mlflow')}.",
            )
        if (short := _ONE_SLASH.match(uri)) and short[1].lower() in _schemes(specs) and not Path(uri).exists():
            root = "/" if short[1].lower() == "file" else ""
            raise errors.StorageError(
                f"{uri} is a path, and nothing is there.", remedy=f"Did you mean {short[1]}://{root}{short[2]}?"
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
    if kind == "pvc":
        raise errors.StorageError(
            f"{shown} is a volume of a cluster, which is mounted and not fetched.",
            remedy="Give the path at which it is mounted, or the path of a folder of this machine.",
        )
    name = _PLUGINS.get(kind, kind)
    for info in plugins.infos(Kind.STORAGE):
        if info.error is not None and (info.name == name or what == "a local path"):
            raise errors.StorageError(info.error.reason, remedy=info.error.remedy) from info.error
    known = sorted(prefix for spec in plugins.storage_providers().values() for prefix in spec.prefixes)
    raise errors.StorageError(
        f"No installed storage provider takes {what} ({shown}); they take {', '.join(known) or 'nothing'}.",
        remedy=_remedy(kind, _schemes(plugins.storage_providers().values())),
    )


def _remedy(kind: str, known: Collection[str]) -> str:
    """What to do about a scheme that nothing here takes."""
    plugin = Kind.STORAGE.distribution(_PLUGINS.get(kind, kind))
    if kind in _PLUGINS:
        return f"Install the plugin {plugin}."
    near = [f"{each}://" for each in difflib.get_close_matches(kind, known)]
    meant = f"Did you mean {' or '.join(near)}? Otherwise a" if near else "A"
    return f"{meant} provider is a plugin, by convention named {plugin}."


def _schemes(specs: Iterable[StorageSpec]) -> set[str]:
    """Those of the installed providers, and those of the plugins that are known."""
    prefixes = (prefix for spec in specs for prefix in spec.prefixes)
    return {prefix.partition("://")[0] for prefix in prefixes} | set(_PLUGINS)


_ONE_SLASH: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):/([^/].*)")
"""An address that lacks a slash, and would be taken for a path."""

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
    "hdfs": "hdfs",
    "hf": "huggingface",
    "oci": "oci",
    "oci+fetch": "oci",
    "s3": "s3",
    "webhdfs": "hdfs",
}
"""The plugins of schemes, to say which is missing."""
