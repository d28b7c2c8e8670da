"""Log lines: pretty on a terminal, one JSON object a line elsewhere, always on standard error.

What never gets in: bodies, tokens, secrets, query strings. An exception is told by its type and
where it was raised; its message is left out, because messages quote what they choked on.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from io import TextIOBase
from types import TracebackType
from typing import Any, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_OUR_LOGGERS = ("malote", "api", "eventstore", "projections", "transport")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class _StandardError(TextIOBase):
    """Standard error as it is by then: whoever replaces or closes it need not tell the loggers."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_STDERR = cast(TextIO, _StandardError())


def configure(level: str, form: str, *, for_good: bool = False) -> None:
    """Set up structlog, and the standard library's loggers (uvicorn's, asyncio's) through it.

    ``for_good`` is for a process that does so once: a third of a line's cost is to look up what was
    configured.
    """
    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if pretty
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    severity = logging.getLevelNamesMapping()[level.upper()]
    shared = _processors()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=structlog.PrintLoggerFactory(_STDERR),
        cache_logger_on_first_use=for_good,
    )
    _route_standard_library(severity, shared, renderer)


def _json(event: EventDict, default: Callable[[Any], Any]) -> str:
    # A line a webhook: the standard library's encoder would take a third of what the line costs.
    return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()


def _processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        told_without_message,
        control_characters_escaped,
    ]


def _route_standard_library(severity: int, shared: list[Processor], renderer: Processor) -> None:
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(_STDERR)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[remove_meta, renderer], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Measured: at DEBUG aiosqlite prints every statement with its parameters, which are bodies, and
    # websockets every frame, tokens included. No setting of ours may switch that on.
    root.setLevel(max(severity, logging.WARNING))
    for name in _OUR_LOGGERS:
        logging.getLogger(name).setLevel(severity)
    logging.getLogger("uvicorn").setLevel(max(severity, logging.INFO))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def told_without_message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace ``exc_info`` by the exception's type and the lines it came through."""
    record = event.get("_record")
    given = event.pop("exc_info", None) or (record.exc_info if record is not None else None)
    if not given:
        return event
    if record is not None:
        record.exc_info = record.exc_text = None
    exception = given if isinstance(given, BaseException) else sys.exc_info()[1]
    if isinstance(given, tuple):
        exception = given[1]
    if exception is not None:
        event["exception"] = type(exception).__name__
        event["raised_at"] = raised_at(exception.__traceback__)
    return event


def raised_at(trace: TracebackType | None) -> list[str]:
    """The last frames of a traceback as ``file:line function``, without any values."""
    frames = traceback.extract_tb(trace)[-6:]
    return [f"{'/'.join(f.filename.split('/')[-2:])}:{f.lineno} {f.name}" for f in frames]


def control_characters_escaped(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    r"""Escape line feeds and their like: a path with ``\r\n`` must not forge a line of its own."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = value.translate(_CONTROL)
    return event
