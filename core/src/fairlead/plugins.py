"""The typed façade over pluggy: which plugins are installed, what each provides, and why one cannot be used.

Discovery reads entry points and imports nothing. A plugin's module is imported when its specs are first asked for,
and its factory when work is to be done. A plugin that fails breaks only what needs it.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import importlib.metadata
import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pluggy

from fairlead import errors, hookspecs

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import AutoscalerSpec
    from fairlead.contracts.explainer import ExplainerSpec
    from fairlead.contracts.runtime import RuntimeSpec
    from fairlead.contracts.storage import StorageSpec

    Spec: TypeAlias = RuntimeSpec | StorageSpec | ExplainerSpec | AutoscalerSpec

__all__ = ["ALLOW_LIST_VARIABLE", "Kind", "PluginInfo", "PluginState", "Plugins"]

ALLOW_LIST_VARIABLE: Final = "FAIRLEAD_PLUGINS"
CORE_DISTRIBUTION: Final = "fairlead"


class Kind(enum.StrEnum):
    """The kinds of plugin."""

    RUNTIME = "runtime"
    STORAGE = "storage"
    EXPLAINER = "explainer"
    AUTOSCALER = "autoscaler"

    @property
    def group(self) -> str:
        """The entry-point group."""
        return "fairlead.storage" if self is Kind.STORAGE else f"fairlead.{self}s"

    @property
    def hook(self) -> str:
        """The hook that returns the specs."""
        return "fairlead_storage_providers" if self is Kind.STORAGE else f"fairlead_{self}s"

    @property
    def contract(self) -> str:
        """The class that a spec's factory must be a subclass of, as ``module:Class``."""
        name = "StorageProvider" if self is Kind.STORAGE else self.capitalize()
        return f"fairlead.contracts.{self}:{name}"

    def distribution(self, name: str) -> str:
        """The distribution that would provide a plugin of this name, by convention."""
        return f"fairlead-{self}-{name}"


class PluginState(enum.StrEnum):
    """Whether a plugin can be used."""

    AVAILABLE = "available"
    BROKEN = "broken"
    INCOMPATIBLE = "incompatible"
    DUPLICATE = "duplicate"
    BLOCKED = "blocked"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One installed plugin, as far as is known without importing it.

    Attributes:
        kind: its kind.
        name: its name, as users write it.
        module: the module that the entry point names.
        distribution: the installed distribution that declares it.
        version: that distribution's version.
        state: whether it can be used; broken is known only once it was imported.
        error: why it cannot be used.
    """

    kind: Kind
    name: str
    module: str
    distribution: str
    version: str
    state: PluginState = PluginState.AVAILABLE
    error: errors.PluginError | None = None

    @property
    def id(self) -> str:
        """The key under which pluggy knows it: ``<kind>:<name>``."""
        return f"{self.kind}:{self.name}"


EntryPoints: TypeAlias = "Callable[[str], Iterable[importlib.metadata.EntryPoint]]"


class Plugins:
    """The installed plugins; made by `discover`, once per process, and handed to whoever needs one.

    Args:
        infos: every plugin found, duplicates included.
        strict: whether any plugin that cannot be used is fatal, rather than only for those who need it.

    Raises:
        PluginError: with ``strict``, one that cannot be used.
    """

    def __init__(self, infos: Sequence[PluginInfo], *, strict: bool = False) -> None:
        self._infos: dict[str, PluginInfo] = {info.id: info for info in infos}
        self._specs: dict[str, tuple[Any, ...]] = {}
        self._manager = pluggy.PluginManager("fairlead")
        self._manager.add_hookspecs(hookspecs)
        if strict:
            self.check()

    @classmethod
    def discover(
        cls,
        *,
        allow: str | None = None,
        strict: bool = False,
        entry_points: EntryPoints | None = None,
    ) -> Plugins:
        """Read the entry points of this environment, importing none of them.

        Args:
            allow: the allow-list: names (``sklearn``), ids (``runtime:sklearn``) or either with its distribution
                (``sklearn@fairlead-runtime-sklearn``), separated by commas; empty for none. By default the
                environment variable ``FAIRLEAD_PLUGINS``, or all when it is not set.
            strict: whether a plugin that cannot be used is fatal now.
            entry_points: where to read them; by default the installed distributions.

        Raises:
            PluginError: with ``strict``, one that cannot be used.
            ConfigurationError: the allow-list names a plugin that is not installed, with ``strict``.
        """
        allow = os.environ.get(ALLOW_LIST_VARIABLE) if allow is None else allow
        allowed = None if allow is None else [word.strip() for word in allow.split(",") if word.strip()]
        read = entry_points or (lambda group: importlib.metadata.entry_points(group=group))
        infos = [_judge(kind, entry, allowed) for kind in Kind for entry in sorted(read(kind.group))]
        return cls(_without_duplicates(infos), strict=strict)

    # -- what is there ----------------------------------------------------------------------------------

    def infos(self, kind: Kind | None = None) -> tuple[PluginInfo, ...]:
        """Every plugin, or those of one kind, by kind and name; nothing is imported."""
        return tuple(info for info in self._infos.values() if kind in (None, info.kind))

    def info(self, kind: Kind, name: str) -> PluginInfo:
        """One plugin, usable or not.

        Raises:
            PluginNotInstalled: there is none of that name.
        """
        try:
            return self._infos[f"{kind}:{name}"]
        except KeyError:
            known = ", ".join(info.name for info in self.infos(kind)) or "none"
            raise errors.PluginNotInstalled(
                f"There is no {kind} plugin {name!r} (installed: {known}).",
                remedy=f"Try: pip install {kind.distribution(name)}",
            ) from None

    def check(self) -> None:
        """Load every plugin.

        Raises:
            PluginError: the first that cannot be used.
        """
        for info in self.infos():
            self.specs(info.kind, info.name)

    # -- what they provide ------------------------------------------------------------------------------

    def specs(self, kind: Kind, name: str) -> tuple[Spec, ...]:
        """The specs of one plugin; imports its module on the first call.

        Raises:
            PluginError: the plugin cannot be used, with the reason.
        """
        info = self.info(kind, name)
        if info.error is not None:
            raise info.error
        if info.id not in self._specs:
            try:
                self._specs[info.id] = self._load(info)
            except errors.PluginError as error:
                self._infos[info.id] = dataclasses.replace(info, state=PluginState.BROKEN, error=error)
                raise
        return self._specs[info.id]

    def runtimes(self) -> Mapping[str, RuntimeSpec]:
        """The specs of all usable runtimes, by name."""
        return self._usable(Kind.RUNTIME)

    def storage_providers(self) -> Mapping[str, StorageSpec]:
        """The specs of all usable storage providers, by name."""
        return self._usable(Kind.STORAGE)

    def explainers(self) -> Mapping[str, ExplainerSpec]:
        """The specs of all usable explainers, by name."""
        return self._usable(Kind.EXPLAINER)

    def autoscalers(self) -> Mapping[str, AutoscalerSpec]:
        """The specs of all usable autoscaler strategies, by name."""
        return self._usable(Kind.AUTOSCALER)

    def factory(self, kind: Kind, spec: Spec) -> Callable[..., Any]:
        """Import the class that a spec names.

        Raises:
            PluginBroken: it cannot be imported, or is not of the kind's contract.
        """
        info = next((i for i in self.infos(kind) if spec in self._specs.get(i.id, ())), None)
        owner = f"{kind} plugin {spec.name!r}" + (f" of {info.distribution} {info.version}" if info else "")
        with _broken_if_raising(f"The {owner} cannot be used: its factory {spec.factory}"):
            made = _import_object(spec.factory)
        contract = _import_object(kind.contract)
        if not (isinstance(made, type) and issubclass(made, contract)):
            raise errors.PluginBroken(
                f"The {owner} names the factory {spec.factory}, which is not a {contract.__name__}."
            )
        return made

    def _usable(self, kind: Kind) -> Mapping[str, Any]:
        usable: dict[str, Any] = {}
        for info in self.infos(kind):
            try:
                specs = self.specs(kind, info.name)
            except errors.PluginError:
                continue  # it breaks only who asks for it by name; `fairlead plugins doctor` tells
            usable.update({spec.name: spec for spec in specs})
        return usable

    def _load(self, info: PluginInfo) -> tuple[Any, ...]:
        owner = f"The {info.kind} plugin {info.name!r} of {info.distribution} {info.version}"
        with _broken_if_raising(f"{owner} is installed, but its module {info.module}"):
            module = importlib.import_module(info.module)
            if not self._manager.is_registered(module):
                self._manager.register(module, name=info.id)
                self._manager.check_pending()
        others = [plugin for plugin in self._manager.get_plugins() if plugin is not module]
        caller = self._manager.subset_hook_caller(info.kind.hook, remove_plugins=others)
        with _broken_if_raising(f"{owner} is installed, but its hook {info.kind.hook}"):
            specs = tuple(spec for result in caller() for spec in result)
        if not specs:
            raise errors.PluginBroken(
                f"{owner} is installed, but its module {info.module} provides nothing: "
                f"it has no hook {info.kind.hook}, or the hook returns an empty list."
            )
        wrong = [spec.name for spec in specs if spec.name != info.name]
        if wrong:
            raise errors.PluginBroken(
                f"{owner} describes {', '.join(map(repr, wrong))}; a plugin's spec is named as its entry point is."
            )
        return specs


def _judge(kind: Kind, entry: importlib.metadata.EntryPoint, allowed: Sequence[str] | None) -> PluginInfo:
    """What can be said of an entry point from its metadata alone."""
    distribution = entry.dist.name if entry.dist else "an unknown distribution"
    info = PluginInfo(
        kind=kind,
        name=entry.name,
        module=entry.value,
        distribution=distribution,
        version=entry.dist.version if entry.dist else "?",
    )
    words = {f"{key}{owner}" for key in (entry.name, info.id) for owner in ("", f"@{distribution}")}
    if allowed is not None and words.isdisjoint(allowed):
        return dataclasses.replace(
            info,
            state=PluginState.BLOCKED,
            error=errors.PluginBlocked(
                f"The {kind} plugin {entry.name!r} of {distribution} is installed, but not allowed.",
                remedy=f"Add {entry.name} to {ALLOW_LIST_VARIABLE}, or unset it to allow all.",
            ),
        )
    if distribution != CORE_DISTRIBUTION and entry.dist is not None:
        problem = _incompatibility(entry.dist.requires or ())
        if problem is not None:
            return dataclasses.replace(
                info,
                state=PluginState.INCOMPATIBLE,
                error=errors.PluginIncompatible(
                    f"The {kind} plugin {entry.name!r} of {distribution} {info.version} {problem}.",
                    remedy=f"Try: pip install --upgrade {distribution} {CORE_DISTRIBUTION}",
                ),
            )
    return info


def _incompatibility(requirements: Sequence[str]) -> str | None:
    """Why declared requirements exclude this version of the core; None when they do not."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    installed = importlib.metadata.version(CORE_DISTRIBUTION)
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # an installer accepted it, and it is not about the core
        if canonicalize_name(requirement.name) != CORE_DISTRIBUTION or requirement.marker is not None:
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            return f"needs {CORE_DISTRIBUTION}{requirement.specifier}, and {installed} is installed"
    return None


def _without_duplicates(infos: Sequence[PluginInfo]) -> list[PluginInfo]:
    """One info per id; those that several distributions claim become an error that names them all."""
    claims: dict[str, list[PluginInfo]] = {}
    for info in infos:
        claims.setdefault(info.id, []).append(info)
    judged = []
    for claimants in claims.values():
        distinct = {(claim.distribution, claim.module): claim for claim in claimants}
        first, *others = distinct.values()
        if others and first.state is not PluginState.BLOCKED:
            owners = " and ".join(f"{claim.distribution} ({claim.module})" for claim in distinct.values())
            first = dataclasses.replace(
                first,
                state=PluginState.DUPLICATE,
                error=errors.PluginDuplicate(
                    f"The {first.kind} plugin name {first.name!r} is claimed by {owners}.",
                    remedy="Uninstall one of them, or name the one that is meant in "
                    f"{ALLOW_LIST_VARIABLE} as {first.name}@{first.distribution}.",
                ),
            )
        judged.append(first)
    return judged


class _broken_if_raising:  # noqa: N801  # used as a with statement, and reads like one
    """Turn whatever a plugin raises into `PluginBroken` with the file and the line that raised."""

    def __init__(self, subject: str) -> None:
        self.subject = subject

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        # A plugin that calls sys.exit() at import must not end the server, so SystemExit is its fault as well.
        if raised is None or isinstance(raised, (errors.PluginError, KeyboardInterrupt, GeneratorExit)):
            return
        raise errors.PluginBroken(
            f"{self.subject} raises {type(raised).__name__}: {raised} (at {_place(raised)}).",
            remedy="`fairlead plugins doctor` shows the whole traceback.",
        ) from raised


def _place(raised: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(raised.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if Path(frame.filename) != Path(__file__)]
    if not own:
        return "import"
    return f"{own[-1].filename}:{own[-1].lineno}"


def _import_object(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
