"""``fairlead plugins new``: a plugin package to start from, small and working."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import keyword
import re
import shutil
import string
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.plugins import Kind

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["core_range", "write"]

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUFFIX: Final = ".tmpl"
_NEEDS_NUMPY: Final = (Kind.RUNTIME, Kind.EXPLAINER)


def write(kind: Kind, name: str, directory: Path) -> Path:
    """Write a plugin package into a new folder, named as its distribution.

    Args:
        kind: what the plugin provides.
        name: its name, as users will write it.
        directory: where to make the folder; made as well when it does not exist.

    Returns:
        The new folder.

    Raises:
        ConfigurationError: the name is not one for a plugin, the folder exists, or it cannot be written.
    """
    _check(name)
    target = directory / kind.distribution(name)
    values = _values(kind, name)
    files = {
        path: string.Template(text).substitute(values)
        for template in ("common", str(kind))
        for path, text in _templates(template)
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.ConfigurationError(f"{directory} cannot be made: {error.strerror}.") from error
    try:
        target.mkdir()
    except FileExistsError as error:
        raise errors.ConfigurationError(
            f"{target} exists already, and nothing is overwritten.", remedy="Give another --directory."
        ) from error
    except OSError as error:
        raise errors.ConfigurationError(f"{target} cannot be made: {error.strerror}.") from error
    try:
        for path, text in files.items():
            file = target / _placed(path, values["package"])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise errors.ConfigurationError(f"{target} cannot be written: {error.strerror}.") from error
    return target


def core_range(version: str) -> str:
    """The range of core versions that a plugin made with this one declares: up to the next that may break it."""
    from packaging.version import Version

    parsed = Version(version)
    lowest = str(parsed) if parsed.is_prerelease else f"{parsed.major}.{parsed.minor}"
    end = f"{parsed.major + 1}" if parsed.major else f"0.{parsed.minor + 1}"
    return f">={lowest},<{end}"


def _check(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise errors.ConfigurationError(
            f"{name!r} is not a name for a plugin.",
            remedy="Use lower case letters, digits and single hyphens, and begin with a letter: my-framework",
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise errors.ConfigurationError(f"{name!r} is a word of Python's own.", remedy="Choose another name.")


def _values(kind: Kind, name: str) -> Mapping[str, str]:
    identifier = name.replace("-", "_")
    core = f"fairlead{core_range(importlib.metadata.version('fairlead'))}"
    needs = [core, *(["numpy>=1.26"] if kind in _NEEDS_NUMPY else [])]
    return {
        "kind": kind,
        "name": name,
        "distribution": kind.distribution(name),
        "package": f"fairlead_{kind}_{identifier}",
        "group": kind.group,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "variable": identifier.upper(),
        "dependencies": "\n".join(f'  "{need}",' for need in needs),
        "core": core,
    }


def _templates(name: str) -> Iterator[tuple[PurePosixPath, str]]:
    """The files of one set of templates: each path below it, without the suffix, and its text."""
    yield from _walk(importlib.resources.files("fairlead.cli") / "templates" / name, PurePosixPath())


def _walk(folder: Traversable, at: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            yield from _walk(entry, at / entry.name)
        elif entry.name.endswith(_SUFFIX):
            yield at / entry.name.removesuffix(_SUFFIX), entry.read_text(encoding="utf-8")


def _placed(path: PurePosixPath, package: str) -> Path:
    """The path with the folders ``package`` and ``package_tests`` named for the plugin."""
    names = {"package": package, "package_tests": f"{package}_tests"}
    return Path(*(names.get(part, part) for part in path.parts))
