"""Environments for what cannot run in this one: made with uv, and kept."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.local.replicas import distributions
from fairlead.local.replicas.commands import Launch
from fairlead.local.replicas.needs import Need, Needs
from fairlead.local.replicas.process import Process

if TYPE_CHECKING:
    from fairlead.plugins import Plugins

__all__ = ["Environments"]

_LOCK_PAUSE: Final = 0.2
_GRACE: Final = 5.0
_LINES: Final = 12


class Environments:
    """Makes environments, each once, and keeps them below the cache folder.

    Args:
        plugins: the plugins that there are.
        cache: the cache folder; by default that of fetches.
        environ: the environment of uv; by default the user's.
        uv: the command; by default the one that is installed beside Fairlead, or in ``PATH``.

    Attributes:
        needs: finds out which environments are needed.
    """

    def __init__(
        self,
        plugins: Plugins,
        *,
        cache: Path | None = None,
        environ: Mapping[str, str] | None = None,
        uv: str | None = None,
    ) -> None:
        self.needs: Final = Needs(plugins)
        self._cache = cache
        self._environ = os.environ if environ is None else environ
        self._uv = uv

    async def python(self, need: Need, say: Callable[[str], None]) -> Path:
        """The Python of an environment that has what is needed, and Fairlead and the plugins as here; nothing else.

        Made at the first call; calls for the same one, in other processes as well, wait for that.

        Args:
            need: what it has to have.
            say: gets lines that tell how far it is.

        Raises:
            ConfigurationError: it cannot be made; the text has uv's last lines.
        """
        wanted = _wanted(need)
        cache = self._cache or _default_cache()
        digest = hashlib.sha256("\n".join([sys.version, *wanted, *_sources(need)]).encode()).hexdigest()
        folder = cache / "environments" / digest[:32]
        python, done = folder / "bin" / "python", folder / "environment.json"
        if done.exists() and python.exists():
            return python
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            async with _locked(folder.with_suffix(".lock")):
                if not (done.exists() and python.exists()):
                    say(f"Making an environment with {need.what} in {folder} …")
                    await self._make(folder, need, wanted, say)
                    done.write_text(json.dumps({"requirements": wanted}, indent=2))
        except OSError as error:
            raise errors.ConfigurationError(
                f"The environment in {folder} cannot be made: {error.strerror or error}.",
                remedy="Make room there, or name another folder with FAIRLEAD_CACHE.",
            ) from error
        return python

    async def _make(self, folder: Path, need: Need, wanted: list[str], say: Callable[[str], None]) -> None:
        uv = self._uv or _find_uv(need)
        environ = {**await self._settings(), "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
        environ.pop("VIRTUAL_ENV", None)
        shutil.rmtree(folder, ignore_errors=True)
        for command in (
            [uv, "venv", "--no-project", "--quiet", "--python", sys.executable, str(folder)],
            [
                uv,
                "pip",
                "install",
                "--no-progress",
                "--python",
                str(folder / "bin" / "python"),
                *_building(need),
                *wanted,
            ],
        ):
            status, lines = await _run(command, environ, say)
            if status != 0:
                shutil.rmtree(folder, ignore_errors=True)
                raise errors.ConfigurationError(
                    f"An environment with {need.what} cannot be made. uv says: {' '.join(lines)}", remedy=need.remedy
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


def _distributions(need: Need) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("fairlead", *need.distributions)))


def _wanted(need: Need) -> list[str]:
    """What uv is to install."""
    ours = (word for name in _distributions(need) for word in distributions.requirement(name))
    return [*ours, *need.requirements]


def _building(need: Need) -> list[str]:
    """The options by which uv builds nothing from source, but what was installed here from its source."""
    if not need.wheels_only:
        return []
    built = [name for name in _distributions(need) if distributions.builds(name)]
    return ["--only-binary", ":all:", *(word for name in built for word in ("--no-binary", name))]


def _sources(need: Need) -> list[str]:
    """What says what the folders need that are installed from in place: their dependencies may change."""
    folders = [distributions.editable_folder(name) for name in _distributions(need)]
    found = []
    for folder in folders:
        if folder is not None:
            with contextlib.suppress(OSError):
                found.append(hashlib.sha256((folder / "pyproject.toml").read_bytes()).hexdigest())
    return found


def _find_uv(need: Need) -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise errors.ConfigurationError(
            f"An environment with {need.what} is made with uv, which is not installed.",
            remedy="Try: pip install 'fairlead[local]'. Or install what is needed here: "
            f"pip install {' '.join(repr(line) for line in need.requirements)}",
        )
    return found


def _default_cache() -> Path:
    from fairlead.storage.settings import default_cache

    return default_cache()
