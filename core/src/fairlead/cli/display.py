"""What ``fairlead up`` shows: a table that is kept up to date on a terminal, and lines elsewhere."""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

from fairlead.cli import livetable, plaintext, viewing

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from fairlead.cli.viewing import View

__all__ = ["Display", "Lines", "Screen"]

_log = logging.getLogger("fairlead.up")

_EVENTS_SHOWN: Final = 6
_EACH_TIME: Final = frozenset({"CanaryFailed", "RevisionFailed"})
"""Events that are told whenever they happen again: an earlier spec that is tried once more fails as it did before."""
_EXAMPLES_SHOWN: Final = 3
_A_SECOND: Final = 2
_LEAST_ROWS: Final = 5
_ROWS_BESIDE: Final = 20
"""Lines of a terminal that are for the table's frame, examples, events and the prompt."""


class Display(Protocol):
    """Shows what a platform does."""

    def begin(self, address: str) -> None:
        """The platform listens at this address from now on."""

    def show(self, views: Sequence[View]) -> None:
        """This is what there is now."""

    def end(self) -> None:
        """Nothing more will come."""


class Lines:
    """A line in the log for each change."""

    def __init__(self) -> None:
        self._address = ""
        self._known: dict[str, viewing.Readiness] = {}
        self._behind: dict[str, frozenset[str]] = {}
        self._events: dict[str, dict[tuple[str, str], int]] = {}

    def begin(self, address: str) -> None:
        """Say where the platform listens."""
        self._address = address
        _log.info("listening on http://%s; Ctrl-C ends it", address, extra={"address": address})

    def show(self, views: Sequence[View]) -> None:
        """Say what changed since the last time."""
        names = {viewing.name_of(view) for view in views}
        for name in sorted(self._known.keys() - names):
            del self._known[name]
            self._behind.pop(name, None)
            self._events.pop(name, None)
            _log.info("%s: gone", name, extra={"service": name})
        for view in filter(viewing.is_current, views):  # another comes at once, and tells what is true of the spec
            name = viewing.name_of(view)
            self._tell_events(name, view)
            self._tell_readiness(name, view)

    def end(self) -> None:
        """Nothing is left to say."""

    def _tell_readiness(self, name: str, view: View) -> None:
        ready, before = viewing.readiness(view), self._known.get(name)
        was_behind = bool(self._behind.get(name))
        if self._tell_behind(name, view, since=before) or (ready == before and not was_behind):
            return
        self._known[name] = ready
        more = {"service": name, "ready": ready.status, "reason": ready.reason, "url": ready.url}
        level = logging.WARNING if ready.status == "False" else logging.INFO
        said = plaintext.clean(str(ready))
        _log.log(level, "%s: %s", name, said, extra={key: value for key, value in more.items() if value})
        if ready.status == "True" and (before is None or before.status != "True" or before.url != ready.url):
            for example in viewing.examples(view, self._address):
                _log.info("%s: %s", name, example, extra={"service": name})

    def _tell_behind(self, name: str, view: View, *, since: viewing.Readiness | None) -> bool:
        """Whether what answers is not what is declared; Ready is then not said, since that would be taken for it."""
        behind = viewing.behind(view)
        known, self._behind[name] = self._behind.get(name), frozenset(each.revision for each in behind)
        coming = [each for each in behind if not each.fails]  # an event tells of those that fail
        if known != self._behind[name] and (since is None or since.status != "True"):
            for each in coming:
                _log.info("%s: %s", name, dataclasses.replace(each, why=""), extra={"service": name})
        return bool(behind)

    def _tell_events(self, name: str, view: View) -> None:
        events: Sequence[Mapping[str, Any]] = view.get("events") or ()
        told = self._events.get(name, {})
        self._events[name] = {(each["reason"], each["message"]): each.get("count", 1) for each in events}
        ready = viewing.readiness(view)
        for event in events:
            known = told.get((event["reason"], event["message"]))
            if known is not None and (event["reason"] not in _EACH_TIME or event.get("count", 1) <= known):
                continue
            if not _repeats(event, ready):
                level = logging.WARNING if event["type"] == "Warning" else logging.INFO
                more = {"service": name, "event": event["reason"]}
                said = plaintext.clean(event["message"])  # it may quote what a replica has written
                _log.log(level, "%s: %s: %s", name, event["reason"], said, extra=more)


def _repeats(event: Mapping[str, Any], ready: viewing.Readiness) -> bool:
    """Whether the line that says whether the service is Ready says what the event says."""
    if event["reason"] == "InferenceServiceReady":
        return True
    return event["reason"] in ("InferenceServiceNotReady", ready.reason) and event["message"] == ready.message


class Screen:
    """A table on a terminal, with what happened lately below; what is logged meanwhile appears above it.

    Args:
        console: the terminal; by default that of standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        import rich.console
        import rich.live

        self._console: Final = console or rich.console.Console(stderr=True)
        self._views: list[View] = []
        self._address = ""
        # It draws in a thread of its own: the platform must not wait for a terminal that is stopped.
        self._live = rich.live.Live(
            get_renderable=self.picture, console=self._console, refresh_per_second=_A_SECOND, redirect_stdout=False
        )
        self._moved: list[tuple[logging.StreamHandler[TextIO], TextIO]] = []

    def begin(self, address: str) -> None:
        """Show the table."""
        self._address = address
        terminal = sys.stderr
        self._live.start()
        if sys.stderr is not terminal:  # what is written there appears above the table
            for handler in logging.getLogger().handlers:
                if isinstance(handler, logging.StreamHandler) and handler.stream is terminal:
                    handler.setStream(sys.stderr)
                    self._moved.append((handler, terminal))

    def show(self, views: Sequence[View]) -> None:
        """Show these services."""
        self._views = list(views)

    def end(self) -> None:
        """Leave the table as it is, and the terminal to others."""
        for handler, stream in self._moved:
            handler.flush()
            handler.setStream(stream)
        self._moved.clear()
        if self._live.is_started:
            self._live.stop()

    def picture(self) -> RenderableType:
        """What is on the screen now."""
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = [Text(f"http://{self._address}  Ctrl-C ends it", style="dim")]
        views = self._fitting()
        parts.append(livetable.table(views) if views else Text("No service is declared."))
        if more := len(self._views) - len(views):
            parts.append(Text(f"and {more} more; fairlead status shows all", style="dim"))
        if asked := self._examples():
            parts += [Text(), *(Text(line, overflow="fold") for line in asked)]
        if events := viewing.recent(self._views, _EVENTS_SHOWN):
            parts += [Text(), *(_event(name, event) for name, event in events)]
        return Group(*parts)

    def _fitting(self) -> list[View]:
        """As many services as there is room for, first those that are not Ready."""
        room = max(_LEAST_ROWS, self._console.height - _ROWS_BESIDE)
        if len(self._views) <= room:
            return self._views
        return sorted(self._views, key=lambda view: viewing.readiness(view).status == "True")[:room]

    def _examples(self) -> list[str]:
        ready = [view for view in self._views if viewing.readiness(view).status == "True"]
        return [line for view in ready[:_EXAMPLES_SHOWN] for line in viewing.examples(view, self._address)]


def _event(name: str, event: Mapping[str, Any]) -> RenderableType:
    from rich.text import Text

    at = time.strftime("%H:%M:%S", time.localtime(event["at"]))
    often = f" ({event['count']} times)" if event.get("count", 1) > 1 else ""
    style = "yellow" if event["type"] == "Warning" else "dim"
    line = f"{at} {name}: {event['reason']}: {event['message']}{often}"
    return Text(" ".join(plaintext.clean(line).split()), style=style, overflow="ellipsis", no_wrap=True)
