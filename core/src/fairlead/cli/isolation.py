"""Where ``fairlead serve`` goes on: here, or in an environment that has what the model or its explainer asks for."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead import errors
from fairlead.local.replicas.commands import ISOLATED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from fairlead.contracts.runtime import Artifact, RuntimeSpec
    from fairlead.local.replicas.needs import Need
    from fairlead.plugins import Plugins
    from fairlead.settings import ServerSettings

__all__ = ["CHOICES", "enter"]

CHOICES = ("auto", "off")
"""What ``--isolate`` takes."""

_log = logging.getLogger("fairlead.server")


def enter(args: argparse.Namespace, settings: ServerSettings, plugins: Plugins) -> None:
    """Go on in an environment of its own where packages that the model or its explainer asks for are missing here.

    The environment is made where there is none yet, and then runs the same command line in place of this process. It
    returns where none is needed, in one that was made for this command line, and with ``--isolate off``.

    Raises:
        FairleadError: it asks for something that it may not have, or the environment cannot be made.
    """
    made = os.environ.pop(ISOLATED, None)  # not for what the model starts
    if made is not None or args.isolate == "off":
        return
    try:
        need = _need(args, settings, plugins)
        python = None if need is None else _python(need, plugins)
    except (errors.ModelLoadError, errors.ConfigurationError) as error:
        here = "serve it with what is installed here: --isolate off"
        error.remedy = f"{error.remedy.rstrip('.')}; or {here}" if error.remedy else here.capitalize()
        raise
    if python is not None:
        _go_on(python, args.arguments)


def _need(args: argparse.Namespace, settings: ServerSettings, plugins: Plugins) -> Need | None:
    from fairlead.local.replicas.needs import Need, Needs

    needs = Needs(plugins)
    uri: str | None = args.model if args.model is not None else args.model_dir
    artifact = None if uri is None else _artifact(uri, args.format, plugins)
    spec = None if artifact is None else _runtime(artifact, args.format, plugins)
    of_model = needs.of_artefact(spec, None if artifact is None else artifact.path, settings.unpickling)
    of_explainer = needs.of_explainer(args.explainer, args.explainer_dir, in_process=uri is not None)
    need = Need.joined((of_model, of_explainer))
    # What was fetched is in the cache; still, somebody has to know the address.
    return need and dataclasses.replace(need, distributions=(*need.distributions, *needs.of_address(uri)))


def _artifact(uri: str, model_format: str | None, plugins: Plugins) -> Artifact | None:
    """The files of a model whose packages are asked for before the server listens; None for others.

    Those of another machine are fetched first only where a runtime is named whose models ask for packages: while a
    model is fetched, the server answers already that it lives.
    """
    from fairlead.contracts.runtime import Artifact
    from fairlead.storage import progress
    from fairlead.storage.fetcher import Fetcher
    from fairlead.storage.settings import FetchSettings

    local = _local(uri)
    if local is not None:
        return Artifact(path=local, uri=uri) if local.exists() else None
    asking = [spec for spec in plugins.runtimes().values() if spec.requirements is not None]
    if model_format not in {name for spec in asking for name in (spec.name, *(each.name for each in spec.formats))}:
        return None
    shown = progress.automatic(logging.getLogger("fairlead.storage"))
    return Fetcher(plugins, FetchSettings.from_environment(settle_later=True), shown).fetch(uri)


def _local(uri: str) -> Path | None:
    """The path of this machine that an address names; None for an address of another, or with a digest."""
    path = uri.removeprefix("file://")
    return None if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path) else Path(path)


def _runtime(artifact: Artifact, model_format: str | None, plugins: Plugins) -> RuntimeSpec | None:
    """The runtime that will load it; None where the server will say why there is none."""
    from fairlead.engine import modelconfig, selection

    with contextlib.suppress(errors.FairleadError):
        asked = modelconfig.read(artifact.path).model_format or model_format
        return selection.choose(artifact, plugins.runtimes(), asked, recognises=plugins.recognises).spec
    return None


def _python(need: Need, plugins: Plugins) -> Path:
    """The Python of the environment."""
    from fairlead.local.replicas.environments import Environments

    def say(line: str) -> None:
        if not line.startswith(" + "):  # every package that is installed
            _log.info("%s", line)

    _log.info("the server goes on in an environment of its own, with %s", need.what)
    return asyncio.run(Environments(plugins).python(need, say))


def _go_on(python: Path, arguments: Sequence[str]) -> None:
    from fairlead.cli import logs

    logs.flush()
    sys.stdout.flush()
    command = [str(python), "-m", "fairlead.cli.main", "serve", *arguments]
    os.execve(command[0], command, _environ(python, os.environ))  # noqa: S606  # no shell is wanted


def _environ(python: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the same command in another environment."""
    kept = {name: each for name, each in environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    path = os.pathsep.join([str(python.parent), kept.get("PATH", os.defpath)])
    return {**kept, "PATH": path, ISOLATED: "1"}
