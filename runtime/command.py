"""What the three programs' commands share: options, errors as one clear message, exit codes, asking.

    main = program("consumer", "Applies a tenant's log to the target.")

    @main.command(epilog=examples("consumer status", "consumer status --json"))
    @json_option
    @pass_invocation
    def status(invocation: Invocation, *, as_json: bool) -> None: ...

A command returns None or an `ExitCode`. The options of the program itself may stand anywhere
on the line. Data goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click

from runtime.console import open_report
from runtime.logs import configure_logs
from runtime.reporting import LogFormat, ProgressChoice, Report
from runtime.settings import (
    KafkaSettings,
    SourceSettings,
    TargetSettings,
    kafka_settings,
    load_environment,
    migration_path,
    source_settings,
    target_settings,
)
from runtime.telling import Spoken, told
from schemas.errors import ConfigurationError, ExitCode
from schemas.migration import Migration, parse_migration

VERSION = "0.1.0"  # as in pyproject.toml

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Invocation:
    """One call of a program: its options, and what they lead to, read when first asked for."""

    program: str
    migration_file: Path | None = None
    log_format: LogFormat = "text"
    debug: bool = False

    @cached_property
    def migration(self) -> Migration:
        """The migration file, checked."""
        return load_migration(self.migration_file or migration_path())

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The environment, the `.env` file included."""
        return dict(os.environ)

    @cached_property
    def source(self) -> SourceSettings:
        """The source."""
        return source_settings(self.environment)

    @cached_property
    def target(self) -> TargetSettings:
        """The target."""
        return target_settings(self.environment)

    @cached_property
    def kafka(self) -> KafkaSettings:
        """The brokers."""
        return kafka_settings(self.environment)

    def open_report(
        self, progress: ProgressChoice = "auto", *, metrics: str | None = None
    ) -> AbstractContextManager[Report]:
        """The report of this call, to be entered with `with`."""
        return open_report(progress, self.log_format, tenant=self.migration.tenant, metrics=metrics)


def load_migration(path: Path) -> Migration:
    """Read and check a migration file.

    Raises:
        ConfigurationError: there is no such file, or it is wrong; every problem with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: no such migration file", hint="name one with --migration or MIGRATION; README.md shows one"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"{path}: the migration file cannot be read", hint="it must be UTF-8 text and readable by you"
        ) from None
    return parse_migration(text, str(path))


pass_invocation = click.make_pass_decorator(Invocation)


# ---------------------------------------------------------------- programs and commands


def examples(*lines: str) -> str:
    """The examples of a command, as its epilog; lines stay as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def program(name: str, help: str) -> Program:  # noqa: A002  as click names it
    """The group that a program's commands belong to; calling it runs the program."""

    @click.group(
        name,
        cls=Program,
        help=help,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        epilog="\b\nThese options may also stand after the command. Exit codes: 0 done, 1 rows not applied or\n"
        "different, 2 wrong use, 3 inconclusive, 4 could not, 5 repaired, 6 fenced, 130/143 interrupted.\n"
        f"`{name} COMMAND --help` shows examples.",
    )
    @click.version_option(VERSION, message=f"{name} %(version)s (tenant-replicator)")
    @click.option(
        "--migration",
        "migration_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="What is moved and how. Default: MIGRATION, else ./rawdog.toml, else the one shipped.",
    )
    @click.option(
        "--env-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="NAME=value lines for variables that are not set. Default: ./.env if there.",
    )
    @click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Logs on stderr.")
    @click.option("--debug", is_flag=True, help="Log more; show where an error arose (never a value).")
    @click.pass_context
    def group(
        context: click.Context,
        *,
        migration_file: Path | None,
        env_file: Path | None,
        log_format: LogFormat,
        debug: bool,
    ) -> None:
        configure_logs(log_format, debug=debug)
        if debug:
            faulthandler.enable(sys.__stderr__ or sys.stderr)  # when a library crashes: where we were in it, no values
        load_environment(env_file)
        context.obj = Invocation(name, migration_file, log_format, debug)

    return group


_ANYWHERE_FLAGS = {"--debug"}
_ANYWHERE_VALUES = {"--migration", "--env-file", "--log-format"}


class Program(click.Group):
    """A group that takes its own options anywhere and turns errors into messages and exit codes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move the program's own options to the front."""
        ours, rest = split_options(args)
        return super().parse_args(ctx, [*ours, *rest])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002, FBT001, FBT002  click's signature
        windows_expand_args: bool = True,  # noqa: ARG002, FBT001, FBT002
        **extra: Any,
    ) -> NoReturn:
        """Run the command line and exit with its code."""
        given = list(sys.argv[1:] if args is None else args)
        name = prog_name or self.name or "program"
        self._main_shell_completion(extra, name, complete_var)
        sys.exit(int(self._run(given, name, extra)))

    def _run(self, given: list[str], name: str, extra: MutableMapping[str, Any]) -> int:
        spoken = Spoken.of(split_options(given)[0])
        try:
            with _ended_by_sigterm(), self.make_context(name, list(given), **extra) as context:
                result = self.invoke(context)
            sys.stdout.flush()
            return int(result) if isinstance(result, int) else ExitCode.DONE
        except click.exceptions.Exit as end:
            return end.exit_code
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else ExitCode.DONE
        except BaseException as error:
            return told(error, spoken)


def split_options(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The program's own options, wherever they stand before `--`, and the rest.

    >>> split_options(["run", "--log-format", "json", "--until-complete"])
    (['--log-format', 'json'], ['run', '--until-complete'])
    """
    ours: list[str] = []
    rest: list[str] = []
    waiting = list(args)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            rest += [word, *waiting]
            break
        if word in _ANYWHERE_FLAGS or word.partition("=")[0] in _ANYWHERE_VALUES:
            ours.append(word)
            if word in _ANYWHERE_VALUES and waiting:
                ours.append(waiting.pop(0))
        else:
            rest.append(word)
    return ours, rest


# ---------------------------------------------------------------- signals


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM unwinds like an exit, so that transactions and connections are closed; loops use StopFlag."""

    def end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
        raise SystemExit(ExitCode.TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


# ---------------------------------------------------------------- shared options


def progress_option(function: F) -> F:
    """`--progress` as parameter `progress`."""
    return click.option(
        "--progress",
        type=click.Choice(["auto", "bar", "plain", "none"]),
        default="auto",
        help="auto: bars on a terminal, lines elsewhere.",
    )(function)


def json_option(function: F) -> F:
    """`--json` as parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")(function)


def yes_option(function: F) -> F:
    """`--yes` as parameter `yes`, for commands that `confirm`."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(function)


def metrics_option(function: F) -> F:
    """`--metrics` as parameter `metrics`, for `open_report`."""
    return click.option("--metrics", metavar="[HOST:]PORT", help="Serve Prometheus metrics there while it runs.")(
        function
    )


def heartbeat_option(function: F) -> F:
    """`--heartbeat` as parameter `heartbeat`, for `Heartbeat.of`."""
    return click.option(
        "--heartbeat",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Touch FILE while the loop turns (HEARTBEAT_FILE); `python -m runtime.health` looks at it.",
    )(function)


def confirm(what_will_happen: Sequence[str], expected: str, *, yes: bool) -> None:
    """Show what will happen and go on only when `expected` (the tenant's name) is typed, or with `--yes`.

    Raises:
        ConfigurationError: something else was typed, or nobody is there to type; nothing was done.
    """
    for line in what_will_happen:
        click.echo(line, err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nothing was done: this needs a confirmation, and there is no terminal to ask on", hint="say --yes"
        )
    typed = click.prompt(f"Type {expected} to go on", default="", show_default=False, err=True)
    if typed.strip() != expected:
        raise ConfigurationError(f"nothing was done: that is not {expected}")
