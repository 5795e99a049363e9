"""Log records: for people on a terminal, one JSON object a line otherwise.

Every record that is made while a request is handled carries its `request_id` and, where the caller sent
a W3C `traceparent`, its `trace_id`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from headrace.tracing import context as trace_context

Format = Literal["auto", "human", "json"]
Level = Literal["debug", "info", "warning", "error"]

REQUEST_ID_KEY = "x-request-id"

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


_OWN = ("headrace", "__main__")
"""How the names of our own loggers begin."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Who a record belongs to: the request's id, and its trace's id (32 hex digits) or ''."""

    request_id: str
    trace_id: str = ""


_current: ContextVar[RequestContext | None] = ContextVar("headrace_request", default=None)


def request_context(metadata: Iterable[tuple[str, str | bytes]]) -> RequestContext:
    """The ids that a call's metadata (or an HTTP request's headers, lower-case) brings, or new ones."""
    values = {key: value for key, value in metadata if isinstance(value, str)}
    request_id = values.get(REQUEST_ID_KEY) or uuid4().hex
    place = trace_context.parsed(values.get(trace_context.HEADER, ""))
    return RequestContext(request_id[:128], f"{place.trace_id:032x}" if place is not None else "")


def begin(context: RequestContext) -> None:
    """Records that the present task makes from here on belong to this request."""
    _current.set(context)


@contextmanager
def bound(context: RequestContext) -> Iterator[None]:
    """Records made inside belong to this request."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def current_request_id() -> str:
    """Return the id of the request that is being handled; '' where none is."""
    context = _current.get()
    return context.request_id if context else ""


def chosen_form(log_format: Format) -> Format:
    """The form that `auto` means here: for people on a terminal, else JSON."""
    if log_format != "auto":
        return log_format
    return "human" if sys.stderr.isatty() else "json"


def set_up(service: str, log_format: Format = "auto", level: Level = "info") -> None:
    """Send all records to standard error. Called once, in a process's `__main__`."""
    human = chosen_form(log_format) == "human"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(HumanFormatter(service) if human else JsonFormatter(service))
    handler.addFilter(_shows_no_bytes)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def _shows_no_bytes(record: logging.LogRecord) -> bool:
    """Pass over what packages say at debug: the bytes that go through them, with the keys of callers."""
    return record.levelno >= logging.INFO or record.name.startswith(_OWN)


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    context = _current.get()
    if context is not None:
        facts.setdefault("request_id", context.request_id)
        if context.trace_id:
            facts.setdefault("trace_id", context.trace_id)
    return facts


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, service, logger, message and the facts."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        } | _facts(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class HumanFormatter(logging.Formatter):
    """`12:00:01 registry  WARNING message  fact=value`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, with a traceback under it where there is one."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        facts = " ".join(f"{key}={value}" for key, value in _facts(record).items())
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        line = f"{time} {self._service:<9} {level}{record.getMessage()}  {facts}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
