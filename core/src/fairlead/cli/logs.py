"""Log lines on standard error: text for people, one JSON object a line for machines.

Nobody who logs waits for whoever reads; see `fairlead.cli.logwriter`.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fairlead.cli.logwriter import LogWriter

if TYPE_CHECKING:
    from fairlead import errors

__all__ = ["configure", "flush", "report", "report_drops"]

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}


def configure(log_format: str, level: str) -> LogWriter | None:
    """Configure the process's logging.

    Args:
        log_format: ``text``, ``json``, or ``auto``: text on a terminal, JSON elsewhere.
        level: the least severe level: ``debug``, ``info``, ``warning`` or ``error``.

    Returns:
        What writes the lines; None for a process that was started without standard error.
    """
    root = logging.getLogger()
    root.setLevel(level.upper())
    # uvicorn tells of its own start and stop; ours says the same with the models' names.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    if sys.stderr is None:
        root.handlers[:] = [logging.NullHandler()]
        return None
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler = LogWriter(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)-7s %(message)s") if text else JsonFormatter())
    root.handlers[:] = [handler]
    return handler


def flush() -> None:
    """Wait until what was logged is written, for a time that is bounded: what is printed next comes after it."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def report(error: errors.FairleadError) -> bool:
    """Log an error that ends the command, where lines are for machines; whether they are."""
    handlers = logging.getLogger().handlers
    if not any(isinstance(handler.formatter, JsonFormatter) for handler in handlers):
        return False
    remedy = {"remedy": error.remedy} if error.remedy else {}
    logging.getLogger("fairlead.server").error("%s", error.reason if remedy else error, extra=remedy)
    flush()
    return True


def report_drops(count: Callable[[int], None]) -> None:
    """Call this with the number of lines that are dropped, from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogWriter):
            handler.report_drops(count)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, whatever the call gave as extra, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        time = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
