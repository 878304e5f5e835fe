"""Logs on stderr, as text or JSON lines, that cannot carry a row's value or a secret.

Errors of libraries quote values in their text. So no exception's text is ever logged, only its
type (our own errors' messages are safe and stay), and messages of libraries' own loggers are
logged without their arguments.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog

from runtime.reporting import LogFormat, Notice, Warned, event_of
from runtime.steps import Step
from schemas.errors import ReplicatorError

# librdkafka's own words: what matters of them comes as our errors and warnings; the rest is for --debug.
LIBRARY_LOGGER = "kafka.librdkafka"

_OUR_LOGGERS = ("kafka", "schemas", "runtime", "producer", "consumer", "validator", "embedded")

EventDict = MutableMapping[str, Any]


def configure_logs(log_format: LogFormat, *, debug: bool = False) -> None:
    """Send structlog's and the standard library's logs to stderr, guarded, from WARNING on (INFO with `debug`).

    As JSON facts are logged, too, and with `debug` every step of each batch.
    """
    level = logging.INFO if debug else logging.WARNING
    facts_from = logging.DEBUG if debug else logging.INFO
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        guard,
    ]
    render = structlog.processors.JSONRenderer(ensure_ascii=False, default=str) if log_format == "json" else text_line
    handler = _StderrHandler()
    handler.addFilter(_without_arguments)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    for former in [item for item in root.handlers if isinstance(item, _StderrHandler)]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level)
    logging.getLogger(LIBRARY_LOGGER).setLevel(level if debug else logging.CRITICAL + 1)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(facts_from if log_format == "json" else level),
        logger_factory=_StderrLogger,
        cache_logger_on_first_use=False,
    )


class _StderrHandler(logging.StreamHandler[Any]):
    """Writes to the stderr of this moment: bars replace it while they are shown."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _StderrLogger:
    """What structlog writes finished lines with."""

    def __init__(self, *_: object) -> None: ...

    def msg(self, line: str) -> None:
        """Write one line."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = exception = log = msg


def _without_arguments(record: logging.LogRecord) -> bool:
    if record.name.split(".")[0] not in _OUR_LOGGERS:
        record.args = ()
    return True


def guard(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace everything an exception could say by its type."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = _safe(error)
    event.pop("stack_info", None)
    event.pop("exception", None)
    if isinstance(caused := event.get("caused_by"), str):  # stamina says it with repr
        found = re.match(r"[\w.]+", caused)
        event["caused_by"] = found.group() if found else "unknown"
    for key, value in list(event.items()):
        if isinstance(value, BaseException):
            event[key] = _safe(value)
    return event


def _safe(error: BaseException) -> str:
    return str(error) if isinstance(error, ReplicatorError) else type(error).__name__


def text_line(_logger: object, _method: str, event: EventDict) -> str:
    """`20:01:02 warning: what happened (table=orders, rows=3)`."""
    ts, level, what = event.pop("ts", ""), event.pop("level", "info"), event.pop("event", "")
    rest = ", ".join(f"{key}={value}" for key, value in event.items() if not key.startswith("_"))
    return f"{str(ts)[11:19]} {level}: {what}" + (f" ({rest})" if rest else "")


def log_fact(fact: object, tenant: str = "") -> None:
    """Log a fact as an event with its fields."""
    name, values = event_of(fact)
    if tenant:
        values = {"tenant": tenant, **values}
    log = structlog.get_logger()
    match fact:
        case Warned(text):
            log.warning(text, **{key: value for key, value in values.items() if key != "text"})
        case Notice(text):
            log.info(text, **{key: value for key, value in values.items() if key != "text"})
        case _ if isinstance(fact, Step):
            log.debug(name, **values)
        case _:
            log.info(name, **values)


def safe_traceback(error: BaseException) -> str:
    """The traceback of an error and its causes, with types in place of texts that may hold values."""
    return "".join(_frames(error))


def _frames(error: BaseException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _frames(before)
        yield "which led to:\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__name__}" + (f": {_safe(error)}\n" if str(_safe(error)) else "\n")
