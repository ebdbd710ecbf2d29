"""The hooks of an author's class: which of them it defines, what each is called with, and whether it is awaited."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.custom.model import CustomModel

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest

__all__ = ["EXTRAS", "Hook", "defines", "find", "is_async", "place_of"]

EXTRAS: Final = ("headers", "parameters", "request")
"""What a hook may ask for by the name of a parameter, beside the value."""


_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclasses.dataclass(frozen=True, slots=True)
class Hook:
    """One method of an author's object that takes part in a request.

    Attributes:
        name: the method's name.
        call: the bound method.
        place: the file and the line where it is defined, for messages.
        awaits: whether it is ``async def``.
        extras: which of `EXTRAS` it takes.
        annotation: the resolved annotation of its first parameter; ``Any`` where it has none.
    """

    name: str
    call: Callable[..., Any]
    place: str
    awaits: bool
    extras: tuple[str, ...]
    annotation: Any

    def arguments(self, request: InferRequest) -> dict[str, Any]:
        """What it is called with beside the value."""
        return {extra: request if extra == "request" else getattr(request, extra) for extra in self.extras}

    def checked(self, result: Any) -> Any:
        """What the hook returned.

        Raises:
            InferenceFailed: it returned nothing, or something that has to be awaited or iterated first.
        """
        if result is None:
            raise errors.InferenceFailed(
                f"{self.name} returned nothing ({self.place}).", remedy="Does it lack a return statement?"
            )
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise errors.InferenceFailed(
                f"{self.name} returned something that has to be awaited ({self.place}).",
                remedy="Define it with async def, or await it inside.",
            )
        return result


def defines(model: CustomModel | type[CustomModel], name: str) -> bool:
    """Whether an author's class, or one between it and `CustomModel`, defines this hook."""
    own = getattr(model, name)
    return getattr(own, "__func__", own) is not getattr(CustomModel, name)


def is_async(model: CustomModel, name: str) -> bool:
    """Whether this hook is defined with ``async def``."""
    return inspect.iscoroutinefunction(getattr(model, name))


def find(model: CustomModel, name: str) -> Hook | None:
    """A hook of an author's object; None when its class does not define it.

    Raises:
        ModelLoadError: it cannot be called with a value, with its place and what is wrong.
    """
    if not defines(model, name):
        return None
    call = getattr(model, name)
    if not callable(call):
        raise errors.ModelLoadError(f"{type(model).__name__}.{name} is a {type(call).__name__}, not a method.")
    place = place_of(call)
    if inspect.isasyncgenfunction(call) or inspect.isgeneratorfunction(call):
        raise errors.ModelLoadError(
            f"{name} is a generator ({place}); a hook answers once.", remedy="Return the whole answer."
        )
    parameters = list(inspect.signature(call).parameters.values())
    if not parameters or parameters[0].kind not in _POSITIONAL:
        raise errors.ModelLoadError(
            f"{name} takes no value ({place}).", remedy=f"Define it as `def {name}(self, value)`."
        )
    return Hook(
        name=name,
        call=call,
        place=place,
        awaits=inspect.iscoroutinefunction(call),
        extras=_extras(name, place, parameters[1:]),
        annotation=_resolved(call, name, place, parameters[0]),
    )


def place_of(call: Callable[..., Any]) -> str:
    """``file:line`` where a function is defined, or its name where that is not known."""
    function = inspect.unwrap(call)
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(call)


def _extras(name: str, place: str, parameters: list[inspect.Parameter]) -> tuple[str, ...]:
    extras = []
    for parameter in parameters:
        if parameter.name in EXTRAS and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        ):
            extras.append(parameter.name)
        elif parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            raise errors.ModelLoadError(
                f"{name} takes a parameter {parameter.name!r} that nothing is known to give ({place}).",
                remedy=f"Beside the value a hook may take {', '.join(EXTRAS)}.",
            )
    return tuple(extras)


def _resolved(call: Callable[..., Any], name: str, place: str, value: inspect.Parameter) -> Any:
    """The annotation of one parameter as an object; others are not looked at, so they need not resolve."""
    if value.annotation is value.empty:
        return Any
    function = inspect.unwrap(call)
    annotated = types.SimpleNamespace(__annotations__={value.name: value.annotation})
    try:
        hints = typing.get_type_hints(annotated, globalns=getattr(function, "__globals__", {}))
    except Exception as error:
        raise errors.ModelLoadError(
            f"The annotation of {value.name!r} in {name} cannot be resolved: "
            f"{type(error).__name__}: {error} ({place}).",
            remedy="It is read as the model loads: import its names outside `if TYPE_CHECKING`.",
        ) from error
    return hints[value.name]
