"""Errors of a command as one clear message with a hint, and an exit code; never a row's value."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click
import psycopg
import structlog

from runtime.logs import configure_logs, safe_traceback
from runtime.postgres import failure
from schemas.errors import ExitCode, ReplicatorError


@dataclass(frozen=True, slots=True)
class Spoken:
    """How errors are said; known before the line is parsed, because parsing may fail."""

    as_json: bool
    debug: bool

    @classmethod
    def of(cls, options: Sequence[str]) -> Spoken:
        """By the program's own options on the line."""
        line = " ".join(options)
        return cls("--log-format json" in line or "--log-format=json" in line, "--debug" in options)

    def say(self, code: int, message: str, hint: str = "") -> None:
        """Say it on stderr."""
        if self.as_json:
            configure_logs("json", debug=self.debug)
            structlog.get_logger().error("error", message=message, hint=hint, exit_code=code)
            return
        first, *others = message.splitlines() or [""]
        sys.stderr.write("\n".join([f"error: {first}", *(f"       {line}" for line in others)]) + "\n")
        if hint:
            sys.stderr.write(f"hint: {hint}\n")


def told(error: BaseException, spoken: Spoken) -> int:
    """Say what went wrong, and return the exit code."""
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        return _nobody_reads()
    if spoken.debug and not isinstance(error, click.ClickException | KeyboardInterrupt):
        sys.stderr.write(safe_traceback(error))
    code: int = ExitCode.UNAVAILABLE
    match error:
        case ReplicatorError():
            code = error.exit_code
            spoken.say(code, str(error), error.hint)
        case click.UsageError():
            code = ExitCode.USAGE
            path = error.ctx.command_path if error.ctx else ""
            hint = f"`{path} --help` shows how it is used" if path else ""
            spoken.say(code, error.format_message(), _dashed(error) or hint)
        case click.ClickException():
            code = ExitCode.USAGE
            spoken.say(code, error.format_message())
        case KeyboardInterrupt():
            code = ExitCode.INTERRUPTED
            spoken.say(code, "interrupted")
        case click.Abort():
            code = ExitCode.USAGE
            spoken.say(code, "no answer, so nothing was done")
        case psycopg.Error():
            spoken.say(code, f"unexpected: {failure(error)}", _DEBUG)
        case _:  # its text may hold a row's value
            spoken.say(code, f"unexpected {type(error).__name__}", _DEBUG)
    return code


def _dashed(error: click.UsageError) -> str:
    """What to do when an argument that begins with a dash was taken for an option; "" when there is no argument."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return ""
    takes = [item for item in error.ctx.command.params if isinstance(item, click.Argument)]
    return f"write -- before arguments that begin with a dash: `{error.ctx.command_path} --help`" if takes else ""


_DEBUG = "run it again with --debug to see where; please report it"


def _nobody_reads() -> int:
    """Whoever read our output has gone (`| head`): no error, and nothing more to say."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE
