"""The consumer's commands."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from consumer.commands_inspect import inspect
from consumer.commands_keys import keys
from consumer.commands_quarantine import quarantine
from consumer.commands_undo import replay_command, rollback_command
from consumer.dry_run import Rehearsed, dry_run
from consumer.lag import offsets_behind
from consumer.opening import open_session
from consumer.summary import status_json, status_lines, summary_json, summary_lines
from consumer.tokens import check_tokens
from consumer.worker import Options, Worker
from runtime.command import (
    Invocation,
    examples,
    heartbeat_option,
    json_option,
    metrics_option,
    pass_invocation,
    program,
    progress_option,
)
from runtime.health import Heartbeat
from runtime.memory import return_large_buffers
from runtime.progress import Progress, read_progress
from runtime.reporting import ProgressChoice
from runtime.shutdown import StopFlag
from schemas.errors import ConfigurationError, ExitCode, Refused

main = program("consumer", "Applies a tenant's log to the target: exactly once, parents first, secrets encrypted.")


@main.command(
    "run",
    epilog=examples(
        "consumer run                                  # until stopped; start as many as you like",
        "consumer run --until-complete --json",
        "consumer run --dry-run                        # says what would be quarantined, leaves nothing",
        "consumer run --on-error abort",
    ),
)
@click.option("--until-complete", is_flag=True, help="End when the newest generation has ended, with a summary.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Apply into a schema that is dropped again; outside the group.")
@click.option(
    "--on-error",
    type=click.Choice(["quarantine", "abort"]),
    default="quarantine",
    show_default=True,
    help="What to do with a row that cannot be applied.",
)
@json_option
@progress_option
@metrics_option
@heartbeat_option
@pass_invocation
def run(
    invocation: Invocation,
    *,
    until_complete: bool,
    is_dry: bool,
    on_error: str,
    as_json: bool,
    progress: ProgressChoice,
    metrics: str | None,
    heartbeat: Path | None,
) -> ExitCode:
    """Apply the log to the tenant's schema.

    Exit codes: 0 done, or stopped in order; 1 rows stand in quarantine; 143 or 130 when
    --until-complete was interrupted: start it again, it goes on where it was.
    """
    if is_dry and until_complete:
        raise ConfigurationError("--dry-run and --until-complete exclude each other", hint="a dry run ends by itself")
    return_large_buffers()
    session = open_session(invocation)
    check_tokens(session.migration, session.environment, has_keyring=session.keyring is not None)
    with invocation.open_report(progress, metrics=metrics) as report, StopFlag() as stop:
        if is_dry:
            seen = dry_run(session, report, stop)
        else:
            options = Options(until_complete=until_complete, aborts=on_error == "abort")
            worker = Worker(session, options, report, stop, heartbeat=Heartbeat.of(heartbeat, invocation.environment))
            done = worker.run()
    if is_dry:
        return _tell_rehearsal(seen, as_json=as_json, interrupted=stop.exit_code if stop.is_set else None)
    if not until_complete:
        return ExitCode.DONE
    if stop.is_set:
        return stop.exit_code
    return _tell_summary(done, as_json=as_json)


def _tell_summary(progress: Progress | None, *, as_json: bool) -> ExitCode:
    newest = None if progress is None else progress.newest
    if progress is None or newest is None:
        return ExitCode.DONE
    number = newest.generation
    if as_json:
        click.echo(summary_json(progress, number))
    else:
        for line in summary_lines(progress, number):
            click.echo(line)
    return ExitCode.DONE if newest.whole else ExitCode.DIFFERENT


def _tell_rehearsal(seen: Rehearsed, *, as_json: bool, interrupted: ExitCode | None) -> ExitCode:
    if as_json:
        plain = {
            "generation": seen.generation,
            "rows": seen.rows,
            "would_quarantine": [{**asdict(row), "position": str(row.position)} for row in seen.refused],
            "foreign_keys_not_valid": seen.foreign_keys,
        }
        click.echo(json.dumps(plain, ensure_ascii=False, indent=2))
    else:
        click.echo(f"dry run of generation {seen.generation}: nothing was kept")
        for table, rows in seen.rows.items():
            click.echo(f"  {table}: {rows:,} rows could be applied")
        for row in seen.refused:
            click.echo(
                f"  would quarantine {row.table} {row.key_digest or 'without key'} at {row.position}: {row.reason}"
            )
        for name, state in seen.foreign_keys.items():
            click.echo(f"  foreign key {name} would stay NOT VALID ({state})")
    if interrupted is not None:
        return interrupted
    return ExitCode.DIFFERENT if seen.refused else ExitCode.DONE


@main.command(epilog=examples("consumer status", "consumer status --json", "consumer status --watch 2"))
@json_option
@click.option("--watch", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Show it again and again.")
@pass_invocation
def status(invocation: Invocation, *, as_json: bool, watch: float | None) -> None:
    """Show how far each table is, what waits for what, and who consumes."""
    session = open_session(invocation)
    with session.connect() as connection:
        admin = session.admin()
        while True:
            progress = read_progress(connection, session.tenant)
            if progress is None:
                raise Refused(
                    f'the target knows no tenant "{session.tenant}"',
                    hint="`consumer run` begins; see also `producer status`",
                )
            lag = offsets_behind(admin, progress)
            if as_json:
                click.echo(status_json(progress, lag))
            else:
                for line in status_lines(progress, lag):
                    click.echo(line)
            if watch is None:
                return
            time.sleep(watch)


for command in (quarantine, replay_command, rollback_command, inspect, keys):
    main.add_command(command)
