"""The commands over rows in quarantine."""

from __future__ import annotations

import json

import click

from consumer.commands_undo import see_same_log
from consumer.generation import lock_name
from consumer.members import without_members
from consumer.opening import open_session
from consumer.quarantine import discard, lines, plain, quarantined
from consumer.retry import retry
from consumer.rollback import known_progress
from consumer.skip import parse_position, plan_skip, skip_record
from runtime.advance import advisory_lock
from runtime.command import Invocation, confirm, examples, json_option, pass_invocation, yes_option
from runtime.kafka import Admin
from runtime.keyring import load_keyring
from runtime.postgres import open_target
from schemas.errors import ConfigurationError, ExitCode

_TABLES = click.option("--table", "tables", multiple=True, help="Only rows of this table; repeatable.")


@click.group("quarantine", epilog=examples("consumer quarantine list", "consumer quarantine retry --table orders"))
def quarantine() -> None:
    """Rows that could not be applied: see why, try them again, or give them up."""


@quarantine.command(
    "list", epilog=examples("consumer quarantine list", "consumer quarantine list --table creators --json")
)
@_TABLES
@click.option("--generation", type=int, help="Only rows of this generation.")
@json_option
@pass_invocation
def list_(invocation: Invocation, *, tables: tuple[str, ...], generation: int | None, as_json: bool) -> None:
    """Show each row's table, keyed digest of its key, reason and place in the log; never a value."""
    tenant = invocation.migration.tenant
    with open_target(invocation.target.url, application_name="consumer quarantine", autocommit=True) as connection:
        progress = known_progress(connection, tenant)
        rows = quarantined(connection, progress, tables=tables, generation=generation)
    if as_json:
        click.echo(json.dumps([plain(row) for row in rows], ensure_ascii=False, indent=2))
        return
    if not rows:
        click.echo("no row stands in quarantine", err=True)
        return
    for line in lines(rows):
        click.echo(line)


@quarantine.command(
    "retry", epilog=examples("consumer quarantine retry", "consumer quarantine retry --table orders --table line_items")
)
@_TABLES
@pass_invocation
def retry_(invocation: Invocation, *, tables: tuple[str, ...]) -> ExitCode:
    """Try rows again after what refused them was put right; exit 1 while rows are still refused."""
    session = open_session(invocation)
    with (
        session.connect() as connection,
        invocation.open_report("none") as report,
        advisory_lock(connection, lock_name(session.tenant), wait=True),
    ):
        quarantined(connection, known_progress(connection, session.tenant), tables=tables)
        done = retry(session, connection, report, tables)
    click.echo(f"{_rows(done.applied)} applied, {done.refused:,} refused again", err=True)
    if done.waiting:
        click.echo(f"{_rows(done.waiting)} to be tried when their tables have loaded", err=True)
    if done.refused:
        click.echo("`consumer quarantine list` says why", err=True)
    return ExitCode.DIFFERENT if done.refused or done.waiting else ExitCode.DONE


@quarantine.command("discard", epilog=examples("consumer quarantine discard --table creators --yes"))
@_TABLES
@click.option("--id", "ids", type=int, multiple=True, help="Only the row of this id (see list); repeatable.")
@yes_option
@pass_invocation
def discard_(invocation: Invocation, *, tables: tuple[str, ...], ids: tuple[int, ...], yes: bool) -> None:
    """Give rows up. They stay counted as not applied, so `validator reconcile` goes on to name them."""
    tenant = invocation.migration.tenant
    with open_target(invocation.target.url, application_name="consumer quarantine", autocommit=True) as connection:
        progress = known_progress(connection, tenant)
        rows = quarantined(connection, progress, tables=tables, state="open")
        unknown = set(ids) - {row.id for row in rows}
        if unknown:
            raise ConfigurationError(
                f"no open row in quarantine has id {min(unknown)}", hint="`consumer quarantine list` shows the ids"
            )
        rows = tuple(row for row in rows if not ids or row.id in ids)
        if not rows:
            click.echo("no row stands in quarantine", err=True)
            return
        what = [f"discards {_rows(len(rows))} of tenant {tenant} for good:", *lines(rows)]
        confirm(what, tenant, yes=yes)
        count = discard(connection, tenant, rows)
    click.echo(f"{_rows(count)} discarded", err=True)


@quarantine.command("skip", epilog=examples("consumer quarantine skip rawdog.orders-1@17"))
@click.argument("positions", metavar="POSITION...", nargs=-1, required=True)
@yes_option
@pass_invocation
def skip_(invocation: Invocation, *, positions: tuple[str, ...], yes: bool) -> None:
    """Get partitions past records they stopped at (`consumer status` shows them), one after the other.

    What is lost by it is shown before, and counted as quarantined: the generation ends not whole.
    """
    migration = invocation.migration
    admin = Admin(invocation.kafka)
    wanted = [parse_position(text) for text in positions]
    with open_target(invocation.target.url, application_name="consumer quarantine", autocommit=True) as connection:
        progress = known_progress(connection, migration.tenant)
        see_same_log(invocation, admin, progress)
        with without_members(connection, admin, migration):
            keyring = load_keyring(invocation.environment)
            for position in wanted:
                progress = known_progress(connection, migration.tenant)
                skip = plan_skip(invocation.kafka, progress, position, keyring)
                confirm(tuple(skip.lines()), migration.tenant, yes=yes)
                skip_record(connection, migration.tenant, skip)
    click.echo("start `consumer run`", err=True)


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")
