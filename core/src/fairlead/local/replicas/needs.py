"""Why something cannot run in this environment: another library version, or packages that are not installed."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from packaging.version import Version

from fairlead import errors
from fairlead.contracts.runtime import Artifact, Library
from fairlead.contracts.unpickling import UnpicklingMode, UnpicklingPolicy
from fairlead.local.replicas import distributions
from fairlead.plugins import Kind
from fairlead.runtimes import requirements

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement

    from fairlead.contracts.runtime import RuntimeSpec
    from fairlead.plugins import Plugins
    from fairlead.resolve.service import ResolvedModel

__all__ = ["Need", "Needs"]

_log = logging.getLogger("fairlead.local")

_VERSION: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+(?:(?:a|b|rc|\.post|\.dev)[0-9]+)?")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")  # one slash is enough for models:/iris/1
_CORE: Final = "fairlead"
_SHOWN: Final = 4
_SETTINGS: Final = (
    "uv takes packages from where its own settings (UV_DEFAULT_INDEX, UV_FIND_LINKS, …) and pip's say; see that"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What an environment has to have beside Fairlead.

    Attributes:
        requirements: the requirement specifiers, those that this environment meets included.
        distributions: the distributions of plugins, as they are installed here.
        what: what it has and this environment has not, for messages: "scikit-learn 1.5.2".
        remedy: what to do where it cannot be made.
        without: what it means to do without it; empty where that is impossible.
        wheels_only: whether nothing may be built from source, which runs code of its authors.
    """

    requirements: tuple[str, ...]
    distributions: tuple[str, ...]
    what: str
    remedy: str
    without: str = ""
    wheels_only: bool = False

    @classmethod
    def joined(cls, needs: Iterable[Self | None]) -> Self | None:
        """One environment for several needs; None where there are none."""
        found = [each for each in needs if each is not None]
        if len(found) < 2:
            return found[0] if found else None
        return cls(
            requirements=_once(line for each in found for line in each.requirements),
            distributions=_once(name for each in found for name in each.distributions),
            what=" and ".join(each.what for each in found),
            remedy=" ".join(_once(each.remedy for each in found)),
            without=" ".join(each.without for each in found) if all(each.without for each in found) else "",
            wheels_only=any(each.wheels_only for each in found),
        )


class Needs:
    """Finds out what environments are needed.

    Args:
        plugins: the plugins that there are.
    """

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._recorded: dict[tuple[object, ...], Mapping[str, str]] = {}

    def of_version(self, model: ResolvedModel | None) -> tuple[Need | None, str]:
        """The need of a manifest, and a note where its ``runtimeVersion`` asks for something else.

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
        library, installed = _installed(spec.libraries[0])
        if not _VERSION.fullmatch(asked):
            return None, f"runtimeVersion {asked} has no effect here: it is no version of {library}."
        return (None if installed == asked else self._version(spec, library, asked)), ""

    def recorded(self, model: ResolvedModel | None, artefact: Path | None) -> Need | None:
        """The need of an artefact by what it records of the library that saved it.

        None where it records nothing, or the installed version, and where the manifest asks for a version that there
        is. The file is read, and nothing of it is loaded. Most models load with another version as well: it can be
        done without.

        Args:
            model: what it is a model of.
            artefact: the file or folder; None for none.
        """
        spec = self._spec(model)
        if model is None or spec is None or spec.recorded is None or artefact is None:
            return None
        if model.runtime_version is not None and _VERSION.fullmatch(model.runtime_version):
            return None
        known = {each.distribution: each for each in spec.libraries}
        for distribution, version in self._read(spec, artefact).items():
            named = known.get(distribution, Library(distribution, distribution))
            library, installed = _installed(named)
            if version != installed and _VERSION.fullmatch(version) and not _reads(named, version, installed):
                without = f"The model was saved with {library} {version} and runs with {installed or 'none'}:"
                return dataclasses.replace(self._version(spec, library, version), without=without)
        return None

    def of_artefact(self, spec: RuntimeSpec | None, artefact: Path | None, policy: UnpicklingPolicy) -> Need | None:
        """The need of an artefact that names packages; None where all of them are installed.

        Args:
            spec: the runtime that loads it.
            artefact: the file or folder; None for none.
            policy: whether files that run code may be loaded; packages run code as well.

        Raises:
            ModelLoadError: what it says cannot be read, or is none of the requirements that it may have.
            UnpicklingRefused: the policy does not permit to install what an artefact names.
        """
        if spec is None or spec.requirements is None or artefact is None:
            return None
        asked = requirements.check(_lines(spec.requirements, artefact, f"runtime {spec.name}"), str(artefact))
        unmet = [each for each in asked if not distributions.is_met(each)]
        if not unmet:
            return None
        if policy.mode is not UnpicklingMode.ALLOW:
            raise errors.UnpicklingRefused(
                f"The model asks for {_named(unmet)}, and the unpickling policy permits no packages of its choice.",
                remedy=f"Install them where the server runs, if you trust them: pip install {_quoted(unmet)}",
            )
        return Need(
            requirements=_once(str(each) for each in asked),
            distributions=(self._distribution(Kind.RUNTIME, spec.name),),
            what=f"{_named(unmet)} (asked for by the model)",
            remedy=f"{_SETTINGS} these packages are there, as wheels: what a model names is not built from source.",
            wheels_only=True,
        )

    def of_model(self, model: ResolvedModel | None, artefact: Path | None, policy: UnpicklingPolicy) -> Need | None:
        """`of_artefact` for the runtime that a manifest comes to."""
        return self.of_artefact(self._spec(model), artefact, policy)

    def of_explainer(self, name: str | None, files: str | None, *, in_process: bool) -> Need | None:
        """The need of an explainer; None where what it needs is installed, or there is no such explainer.

        Args:
            name: the explainer; None for none.
            files: the address of its files, which the process itself fetches; None for none.
            in_process: whether it is to run in the process of the model.

        Raises:
            ModelLoadError: the explainer cannot tell what its files ask for.
        """
        spec = None if name is None else self._plugins.explainers().get(name)
        if name is None or spec is None or (in_process and not spec.in_process):
            return None
        local = None if files is None or _is_address(files) else Path(files.removeprefix("file://"))
        more: Sequence[str] = ()
        if spec.asks is not None and local is not None and local.exists():
            more = _lines(spec.asks, local, f"explainer {name}")
        asked = requirements.check((*spec.requirements, *more), f"the explainer {name}")
        unmet = [each for each in asked if not distributions.is_met(each)]
        if not unmet:
            return None
        return Need(
            requirements=_once(str(each) for each in asked),
            distributions=(self._distribution(Kind.EXPLAINER, name), *self.of_address(files)),
            what=f"{_named(unmet)} (asked for by the explainer {name})",
            remedy=f"{_SETTINGS} these packages are there.",
        )

    def of_address(self, uri: str | None) -> tuple[str, ...]:
        """The distributions of plugins by which an address may be fetched; none for a path of this machine."""
        if uri is None or not _is_address(uri):
            return ()
        from fairlead.contracts.storage import StorageProvider
        from fairlead.storage import choosing

        found = [(info.name, info.distribution) for info in self._plugins.infos(Kind.STORAGE)]
        with contextlib.suppress(errors.StorageError, errors.PluginError):  # the server will say why nothing takes it
            spec = choosing.choose(self._plugins, uri)
            provider = self._plugins.factory(Kind.STORAGE, spec)
            # A registry of models names another address, which any of them may take.
            if getattr(provider, "resolve", None) is StorageProvider.resolve:
                found = [(name, distribution) for name, distribution in found if name == spec.name]
        return _once((_CORE, *(distribution for _, distribution in found)))

    def _version(self, spec: RuntimeSpec, library: str, version: str) -> Need:
        return Need(
            requirements=(f"{library}=={version}",),
            distributions=(self._distribution(Kind.RUNTIME, spec.name),),
            what=f"{library} {version}",
            remedy=f"{_SETTINGS} the version is there, or leave `runtimeVersion` out to use the installed one.",
        )

    def _spec(self, model: ResolvedModel | None) -> RuntimeSpec | None:
        plugin = None if model is None else model.runtime.plugin
        return None if plugin is None else self._plugins.runtimes().get(plugin)

    def _distribution(self, kind: Kind, name: str) -> str:
        return self._plugins.info(kind, name).distribution

    def _read(self, spec: RuntimeSpec, artefact: Path) -> Mapping[str, str]:
        stamp = _stamp(artefact)
        if stamp not in self._recorded:
            try:
                self._recorded[stamp] = dict(_call(spec.recorded or "", artefact))
            except Exception:  # noqa: BLE001  # a plugin of anybody's; the server that loads the model tells of versions that differ
                _log.exception("The runtime %s cannot tell the versions that %s was saved with.", spec.name, artefact)
                return {}
        return self._recorded[stamp]


def _reads(library: Library, version: str, installed: str | None) -> bool:
    """Whether the installed version promises to load what that one has saved."""
    return library.reads_older and installed is not None and Version(version) < Version(installed)


def _installed(library: Library) -> tuple[str, str | None]:
    """The distribution of a library that is installed, which may be an alternative, and its version; None for none."""
    return library.installed() or (library.distribution, None)


def _call(function: str, artefact: Path) -> Any:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(Artifact(path=artefact, uri=str(artefact)))


def _is_address(uri: str) -> bool:
    """Whether it names what is elsewhere, and no path of this machine."""
    return _ADDRESS.match(uri.removeprefix("file://")) is not None


def _lines(function: str, artefact: Path, who: str) -> Sequence[str]:
    """The requirements that a plugin's function reads from an artefact.

    Raises:
        ModelLoadError: it cannot tell.
    """
    try:
        lines: Sequence[str] = _call(function, artefact)
    except errors.FairleadError:
        raise
    except Exception as error:
        raise errors.ModelLoadError(
            f"The {who} cannot tell the packages that {artefact} asks for: {type(error).__name__}: {error}."
        ) from error
    return lines


def _stamp(artefact: Path) -> tuple[object, ...]:
    """What is another value once the artefact has changed."""
    entries = sorted(artefact.iterdir()) if artefact.is_dir() else [artefact]
    return tuple((str(each), (found := each.stat()).st_mtime_ns, found.st_size) for each in entries)


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _named(unmet: Sequence[Requirement]) -> str:
    more = len(unmet) - _SHOWN
    shown = ", ".join(str(each) for each in unmet[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def _quoted(unmet: Sequence[Requirement]) -> str:
    return " ".join(f"'{each}'" for each in unmet)
