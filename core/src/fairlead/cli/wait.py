"""``fairlead wait``: until services are as they should be; for scripts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fairlead import errors
from fairlead.cli import asking, viewing

if TYPE_CHECKING:
    import argparse

    from fairlead.cli.viewing import View
    from fairlead.local.folder import Folder

__all__ = ["add_arguments", "run"]

Goal: TypeAlias = Callable[["View"], str]
"""What a service still lacks, in words; empty when it lacks nothing."""

_READY: Final = re.compile(r"condition=ready(=true)?", re.IGNORECASE)

_PAUSE: Final = 0.1
_START: Final = 10.0
"""Seconds that a platform may take to be there, and to have read a file that has just been written."""
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")
_JSONPATH: Final = re.compile(r"jsonpath='?\{((?:\.(?:\\.|[\w/-])+|\[\d+\])+)\}'?(?:=(.*))?", re.DOTALL)
_STEP: Final = re.compile(r"\.((?:\\.|[\w/-])+)|\[(\d+)\]")
_ESCAPED: Final = re.compile(r"\\(.)")
_FORMS: Final = "condition=NAME, condition=NAME=STATUS, jsonpath={.status...}=VALUE or delete"

_EPILOG: Final = """\
GOAL is one of these, as for kubectl wait:
  condition=Ready                 the condition is True; condition=Ready=False for another status
  jsonpath={.status.PATH}=VALUE   a field of the InferenceService has a value; without =VALUE, any
  delete                          the service is gone
What is not there yet, platform or service, is waited for ten seconds. The status is 1 when the time is over.
Ready means that the latest revisions answer, and not those before them. When that cannot come by itself, waiting for
it ends at once with the status 1: the spec cannot be run, the service is stopped, the manifests have a mistake, or the
revision has failed three times in a row.

examples:
  fairlead wait iris
  fairlead wait iris --for jsonpath='{.status.components.predictor.traffic[0].percent}'=20 --timeout 2m
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("names", nargs="+", metavar="NAME", help="services to wait for")
    parser.add_argument(
        "--for", dest="goal", metavar="GOAL", default="condition=Ready", help="for what (default: condition=Ready)"
    )
    parser.add_argument(
        "--timeout", default="60s", metavar="TIME", help="how long to wait at most, such as 90s or 2m (default: 60s)"
    )
    asking.add_namespace(parser, "the namespace of the services")
    asking.add_platform(parser)


def run(args: argparse.Namespace) -> int:
    """Wait for one service after the other, all within one time, and say how each is.

    Raises:
        PlatformError: the time is over, or no platform runs.
        ConfigurationError: the arguments are wrong, or there is no service of that name.
    """
    goal, timeout = _goal(args.goal), _duration(args.timeout)
    folder, end = asking.folder_of(args), time.monotonic() + timeout
    if timeout > 0:
        _wait_until_read(folder, end, ready=bool(_READY.fullmatch(args.goal)))
    for name in dict.fromkeys(args.names):
        view = _wait(folder, name, args, goal, end)
        print(f"{name} is gone" if view is None else f"{viewing.name_of(view)}: {_said(view)}", flush=True)
    return 0


def _said(view: View) -> str:
    return "; ".join(str(each) for each in viewing.behind(view)) or str(viewing.readiness(view))


def _wait_until_read(folder: Folder, end: float, *, ready: bool) -> None:
    """Wait until the platform has read what was in its files when the command began.

    Raises:
        PlatformError: what is there has a mistake, so that nobody can say whether it is Ready.
    """
    from fairlead.local import client

    begun: int | None = None
    while time.monotonic() < end:
        try:
            info = client.ask(folder, "info")
        except errors.PlatformError:
            return  # whoever asks for the services tells, or waits until it is there
        looks = info.get("looks") or [0, 0]
        begun = looks[0] if begun is None else begun
        if not info.get("unread") and (not info.get("looks") or looks[1] > begun):
            if ready and info.get("mistake"):
                raise errors.PlatformError(
                    "What is declared now has a mistake, and what was declared before goes on:\n" + info["mistake"]
                )
            return
        time.sleep(_PAUSE)


def _wait(folder: Folder, name: str, args: argparse.Namespace, goal: Goal, end: float) -> View | None:
    start = min(end, time.monotonic() + _START)
    tried: dict[str, int] | None = None
    while True:
        try:
            view, why = _look(folder, name, args.namespace, goal, gone=args.goal == "delete")
        except errors.FairleadError:  # the platform may be about to start, or to read a file
            if time.monotonic() >= start:
                raise
        else:
            if not why:
                return view
            if view is not None and tried is None:
                tried = {each.revision: each.failures for each in viewing.waiting(view)}
            if view is not None and _READY.fullmatch(args.goal) and (over := _hopeless(view, tried or {})):
                raise errors.PlatformError(
                    f"{viewing.name_of(view)} does not become Ready: {over}", remedy=_more(args, name)
                )
            if time.monotonic() >= end:
                raise errors.PlatformError(
                    f"{name}: {args.goal} was not met within {args.timeout}. {why}",
                    remedy=_more(args, name),
                )
        time.sleep(_PAUSE)


def _more(args: argparse.Namespace, name: str) -> str:
    return f"See more with: {asking.command(args, 'describe', name)}"


def _hopeless(view: View, tried: Mapping[str, int]) -> str:
    """Why a service does not become Ready unless somebody changes something; empty where it may.

    Args:
        view: the service.
        tried: how often its revisions had failed at the first look. What made them fail may be gone since their last
            attempt, so that another counts, and not those.
    """
    status: Mapping[str, Any] = view["manifest"].get("status") or {}
    if not viewing.is_current(view):
        return ""
    ready = viewing.readiness(view)
    stopped = any(each["type"] == "Stopped" and each["status"] == "True" for each in status.get("conditions") or ())
    if stopped or (status.get("modelStatus") or {}).get("transitionStatus") == "InvalidSpec":
        return ": ".join(each for each in (ready.reason, ready.message) if each)
    waiting = [each for each in viewing.waiting(view) if not each.canary]
    if all(each.state == "stuck" and each.failures != (tried.get(each.revision) or None) for each in waiting):
        return "; ".join(map(str, waiting))
    return ""


def _look(folder: Folder, name: str, namespace: str | None, goal: Goal, *, gone: bool) -> tuple[View | None, str]:
    """A service as it is, and what it lacks; None for one that is gone as it is to be."""
    try:
        views = asking.views_of(folder)
    except errors.PlatformNotRunning:
        if gone:
            return None, ""
        raise
    if gone and not any(asking.is_meant(view, name, namespace) for view in views):
        return None, ""
    view = asking.find(views, name, namespace)
    return view, goal(view)


# -- goals ------------------------------------------------------------------------------------------------


def _goal(text: str) -> Goal:
    """What `--for` says.

    Raises:
        ConfigurationError: it is none of the forms.
    """
    kind, _, rest = text.partition("=")
    if text == "delete":
        return lambda _: "It is still there."
    if kind == "condition" and rest:
        name, _, status = rest.partition("=")
        return lambda view: _lacks_condition(view, name, status or "True")
    if found := _JSONPATH.fullmatch(text):
        path, value = found[1], found[2]
        return lambda view: _lacks_value(view, path, value)
    raise errors.ConfigurationError(f"--for: {text!r} is no goal.", remedy=f"Write {_FORMS}.")


def _lacks_condition(view: View, name: str, status: str) -> str:
    is_ready = (name.lower(), status.lower()) == ("ready", "true")
    if is_ready and not viewing.is_current(view):
        return "What was declared last is not looked at yet."
    if is_ready and (behind := viewing.behind(view)):
        return "; ".join(map(str, behind))
    conditions: Sequence[Mapping[str, str]] = (view["manifest"].get("status") or {}).get("conditions") or ()
    for each in conditions:
        if each["type"].lower() == name.lower():
            if each["status"].lower() == status.lower():
                return ""
            why = ": ".join(each[key] for key in ("reason", "message") if each.get(key))
            return f"It is {each['status']}{f': {why}' if why else '.'}"
    known = ", ".join(each["type"] for each in conditions)
    return f"It is not met: there is no condition {name}{f', only {known}' if known else ' yet'}."


def _lacks_value(view: View, path: str, value: str | None) -> str:
    found: Any = view["manifest"]
    for step in _steps(path):
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return f"There is no {path} yet."
    shown = found if isinstance(found, str) else json.dumps(found)
    return "" if value is None or shown == value.strip("'\"") else f"It is {shown}."


def _steps(path: str) -> Iterator[str | int]:
    for match in _STEP.finditer(path):
        yield _ESCAPED.sub(r"\1", match[1]) if match[1] is not None else int(match[2])


def _duration(text: str) -> float:
    """Seconds of a length of time such as ``90s``, ``1m30s`` or ``90``.

    Raises:
        ConfigurationError: it is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        raise errors.ConfigurationError(f"--timeout: {text!r} is no length of time.", remedy="Write 90s or 2m.")
    hours, minutes, seconds = (float(each or 0) for each in found.groups())
    return hours * 3600 + minutes * 60 + seconds
