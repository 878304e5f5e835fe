"""`producer snapshot`: publish one consistent snapshot, or what is missing of an unfinished one."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table as Grid

from producer.selected import Selection
from producer.snapshot import Outcome, Places, Wish, run_snapshot
from runtime.command import Invocation, examples, json_option, metrics_option, pass_invocation, progress_option
from runtime.keyring import load_keyring
from runtime.plan_file import read_plan
from runtime.reporting import ProgressChoice
from schemas.errors import ConfigurationError

MAX_ROWS = 10_000  # of a repair plan, unless --max-rows says otherwise


@click.command(
    "snapshot",
    epilog=examples(
        "producer snapshot --dry-run",
        "producer snapshot",
        "producer snapshot --table orders --table line_items",
        "producer snapshot --restart     # abandon an unfinished generation",
        "producer snapshot --keys repair.json   # only the rows that `validator reconcile --plan` listed",
    ),
)
@click.option("--table", "tables", multiple=True, help="Only this table; repeatable. Makes a partial generation.")
@click.option(
    "--keys",
    "keys",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only the rows of a repair plan (validator reconcile --plan FILE). Makes a partial generation.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help=f"With --keys: refuse a plan of more rows, before anything is sent.  [default: {MAX_ROWS}]",
)
@click.option("--restart", is_flag=True, help="Abandon an unfinished generation and begin the next.")
@click.option("--dry-run", is_flag=True, help="Read and encode everything, publish nothing, say what would happen.")
@click.option("--accept-unclassified", is_flag=True, help="Columns that seem personal may travel readable.")
@progress_option
@metrics_option
@json_option
@pass_invocation
def snapshot_command(
    invocation: Invocation,
    *,
    tables: tuple[str, ...],
    keys: Path | None,
    max_rows: int | None,
    restart: bool,
    dry_run: bool,
    accept_unclassified: bool,
    progress: ProgressChoice,
    metrics: str | None,
    as_json: bool,
) -> None:
    """Publish one consistent snapshot of the source, parents first.

    An interrupted snapshot goes on where it stopped, and ends as if it had not been interrupted; tables that
    changed meanwhile are read again. After a finished generation the next one begins. A column that seems
    personal or secret and is neither encrypted nor kept for a reason stops it before anything is published.

    With --keys only the rows of a repair plan are published again, with a later instant, as a partial generation;
    an interrupted one goes on with the same file.
    """
    if keys is not None and tables:
        raise ConfigurationError("--keys and --table exclude each other: the plan names its tables")
    if keys is None and max_rows is not None:
        raise ConfigurationError("--max-rows bounds a repair plan, and there is none", hint="name it with --keys")
    places = Places(
        source=invocation.source,
        kafka=invocation.kafka,
        migration=invocation.migration,
        keyring=load_keyring(invocation.environment),
    )
    selection = None
    if keys is not None:
        plan = read_plan(keys, tenant=places.migration.tenant, keyring=places.keyring)
        selection = Selection(plan=plan, file=str(keys), max_rows=max_rows or MAX_ROWS)
    wish = Wish(
        tables=tables,
        selection=selection,
        is_restart=restart,
        is_rehearsal=dry_run,
        accepts_unclassified=accept_unclassified,
    )
    began = time.perf_counter()
    with invocation.open_report(progress, metrics=metrics) as report:
        outcome = run_snapshot(places, wish, report)
    if outcome is None:
        if as_json:
            click.echo(json.dumps({"generation": None, "rows": 0, "tables": []}))
        return
    seconds = time.perf_counter() - began
    if as_json:
        click.echo(outcome_json(outcome, seconds))
    else:
        show_outcome(outcome, seconds, Console(markup=False, highlight=False, soft_wrap=True))


def outcome_json(outcome: Outcome, seconds: float) -> str:
    """The outcome as one JSON object."""
    opening = outcome.opening
    return json.dumps(
        {
            "log": opening.log,
            "generation": opening.generation,
            "instant": opening.instant,
            "is_resumed": opening.resumed is not None,
            "abandoned": opening.abandoned or None,
            "is_dry_run": outcome.is_rehearsal,
            "topics_made": outcome.topics_made,
            "rows": outcome.rows,
            "seconds": round(seconds, 3),
            "tables": [asdict(table) for table in outcome.tables],
        },
        ensure_ascii=False,
        indent=2,
    )


def show_outcome(outcome: Outcome, seconds: float, console: Console) -> None:
    """Say in a few lines what is in the log now, or would be."""
    opening = outcome.opening
    would = "would be " if outcome.is_rehearsal else ""
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    grid.add_column("table")
    measured = ("largest row",) if outcome.is_rehearsal else ()
    for name in ("rows", "batches", "bytes", *measured, "attempt"):
        grid.add_column(name, justify="right")
    grid.add_column("")
    for table in outcome.tables:
        note = (
            ""
            if table.fate == "begin"
            else {"kept": "kept", "continue": "continued", "again": "read again"}[table.fate]
        )
        numbers = [table.rows, table.batches, table.bytes]
        if outcome.is_rehearsal:
            numbers.append(table.largest_row_bytes)
        cells = [f"{value:,}" for value in numbers]
        grid.add_row(table.table, *cells, str(table.attempt), note)
    console.print(grid)
    if opening.abandoned:
        console.print(f"generation {opening.abandoned} {would}abandoned")
    console.print(
        f"generation {opening.generation}: {outcome.rows:,} rows {would}published in {seconds:.1f} s; "
        f"the state of {opening.instant}"
    )
    if outcome.is_rehearsal:
        missing = ", ".join(outcome.topics_made) or "none"
        console.print(f"dry run: nothing was published; topics that would be made: {missing}")
