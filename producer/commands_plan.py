"""`producer plan`: look before you move."""

from __future__ import annotations

import sys
from dataclasses import replace

import click
import psycopg
from rich.console import Console

from producer.oddities import Rehearsed
from producer.plan import make_plan
from producer.plan_view import plan_json, show_plan
from producer.suspects import readable, unclassified
from runtime.command import Invocation, examples, json_option, pass_invocation
from runtime.introspect import read_source
from runtime.postgres import failure, open_source, open_target
from runtime.rehearsal import find_lacking
from runtime.settings import TARGET_URL
from schemas.catalogue import Catalogue
from schemas.errors import ExitCode, ReplicatorError
from schemas.mapping import table_mapping

_PAGE_COLUMNS = 120  # when nobody says how wide


@click.command(epilog=examples("producer plan", "producer plan --json | jq '.tables[] | {name, rows, key}'"))
@click.option("--accept-unclassified", is_flag=True, help="Columns that seem personal may travel readable.")
@json_option
@pass_invocation
def plan(invocation: Invocation, *, accept_unclassified: bool, as_json: bool) -> ExitCode:
    """Show what a snapshot would move, in which order, what is odd and what stays behind.

    Reads the source's definition, and a few values of each table's text columns, to see what seems personal; no
    value is shown. If NEW_POSTGRES_URL is set, every definition is tried in the target, in a transaction that is
    rolled back. Exit code 2 when a snapshot would stop, or the target lacks something.
    """
    migration, source = invocation.migration, invocation.source
    with open_source(source.url, schema=migration.source.schemas) as connection:
        survey = read_source(connection, migration)
        catalogue, problems = survey.catalogue(migration), survey.problems(migration)
        planned = make_plan(
            survey,
            migration,
            str(source),
            suspicions=unclassified(connection, readable(survey, migration), catalogue, migration),
            is_lenient=accept_unclassified,
            rehearsed=None if problems else _rehearsed(invocation, catalogue),
        )
    if as_json:
        click.echo(plan_json(planned))
    else:
        width = None if sys.stdout.isatty() else _PAGE_COLUMNS
        show_plan(planned, Console(file=sys.stdout, width=width, markup=False, highlight=False, soft_wrap=False))
    return ExitCode.USAGE if planned.is_blocked else ExitCode.DONE


def _rehearsed(invocation: Invocation, catalogue: Catalogue) -> Rehearsed | None:
    """What the target lacks for the definitions; None when nobody said where it is."""
    if not any(invocation.environment.get(name) for name in (TARGET_URL, f"{TARGET_URL}_FILE")):
        return None
    migration = invocation.migration
    mappings = {table.name: table_mapping(table, migration) for table in catalogue.tables}
    try:
        with open_target(invocation.target.url, application_name="producer") as target:
            wanted = replace(catalogue, tables=tuple(mapping.table for mapping in mappings.values()))
            return Rehearsed(find_lacking(target, wanted, mappings, migration.schema_))
    except ReplicatorError as error:
        return Rehearsed(why_not=str(error))
    except psycopg.Error as error:
        return Rehearsed(why_not=failure(error))
