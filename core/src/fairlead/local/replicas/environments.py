"""Environments for models of another library version than the installed one: made with uv, and kept."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import hashlib
import importlib
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.contracts.runtime import Artifact
from fairlead.local.replicas import distributions
from fairlead.local.replicas.commands import Launch
from fairlead.local.replicas.process import Process
from fairlead.local.replicas.threads import in_thread
from fairlead.plugins import Kind

if TYPE_CHECKING:
    from fairlead.contracts.runtime import RuntimeSpec
    from fairlead.plugins import Plugins
    from fairlead.resolve.service import ResolvedModel

__all__ = ["Environments", "Need"]

_log = logging.getLogger("fairlead.local")

_VERSION: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+(?:(?:a|b|rc|\.post|\.dev)[0-9]+)?")
_LOCK_PAUSE: Final = 0.2
_GRACE: Final = 5.0
_LINES: Final = 12
_REMEDY: Final = (
    "uv takes packages from where its own settings (UV_DEFAULT_INDEX, UV_FIND_LINKS, …) and pip's say; see that the "
    "version is there, or leave `runtimeVersion` out to use the installed one."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Need:
    """A library in another version than the installed one.

    Attributes:
        plugin: the runtime plugin that loads with it.
        library: the distribution.
        version: the version.
        installed: the version that is installed; None where it is not.
        recorded: whether the artefact records it; otherwise the manifest asks for it.
    """

    plugin: str
    library: str
    version: str
    installed: str | None
    recorded: bool = False


class Environments:
    """Makes environments, each once, and keeps them below the cache folder.

    Args:
        plugins: the runtime plugins that there are.
        cache: the cache folder; by default that of fetches.
        environ: the environment of uv; by default the user's.
        uv: the command; by default the one that is installed beside Fairlead, or in ``PATH``.
    """

    def __init__(
        self,
        plugins: Plugins,
        *,
        cache: Path | None = None,
        environ: Mapping[str, str] | None = None,
        uv: str | None = None,
    ) -> None:
        self._plugins = plugins
        self._cache = cache
        self._environ = os.environ if environ is None else environ
        self._uv = uv
        self._recorded: dict[tuple[object, ...], Mapping[str, str]] = {}

    def needed(self, model: ResolvedModel | None) -> tuple[Need | None, str]:
        """The environment that a manifest asks for, and a note where its ``runtimeVersion`` asks for something else.

        KServe takes ``runtimeVersion`` for the tag of an image. Here it is the version of the runtime's library where
        it looks like one: numbers with dots between them, such as 1.5.2. A need is None where the installed version
        will do.
        """
        if model is None or model.runtime.plugin is None or model.runtime_version is None:
            return None, ""
        spec = self._plugins.runtimes().get(model.runtime.plugin)
        asked = model.runtime_version
        if spec is None or not spec.libraries:
            return None, f"runtimeVersion {asked} has no effect here: the runtime has no library that it could mean."
        library = spec.libraries[0].distribution
        if not _VERSION.fullmatch(asked):
            return None, f"runtimeVersion {asked} has no effect here: it is no version of {library}."
        installed = distributions.installed(library)
        return (None if installed == asked else Need(spec.name, library, asked, installed)), ""

    async def recorded(self, model: ResolvedModel | None, artefact: Path | None) -> Need | None:
        """The environment that an artefact needs by what it records of the library that saved it.

        None where it records nothing, or the installed version, and where the manifest asks for a version that there
        is. The file is read, and nothing of it is loaded.

        Args:
            model: what it is a model of.
            artefact: the file or folder; None for none.
        """
        plugin = None if model is None else model.runtime.plugin
        spec = None if plugin is None else self._plugins.runtimes().get(plugin)
        if model is None or spec is None or spec.recorded is None or artefact is None:
            return None
        if model.runtime_version is not None and _VERSION.fullmatch(model.runtime_version):
            return None
        found = await in_thread(lambda: self._read(spec, artefact))
        for library, version in found.items():
            installed = distributions.installed(library)
            if version != installed and _VERSION.fullmatch(version):
                return Need(spec.name, library, version, installed, recorded=True)
        return None

    def _read(self, spec: RuntimeSpec, artefact: Path) -> Mapping[str, str]:
        stamp = _stamp(artefact)
        if stamp not in self._recorded:
            self._recorded[stamp] = _read(spec, artefact)
        return self._recorded[stamp]

    async def python(self, need: Need, say: Callable[[str], None]) -> Path:
        """The Python of an environment that has a library in that version, and Fairlead and the plugin as here.

        Made at the first call; calls for the same one, in other processes as well, wait for that.

        Args:
            need: what it has to have.
            say: gets lines that tell how far it is.

        Raises:
            ConfigurationError: it cannot be made; the text has uv's last lines.
        """
        wanted = self._wanted(need)
        cache = self._cache or _default_cache()
        digest = hashlib.sha256("\n".join([sys.version, *wanted, *_sources(need, self._plugins)]).encode()).hexdigest()
        folder = cache / "environments" / digest[:32]
        python, done = folder / "bin" / "python", folder / "environment.json"
        if done.exists() and python.exists():
            return python
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            async with _locked(folder.with_suffix(".lock")):
                if not (done.exists() and python.exists()):
                    say(f"Making an environment with {need.library} {need.version} in {folder} …")
                    await self._make(folder, need, wanted, say)
                    done.write_text(json.dumps({"requirements": wanted}, indent=2))
        except OSError as error:
            raise errors.ConfigurationError(
                f"The environment in {folder} cannot be made: {error.strerror or error}.",
                remedy="Make room there, or name another folder with FAIRLEAD_CACHE.",
            ) from error
        return python

    def _wanted(self, need: Need) -> list[str]:
        plugin = self._plugins.info(Kind.RUNTIME, need.plugin).distribution
        names = dict.fromkeys(("fairlead", plugin))
        return [
            *(word for name in names for word in distributions.requirement(name)),
            f"{need.library}=={need.version}",
        ]

    async def _make(self, folder: Path, need: Need, wanted: list[str], say: Callable[[str], None]) -> None:
        uv = self._uv or _find_uv()
        environ = {**await self._settings(), "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
        environ.pop("VIRTUAL_ENV", None)
        shutil.rmtree(folder, ignore_errors=True)
        for command in (
            [uv, "venv", "--no-project", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--no-progress", "--python", str(folder / "bin" / "python"), *wanted],
        ):
            status, lines = await _run(command, environ, say)
            if status != 0:
                shutil.rmtree(folder, ignore_errors=True)
                raise errors.ConfigurationError(
                    f"An environment with {need.library} {need.version} cannot be made. uv says: {' '.join(lines)}",
                    remedy=_REMEDY,
                )

    async def _settings(self) -> dict[str, str]:
        """The environment of uv, with what pip is told to use where uv itself is told nothing."""
        environ = dict(self._environ)
        if "UV_DEFAULT_INDEX" in environ and "UV_FIND_LINKS" in environ:
            return environ
        # uv does not read pip's configuration.
        _, lines = await _run([sys.executable, "-m", "pip", "config", "list"], environ, lambda _line: None)
        configured = dict(re.findall(r"(?m)^(?:global|install|:env:)\.([a-z-]+)='(.*)'$", "\n".join(lines)))
        for option, variable in (("index-url", "UV_DEFAULT_INDEX"), ("find-links", "UV_FIND_LINKS")):
            if option in configured:
                environ.setdefault(variable, configured[option])
        return environ


def _stamp(artefact: Path) -> tuple[object, ...]:
    """What is another value once the artefact has changed."""
    entries = sorted(artefact.iterdir()) if artefact.is_dir() else [artefact]
    return tuple((str(each), (found := each.stat()).st_mtime_ns, found.st_size) for each in entries)


def _read(spec: RuntimeSpec, artefact: Path) -> Mapping[str, str]:
    module, _, name = (spec.recorded or "").partition(":")
    try:
        found = getattr(importlib.import_module(module), name)(Artifact(path=artefact, uri=str(artefact)))
    except Exception:  # noqa: BLE001  # a plugin of anybody's; the server that loads the model tells of versions that differ
        _log.exception("The runtime %s cannot tell the versions that %s was saved with.", spec.name, artefact)
        return {}
    return dict(found)


async def _run(
    command: list[str], environ: Mapping[str, str], say: Callable[[str], None]
) -> tuple[int, tuple[str, ...]]:
    """The exit status of a command, and its last lines; it does not outlive the call."""
    from fairlead.local.replicas.logs import Lines

    lines = Lines(_LINES)

    def output(data: bytes) -> None:
        for line in lines.add(data):
            say(line.decode("utf-8", "replace"))

    process = Process(Launch(argv=tuple(command), env=environ), output)
    try:
        await asyncio.wait((process.ended,))
    finally:
        await process.stop(_GRACE)
    return process.ended.result(), lines.last()


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock that other processes respect."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _sources(need: Need, plugins: Plugins) -> list[str]:
    """What says what the folders need that are installed from in place: their dependencies may change."""
    names = ("fairlead", plugins.info(Kind.RUNTIME, need.plugin).distribution)
    folders = [distributions.editable_folder(name) for name in names]
    found = []
    for folder in folders:
        if folder is not None:
            with contextlib.suppress(OSError):
                found.append(hashlib.sha256((folder / "pyproject.toml").read_bytes()).hexdigest())
    return found


def _find_uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise errors.ConfigurationError(
            "An environment for another library version is made with uv, which is not installed.",
            remedy="Try: pip install 'fairlead[local]'",
        )
    return found


def _default_cache() -> Path:
    from fairlead.storage.settings import default_cache

    return default_cache()
