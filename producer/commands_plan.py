"""`producer plan`: look before you move."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from producer.oddities import Extensions
from producer.plan import make_plan
from producer.plan_view import plan_json, show_plan
from producer.suspects import readable, unclassified
from runtime.command import Invocation, examples, json_option, pass_invocation
from runtime.introspect import read_source
from runtime.postgres import open_source, open_target
from runtime.settings import TARGET_URL
from schemas.errors import ExitCode, ReplicatorError

_PAGE_COLUMNS = 120  # when nobody says how wide


@click.command(epilog=examples("producer plan", "producer plan --json | jq '.tables[] | {name, rows, key}'"))
@click.option("--accept-unclassified", is_flag=True, help="Columns that seem personal may travel readable.")
@json_option
@pass_invocation
def plan(invocation: Invocation, *, accept_unclassified: bool, as_json: bool) -> ExitCode:
    """Show what a snapshot would move, in which order, what is odd and what stays behind.

    Reads the source's definition, and a few values of each table's text columns, to see what seems personal; no
    value is shown. Asks the target for its extensions if NEW_POSTGRES_URL is set. Exit code 2 when a snapshot would stop.
    """
    migration, source = invocation.migration, invocation.source
    with open_source(source.url, schema=migration.source.schemas) as connection:
        survey = read_source(connection, migration)
        planned = make_plan(
            survey,
            migration,
            str(source),
            suspicions=unclassified(connection, readable(survey, migration), survey.catalogue(migration), migration),
            is_lenient=accept_unclassified,
            extensions=_extensions(invocation),
        )
    if as_json:
        click.echo(plan_json(planned))
    else:
        width = None if sys.stdout.isatty() else _PAGE_COLUMNS
        show_plan(planned, Console(file=sys.stdout, width=width, markup=False, highlight=False, soft_wrap=False))
    return ExitCode.USAGE if planned.is_blocked else ExitCode.DONE


def _extensions(invocation: Invocation) -> Extensions | None:
    """What the target's server could install; None when nobody said where it is."""
    if not any(invocation.environment.get(name) for name in (TARGET_URL, f"{TARGET_URL}_FILE")):
        return None
    try:
        with open_target(invocation.target.url, read_only=True, application_name="producer") as target:
            rows = target.execute("SELECT name::text FROM pg_available_extensions").fetchall()
    except ReplicatorError as error:
        return Extensions(why_not=str(error))
    return Extensions(frozenset(name for (name,) in rows))
