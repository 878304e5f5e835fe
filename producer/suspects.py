"""Columns that seem personal or secret and about which the migration says nothing, found in the source.

Names tell most of it. Of text whose name tells nothing a few values are looked at, with one query
a table; the values stay in this module, only the kind of what they are leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psycopg

from runtime.postgres import Connection, explain
from runtime.survey import Survey
from schemas.catalogue import Catalogue, Table
from schemas.errors import ConfigurationError
from schemas.migration import Migration
from schemas.sql import quote_ident, quote_literal
from schemas.suspicion import Proposal, Samples, Suspicion, settled_columns, suspicions, worth_sampling
from schemas.toml_text import toml_key, toml_string

_SAMPLED_ROWS = 25  # from the beginning of a table, and as many from its last quarter
_SAMPLED_BYTES = 4_000  # of a stored value; larger ones are documents, and fetching them would cost
_SAMPLED_CHARACTERS = 1_000
_SMALL_TABLE_BYTES = 100_000
_LINES_SHOWN = 40


class UnclassifiedColumns(ConfigurationError):
    """Columns that seem personal or secret, and nobody has decided what becomes of them."""

    def __init__(self, found: Sequence[Suspicion], migration: Migration) -> None:
        columns = "\n".join(f"  {told(one)}" for one in found[:_LINES_SHOWN])
        more = f"\n  and {len(found) - _LINES_SHOWN} more" if len(found) > _LINES_SHOWN else ""
        count = "1 column seems" if len(found) == 1 else f"{len(found)} columns seem"
        super().__init__(
            f"{count} personal or secret, and {migration.file} says nothing of {'it' if len(found) == 1 else 'them'}:\n{columns}{more}",
            hint="add to the migration (or say --accept-unclassified, and they travel readable):\n"
            + "\n".join(remedy(found, migration)),
        )
        self.found = tuple(found)


def unclassified(
    connection: Connection, tables: Iterable[Table], catalogue: Catalogue, migration: Migration
) -> tuple[Suspicion, ...]:
    """Suspicions about which the migration does not decide, table by table.

    Raises:
        SourceError: a table may not be read.
    """
    found: list[Suspicion] = []
    for table in tables:
        settled = settled_columns(table, migration)
        samples = sample(connection, table, worth_sampling(table, catalogue, settled))
        found.extend(suspicions(table, catalogue, samples, settled))
    return tuple(found)


def readable(survey: Survey, migration: Migration) -> tuple[Table, ...]:
    """Tables that are moved and may be looked into by this role."""
    facts = ((table, survey.of(table)) for table in survey.moved(migration))
    return tuple(table for table, fact in facts if fact.is_readable and not fact.hides_rows and not fact.foreign_parts)


def refuse_unclassified(
    connection: Connection, tables: Iterable[Table], catalogue: Catalogue, migration: Migration
) -> None:
    """See that the migration decides about every column that seems personal or secret.

    Raises:
        UnclassifiedColumns: it does not; each is named with what can be done.
    """
    if found := unclassified(connection, tables, catalogue, migration):
        raise UnclassifiedColumns(found, migration)


def sample(connection: Connection, table: Table, columns: Sequence[str]) -> Samples:
    """A few values of each of these columns."""
    if not columns:
        return {}
    try:
        rows = connection.execute(_query(table, columns).encode()).fetchall()
    except psycopg.Error as error:
        raise explain(error, f'source: looking at a few rows of "{table.name}"', side="source") from None
    return {name: [row[place] for row in rows] for place, name in enumerate(columns)}


def _query(table: Table, columns: Sequence[str]) -> str:
    cells = ", ".join(
        f"CASE WHEN pg_column_size(t.{name}) <= {_SAMPLED_BYTES} THEN left(t.{name}::text, {_SAMPLED_CHARACTERS}) END"
        for name in map(quote_ident, columns)
    )
    rows = f"{table.only}{table.at_source}"
    if table.bytes <= _SMALL_TABLE_BYTES:
        return f"SELECT {cells} FROM {rows} t LIMIT {2 * _SAMPLED_ROWS}"
    pages = f"pg_relation_size({quote_literal(table.at_source)}::regclass) / current_setting('block_size')::int"
    return (
        f"(SELECT {cells} FROM {rows} t LIMIT {_SAMPLED_ROWS}) UNION ALL (SELECT {cells} FROM {rows} t "
        f"WHERE t.ctid >= (SELECT format('(%s,0)', {pages} * 3 / 4)::tid) LIMIT {_SAMPLED_ROWS})"
    )


# ---------------------------------------------------------------- told


def told(one: Suspicion) -> str:
    """A suspicion as one line: table.column: kind, why, and what stands against encrypting it."""
    bound = f"; cannot be encrypted, it is {one.bound}" if one.bound else ""
    return f"{one.table}.{one.column}: {one.kind}, {one.why}{bound}"


def remedy(found: Sequence[Suspicion], migration: Migration) -> list[str]:
    """The lines of a migration that decide about these columns; what it says already is repeated in them."""
    lines: list[str] = []
    for table in dict.fromkeys(one.table for one in found):
        mine = [one for one in found if one.table == table]
        rules = migration.rules(table)
        encrypt = [one.column for one in mine if one.proposal is Proposal.ENCRYPT]
        lines.append(f"[table.{toml_key(table)}]")
        if encrypt:
            lines.append(f"encrypt = [{', '.join(map(toml_string, (*rules.encrypt, *encrypt)))}]")
        lines.extend(
            f'keep.{toml_key(one.column)} = "why it may stay readable"' for one in mine if one.proposal is Proposal.KEEP
        )
    return lines
