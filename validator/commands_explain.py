"""The command `explain`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from runtime.command import Invocation, examples, json_option, pass_invocation
from runtime.display import shown
from runtime.keyring import load_keyring
from schemas.errors import ExitCode
from validator.explain import Explanation, RowLook


@click.command(
    name="explain",
    epilog=examples(
        "validator explain orders 4711",
        "validator explain order_lines 4711 2           # a key of two columns",
        "validator explain orders 4711 --show-values    # values of clear columns too",
        "validator explain ledger -- -17                # a key that begins with a dash",
    ),
)
@click.argument("table")
@click.argument("key", nargs=-1, required=True)
@click.option(
    "--show-values",
    is_flag=True,
    help="Show the values of clear columns; encrypted ones, and those that the migration keeps for a reason, never.",
)
@json_option
@pass_invocation
def explain(invocation: Invocation, *, table: str, key: tuple[str, ...], show_values: bool, as_json: bool) -> ExitCode:
    """Tell why one row is as it is: at the source, in the log, in quarantine, in the target.

    KEY is the row's key as PostgreSQL prints it, one argument a column. Exit codes: 0 equal, or all
    that differs was changed at the source since the snapshot; 1 different or in quarantine; 2 wrong use;
    3 undecided: not applied yet, or nothing has this key; 4 a side cannot be read.
    """
    look = RowLook(
        migration=invocation.migration,
        source_url=invocation.source.url,
        target_url=invocation.target.url,
        kafka=invocation.kafka,
        keyring=load_keyring(invocation.environment),
    )
    found = look.look_at(table, key, show_values=show_values)
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        for line in lines(found):
            click.echo(shown(line))
    return found.answer.exit_code


def lines(found: Explanation) -> Iterator[str]:
    """The explanation as text, the reason last."""
    facts = found.facts
    yield f"{facts.table} {found.key}"
    written = f", written {facts.seen.value} the snapshot" if facts.seen else ""
    yield f"  source      {'there' + written if facts.source is not None else 'not there'}"
    for image in facts.images:
        state = "" if image.is_current else ", superseded"
        applied = "applied" if image.is_applied else "not applied"
        yield f"  log         {image.position} row {image.row}, generation {image.generation}, attempt {image.attempt}{state}, {applied}"
    if not facts.images:
        yield "  log         never published"
    for item in facts.quarantine:
        yield f"  quarantine  {item.position} row {item.row}, {'open' if item.is_open else 'discarded'}: {item.why}"
    yield f"  target      {'migrated_at ' + facts.migrated_at if facts.target is not None else 'not there'}"
    if facts.source is not None or facts.target is not None:
        yield from _table(found)
    yield from (f"  not compared {text}" for text in facts.not_compared)
    yield f"{found.answer.verdict.value}: {found.answer.reason}"
    if found.answer.next:
        yield f"next: {found.answer.next}"


def _table(found: Explanation) -> Iterator[str]:
    rows = [("column", "treatment", "source", "log", "how")]
    rows += [(item.column, item.treatment, item.source, item.log, item.why) for item in found.columns]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for number, row in enumerate(rows):
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        values = found.columns[number - 1].values if number else None
        for side, value in (values or {}).items():
            yield f"      {side}: {'NULL' if value is None else _cut(value)}"


_MOST_SHOWN = 1_000


def _cut(value: str) -> str:
    if len(value) <= _MOST_SHOWN:
        return value
    return f"{value[:_MOST_SHOWN]} … ({len(value):,} characters; --json shows all)"
