"""What is installed, as requirements by which the same can be installed elsewhere."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["builds", "editable_folder", "installed", "is_met", "requirement"]


def installed(name: str) -> str | None:
    """The version of a distribution that is installed; None where it is not."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def requirement(name: str) -> tuple[str, ...]:
    """The arguments of ``uv pip install`` for a distribution as it is installed here.

    One that was installed from a folder or a file comes from there again, any other from the index in its version. Its
    extras are those whose requirements are all met here.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    found = importlib.metadata.distribution(name)
    extras = sorted(_extras(found))
    marked = f"[{','.join(extras)}]" if extras else ""
    folder = editable_folder(name)
    if folder is not None:
        return ("--editable", f"{folder}{marked}")
    url = _direct(found).get("url")
    if isinstance(url, str) and (not url.startswith("file:") or _path(url).exists()):
        return (f"{found.name}{marked} @ {url}",)
    return (f"{found.name}{marked}=={found.version}",)


def editable_folder(name: str) -> Path | None:
    """The folder that a distribution is installed from so that changes count at once; None for any other."""
    direct = _direct(importlib.metadata.distribution(name))
    if (direct.get("dir_info") or {}).get("editable"):
        return _path(direct["url"])
    return None


def builds(name: str) -> bool:
    """Whether installing a distribution as it is installed here builds it: it came from a folder, or as its source."""
    direct = _direct(importlib.metadata.distribution(name))
    return "dir_info" in direct or "vcs_info" in direct or str(direct.get("url", "")).endswith(".tar.gz")


def is_met(wanted: Requirement) -> bool:
    """Whether what is installed here meets a requirement, its extras included.

    One whose marker does not hold here is met. That what is installed fits together is taken for granted.
    """
    return _is_met_here(wanted, "", set())


def _is_met_here(wanted: Requirement, extra: str, seen: set[tuple[str, str]]) -> bool:
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
        return True
    if not _is_met(wanted):
        return False
    name = canonicalize_name(wanted.name)
    for each in wanted.extras - {other for distribution, other in seen if distribution == name}:
        seen.add((name, each))
        found = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
        if not all(_is_met_here(inner, each, seen) for inner in found if _only_for(inner, each)):
            return False
    return True


def _direct(found: importlib.metadata.Distribution) -> dict[str, Any]:
    """Where a distribution comes from, as PEP 610 has it; empty for one from an index."""
    try:
        document = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _extras(found: importlib.metadata.Distribution) -> Iterator[str]:
    """The extras whose requirements are all installed, without those that only collect others."""
    requirements = [Requirement(text) for text in found.requires or ()]
    for extra in found.metadata.get_all("Provides-Extra") or ():
        wanted = [each for each in requirements if _only_for(each, extra)]
        collects = any(canonicalize_name(each.name) == canonicalize_name(found.name) for each in wanted)
        if wanted and not collects and all(_is_met(each) for each in wanted):
            yield extra


def _only_for(wanted: Requirement, extra: str) -> bool:
    marker = wanted.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _is_met(wanted: Requirement) -> bool:
    version = installed(wanted.name)
    return version is not None and wanted.specifier.contains(version, prereleases=True)
