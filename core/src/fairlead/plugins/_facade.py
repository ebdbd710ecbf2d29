"""The façade: one object that knows the installed plugins and hands out what they provide."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from fairlead import errors
from fairlead.plugins import _discovery, _loading
from fairlead.plugins._info import Kind, PluginInfo, PluginState

if TYPE_CHECKING:
    from fairlead.contracts.autoscaler import AutoscalerSpec
    from fairlead.contracts.explainer import ExplainerSpec
    from fairlead.contracts.runtime import Artifact, RuntimeSpec
    from fairlead.contracts.storage import StorageSpec

    Spec: TypeAlias = RuntimeSpec | StorageSpec | ExplainerSpec | AutoscalerSpec

_log = logging.getLogger("fairlead.plugins")

__all__ = ["STRICT_VARIABLE", "Plugins", "strict_from_environment"]

STRICT_VARIABLE: Final = "FAIRLEAD_PLUGINS_STRICT"


class Plugins:
    """The installed plugins; made by `discover`, once per process, and handed to whoever needs one.

    Args:
        infos: one plugin per id.
        strict: whether any plugin that cannot be used is fatal, rather than only for those who need it.
        others: plugins that claim an id of ``infos`` as well, shown and never used.
        allowed: the words of the allow-list; None when all are allowed.
        missing: those of them that name nothing that is installed.
        unreadable: one error for each distribution whose entry points cannot be read.

    Attributes:
        allowed: as given.
        missing: as given.
        unreadable: as given.

    Raises:
        PluginError: with ``strict``, one that cannot be used.
        ConfigurationError: with ``strict``, the allow-list names a plugin that is not installed.
    """

    def __init__(
        self,
        infos: Sequence[PluginInfo],
        *,
        strict: bool = False,
        others: Sequence[PluginInfo] = (),
        allowed: Sequence[str] | None = None,
        missing: Sequence[str] = (),
        unreadable: Sequence[errors.PluginError] = (),
    ) -> None:
        self._infos: dict[str, PluginInfo] = {info.id: info for info in infos}
        self._others = tuple(others)
        self._specs: dict[str, tuple[Any, ...]] = {}
        self.allowed = None if allowed is None else tuple(allowed)
        self.missing = tuple(missing)
        self.unreadable = tuple(unreadable)
        if strict:
            self.check()

    @classmethod
    def discover(
        cls,
        *,
        allow: str | None = None,
        strict: bool | None = None,
        entry_points: _discovery.EntryPoints | None = None,
    ) -> Self:
        """Read the entry points of this environment, importing none of them.

        Args:
            allow: the allow-list: names (``sklearn``), ids (``runtime:sklearn``) or either with its distribution
                (``sklearn@fairlead-runtime-sklearn``), separated by commas; empty for none. By default the
                environment variable ``FAIRLEAD_PLUGINS``, or all when it is not set.
            strict: whether a plugin that cannot be used is fatal now; then all are imported. By default the
                environment variable ``FAIRLEAD_PLUGINS_STRICT``, or false when it is not set.
            entry_points: where to read them, by group; by default the installed distributions.

        Raises:
            PluginError: with ``strict``, one that cannot be used.
            ConfigurationError: ``FAIRLEAD_PLUGINS_STRICT`` is not a truth value; with ``strict``, the allow-list
                names a plugin that is not installed.
        """
        allow = os.environ.get(_discovery.ALLOW_LIST_VARIABLE) if allow is None else allow
        allowed = None if allow is None else [word.strip() for word in allow.split(",") if word.strip()]
        found = _discovery.discover(allowed, entry_points)
        return cls(
            found.chosen,
            strict=strict_from_environment() if strict is None else strict,
            others=found.others,
            allowed=allowed,
            missing=found.missing,
            unreadable=found.unreadable,
        )

    # -- what is there ----------------------------------------------------------------------------------

    def infos(self, kind: Kind | None = None) -> tuple[PluginInfo, ...]:
        """Every plugin, or those of one kind, by kind and name; nothing is imported.

        Where several distributions claim one name, each has its line.
        """
        infos = [info for info in (*self._infos.values(), *self._others) if kind in (None, info.kind)]
        order = list(Kind)
        return tuple(sorted(infos, key=lambda info: (order.index(info.kind), info.name)))

    def info(self, kind: Kind, name: str) -> PluginInfo:
        """One plugin, usable or not.

        Raises:
            PluginNotInstalled: there is none of that name.
        """
        try:
            return self._infos[f"{kind}:{name}"]
        except KeyError:
            names = sorted({info.name for info in self.infos(kind)})
            near = difflib.get_close_matches(name, names, n=1)
            wheel = kind.distribution(name)
            convention = f"If a wheel provides it, it is named {wheel} by convention; install it beside fairlead."
            raise errors.PluginNotInstalled(
                f"There is no {kind} plugin {name!r} (installed: {', '.join(names) or 'none'}).",
                remedy=f"Did you mean {near[0]}?" if near else convention,
            ) from None

    def check(self) -> None:
        """Import every plugin, and require that all can be used.

        Raises:
            PluginError: the first that cannot be used.
            ConfigurationError: the allow-list names a plugin that is not installed.
        """
        if self.missing:
            raise errors.ConfigurationError(
                f"{_discovery.ALLOW_LIST_VARIABLE} names {', '.join(self.missing)}, and no such plugin is installed.",
                remedy="Install it, or take it off the list; `fairlead plugins list` shows what is installed.",
            )
        if self.unreadable:
            raise self.unreadable[0].with_traceback(None)
        for info in tuple(self._infos.values()):
            self.specs(info.kind, info.name)

    # -- what they provide ------------------------------------------------------------------------------

    def specs(self, kind: Kind, name: str) -> tuple[Spec, ...]:
        """The specs of one plugin; imports its module on the first call.

        Raises:
            PluginError: the plugin cannot be used, with the reason.
        """
        info = self.info(kind, name)
        if info.error is not None:
            # One error object is raised at every call; without this its traceback would grow with each.
            raise info.error.with_traceback(None)
        if info.id not in self._specs:
            siblings = {each.name for each in self._infos.values() if (each.kind, each.module) == (kind, info.module)}
            try:
                self._specs[info.id] = _loading.load_specs(info, siblings)
            except errors.PluginError as error:
                self._infos[info.id] = info.unusable(PluginState.BROKEN, error)
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

        Args:
            kind: the spec's kind.
            spec: a spec of one of these plugins, as `specs` or one of the mappings returned it.

        Raises:
            PluginBroken: it cannot be imported, is not of the kind's contract, or is abstract.
            PluginNotInstalled: no plugin has the spec's name.
        """
        return _loading.import_factory(self.info(kind, spec.name), spec.factory)

    def recognises(self, spec: RuntimeSpec, artifact: Artifact) -> bool | None:
        """Whether an artefact is of a runtime's framework, see `RuntimeSpec.recognises`.

        Returns:
            None for a runtime that does not look or cannot tell, or whose look fails, which is logged.
        """
        if spec.recognises is None:
            return None
        try:
            found = _loading.import_object(spec.recognises)(artifact)
            return None if found is None else bool(found)
        except Exception:  # noqa: BLE001  # code of anybody's; the runtime can still be asked for by name
            _log.exception("The runtime %s cannot tell whether %s is one of its own.", spec.name, artifact.uri)
            return None

    def _usable(self, kind: Kind) -> Mapping[str, Any]:
        usable: dict[str, Any] = {}
        for info in tuple(self._infos.values()):
            if info.kind is not kind:
                continue
            try:
                specs = self.specs(kind, info.name)
            except errors.PluginError:
                continue  # it breaks only who asks for it by name; `fairlead plugins doctor` tells
            usable.update({spec.name: spec for spec in specs})
        return usable


def strict_from_environment() -> bool:
    """Whether ``FAIRLEAD_PLUGINS_STRICT`` asks that a plugin that cannot be used is fatal.

    Raises:
        ConfigurationError: it is not a truth value.
    """
    from fairlead.contracts.runtime import parse_bool

    text = os.environ.get(STRICT_VARIABLE, "")
    try:
        return bool(text) and parse_bool(text)
    except ValueError as error:
        raise errors.ConfigurationError(f"{STRICT_VARIABLE} is {text!r}, and not a truth value.") from error
