"""Loading: import a plugin's module, ask its hook, and import what its specs name.

Whatever a plugin does wrong on the way becomes a `PluginBroken` that says which plugin, where and how.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import itertools
import traceback
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pluggy

from fairlead import errors, hookspecs

if TYPE_CHECKING:
    from fairlead.plugins._info import PluginInfo

__all__ = ["import_factory", "load_specs", "traceback_of"]

_MAX_SPECS: Final = 1000
"""Specs of one hook; a generator without end would fill the memory."""


def load_specs(info: PluginInfo, siblings: Collection[str]) -> tuple[Any, ...]:
    """Import a plugin's module and return the one spec that its hook has for it.

    Each plugin is registered with a manager of its own, so that one with a faulty hook leaves nothing behind that
    the next would trip over.

    Args:
        info: the plugin.
        siblings: the names that the module may describe: one module can serve several entry points.

    Raises:
        PluginBroken: it raises, or does not describe itself as the contract asks.
    """
    subject = f"The {info.owner} is installed, but"
    with _broken_if_raising(f"{subject} its module {info.module}", info):
        module = importlib.import_module(info.module)
        manager = pluggy.PluginManager("fairlead")
        manager.add_hookspecs(hookspecs)
        manager.register(module, name=info.id)
        manager.check_pending()
    specs = list(_asked(subject, info, manager))
    return (_judged(subject, info, specs, siblings),)


def import_factory(info: PluginInfo, factory: str) -> type:
    """Import the class that a spec names.

    Raises:
        PluginBroken: it cannot be imported, is not of the kind's contract, or is abstract.
    """
    with _broken_if_raising(f"The {info.owner} cannot be used: its factory {factory}", info):
        made = import_object(factory)
    contract: type = import_object(info.kind.contract)
    if not (isinstance(made, type) and issubclass(made, contract)):
        raise errors.PluginBroken(
            f"The {info.owner} names the factory {factory}, which is not a {contract.__name__}.",
            remedy=f"The factory is a subclass of fairlead.{contract.__name__}.",
        )
    if inspect.isabstract(made):
        lacking = ", ".join(sorted(getattr(made, "__abstractmethods__", ())))
        raise errors.PluginBroken(f"The {info.owner} names the factory {factory}, which does not define {lacking}.")
    return made


def import_object(path: str) -> Any:
    """Import what ``module:Name`` names.

    Raises:
        ValueError: the path has another form.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ValueError(f"{path!r} is not of the form module:Class")
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))


def _judged(subject: str, info: PluginInfo, specs: Sequence[Any], siblings: Collection[str]) -> Any:
    """The one spec of the plugin's name, once all are what the contract asks for."""
    expected: type = import_object(info.kind.spec)
    # Settings are of every kind, and are defined beside the runtime's spec.
    hints = typing.get_type_hints(expected, localns=vars(importlib.import_module("fairlead.contracts.runtime")))
    for spec in specs:
        if not isinstance(spec, expected):
            raise errors.PluginBroken(
                f"{subject} its hook {info.kind.hook} returns {_shown(spec)} where a {expected.__name__} belongs."
            )
        for name, hint in hints.items():
            if not _fits(value := getattr(spec, name), hint):
                raise errors.PluginBroken(
                    f"{subject} the {name} of its {expected.__name__} is {_shown(value)}, and not {_named(hint)}."
                )
    strangers = sorted({repr(spec.name) for spec in specs if spec.name not in siblings})
    if strangers:
        raise errors.PluginBroken(
            f"{subject} its hook {info.kind.hook} describes {', '.join(strangers)}, "
            "and no entry point of the module has that name.",
            remedy="Give the spec the name of the entry point.",
        )
    own = [spec for spec in specs if spec.name == info.name]
    if len(own) != 1:
        times = "nothing of that name" if not own else f"it {len(own)} times"
        raise errors.PluginBroken(
            f"{subject} its module {info.module} describes {times}.",
            remedy=f"The module needs a hook {info.kind.hook}, marked with fairlead.hookimpl, "
            f"that returns a list with one {expected.__name__} named {info.name!r}.",
        )
    return own[0]


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of a field's type; a list does for a tuple, and a text does not."""
    if typing.get_origin(hint) in (tuple, frozenset):
        each_of = typing.get_args(hint)[0]
        return (
            isinstance(value, Collection)
            and not isinstance(value, str)
            and all(isinstance(each, each_of) for each in value)
        )
    return isinstance(value, hint)


def _named(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("fairlead.contracts.", "")


def _asked(subject: str, info: PluginInfo, manager: pluggy.PluginManager) -> Iterable[Any]:
    """What the plugin's hook returns, as one flat sequence."""
    caller = getattr(manager.hook, info.kind.hook)
    for implementation in caller.get_hookimpls():
        function = implementation.function
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise errors.PluginBroken(
                f"{subject} its hook {info.kind.hook} is asynchronous, and nothing would await it.",
                remedy="Hooks are plain functions: write def, not async def.",
            )
    with _broken_if_raising(f"{subject} its hook {info.kind.hook}", info):
        results = caller()
    for result in results:
        if inspect.iscoroutine(result):
            result.close()
        if not isinstance(result, Iterable) or isinstance(result, (str, bytes)):
            raise errors.PluginBroken(
                f"{subject} its hook {info.kind.hook} returns {_shown(result)}, and not a list of specs."
            )
        with _broken_if_raising(f"{subject} its hook {info.kind.hook}", info):
            specs = list(itertools.islice(result, _MAX_SPECS + 1))
        if len(specs) > _MAX_SPECS:
            raise errors.PluginBroken(f"{subject} its hook {info.kind.hook} returns more than {_MAX_SPECS} specs.")
        yield from specs


def _shown(value: object) -> str:
    text = _text_of(value, repr)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _text_of(value: object, make: Callable[[object], str]) -> str:
    try:
        return make(value)
    except (Exception, SystemExit):  # noqa: BLE001  # making a text of a plugin's object runs the plugin's code
        return "of which no text can be made"


@contextlib.contextmanager
def _broken_if_raising(subject: str, info: PluginInfo) -> Iterator[None]:
    """Turn whatever a plugin raises into `PluginBroken` with the file and the line that raised."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as raised:  # a plugin that calls sys.exit() at import must not end the server
        remedy = "`fairlead plugins doctor` shows the whole traceback."
        missing = raised.name if isinstance(raised, ModuleNotFoundError) else None
        if missing and missing.partition(".")[0] != info.module.partition(".")[0]:
            remedy = f"It needs the module {missing}, which is not installed. Install what provides {missing}."
        # The text of a SyntaxError has the place as well.
        text = raised.msg if isinstance(raised, SyntaxError) else _text_of(raised, str)
        said = f"{type(raised).__name__}: {text}".rstrip(": ")
        raise errors.PluginBroken(f"{subject} raises {said} ({_place(raised)}).", remedy=remedy) from raised


def _place(raised: BaseException) -> str:
    if isinstance(raised, SyntaxError) and raised.filename:
        return f"{raised.filename}, line {raised.lineno}"
    frames = _own_frames(traceback.extract_tb(raised.__traceback__))
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "at import"


def _own_frames(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """The frames of a traceback that are a plugin's, without those that import it and call its hook."""
    machinery = {Path(file).parent for file in (__file__, importlib.__file__, pluggy.__file__) if file}
    return [
        frame
        for frame in stack
        if not frame.filename.startswith("<frozen") and Path(frame.filename).parent not in machinery
    ]


def traceback_of(error: errors.PluginError) -> str:
    """The traceback of what a plugin raised, from the plugin on; empty when it raised nothing."""
    if error.__cause__ is None:
        return ""
    shown = traceback.TracebackException.from_exception(error.__cause__)
    shown.stack = traceback.StackSummary.from_list(_own_frames(shown.stack))
    return "".join(shown.format())
