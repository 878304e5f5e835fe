"""`producer plan`: look before you move."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from producer.plan import make_plan
from producer.plan_view import plan_json, show_plan
from runtime.command import Invocation, examples, json_option, pass_invocation
from runtime.introspect import read_source
from runtime.postgres import open_source
from schemas.errors import ExitCode

_PAGE_COLUMNS = 120  # when nobody says how wide


@click.command(epilog=examples("producer plan", "producer plan --json | jq '.tables[] | {name, rows, key}'"))
@json_option
@pass_invocation
def plan(invocation: Invocation, *, as_json: bool) -> ExitCode:
    """Show what a snapshot would move, in which order, what is odd and what stays behind.

    Only reads the source's definition, not its rows. Exit code 2 when a snapshot would stop.
    """
    migration, source = invocation.migration, invocation.source
    with open_source(source.url, schema=migration.source.schemas) as connection:
        planned = make_plan(read_source(connection, migration), migration, str(source))
    if as_json:
        click.echo(plan_json(planned))
    else:
        width = None if sys.stdout.isatty() else _PAGE_COLUMNS
        show_plan(planned, Console(file=sys.stdout, width=width, markup=False, highlight=False, soft_wrap=False))
    return ExitCode.USAGE if planned.is_blocked else ExitCode.DONE
