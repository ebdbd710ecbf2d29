"""Log lines on standard error: text for people, one JSON object a line for machines."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import Final

__all__ = ["configure"]

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}


def configure(log_format: str, level: str) -> None:
    """Configure the process's logging.

    Args:
        log_format: ``text``, ``json``, or ``auto``: text on a terminal, JSON elsewhere.
        level: the least severe level: ``debug``, ``info``, ``warning`` or ``error``.
    """
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)-7s %(message)s") if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn tells of its own start and stop; ours says the same with the models' names.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


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
