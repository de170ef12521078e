"""Write the service's log to stderr, a line per record, as text or as JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class LogFormat(StrEnum):
    """The format of the log."""

    TEXT = "text"
    JSON = "json"


def configure_log(log_format: LogFormat, *, quiet: bool) -> None:
    """Send the log of the service and its server to stderr; ``quiet`` drops the access log."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if log_format is LogFormat.JSON else _TextLines())
    for name in ("ledger", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.WARNING)
    if not quiet:
        logging.getLogger("ledger.service").setLevel(logging.INFO)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_time(record)} {record.levelname.lower()} {super().format(record)}"


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        request = getattr(record, "request", None)
        line |= request if request is not None else {"message": super().format(record)}
        return json.dumps(line)
