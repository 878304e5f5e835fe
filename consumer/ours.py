"""A schema that we built: seen to be what the log's catalogue says by now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consumer.target import Target
from schemas import definitions
from schemas.errors import Refused
from schemas.mapping import TableMapping
from schemas.sql import quote_ident

# Without the log too, because its earlier generations would build the old tables again.
BUILD_ANEW = "`consumer rollback` and `producer drop-log`, then `producer snapshot` and `consumer run` build it anew"


def see_ours(target: Target) -> None:
    """Compare each table with what is to be written into it; say everything at once.

    Raises:
        Refused: it was built from another catalogue.
    """
    found = _found_columns(target)
    problems: list[str] = []
    for table in target.catalogue.tables:
        problems += _differences(target.mappings[table.name], found.get(table.name, {}))
    if problems:
        raise Refused(
            f'schema "{target.schema}" was built from another catalogue:\n  ' + "\n  ".join(problems),
            hint=BUILD_ANEW,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    type: str
    is_generated: bool
    identity: str
    needs_value: bool  # NOT NULL without a default


def _found_columns(target: Target) -> dict[str, dict[str, _Found]]:
    rows = target.connection.execute(
        """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attidentity::text,
               a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname = %s AND c.relkind IN ('r', 'p')
        """,
        (target.schema,),
    ).fetchall()
    found: dict[str, dict[str, _Found]] = {}
    for table, column, *facts in rows:
        found.setdefault(table, {})[column] = _Found(*facts)
    return found


def _differences(mapping: TableMapping, found: Mapping[str, _Found]) -> list[str]:
    name = quote_ident(mapping.table.name)
    if not found:
        return [f"{name} is missing: {definitions.create_table(mapping)}"]
    wanted = {column.name: column.target_type for column in mapping.columns}
    wanted |= {added.name: added.type for added in mapping.added}
    wanted[mapping.migrated_at] = "timestamp with time zone"
    generated = {column.name for column in mapping.table.columns if column.generated is not None}
    problems = []
    for column, type_ in wanted.items():
        there = found.get(column)
        if there is None:
            problems.append(f"ALTER TABLE {name} ADD COLUMN {quote_ident(column)} {type_}")
        elif there.is_generated:
            problems.append(f"ALTER TABLE {name} ALTER COLUMN {quote_ident(column)} DROP EXPRESSION")
        elif there.type != type_ and column not in {added.name for added in mapping.added}:
            problems.append(f"ALTER TABLE {name} ALTER COLUMN {quote_ident(column)} TYPE {type_} -- is {there.type}")
    problems += [
        f"ALTER TABLE {name} ALTER COLUMN {quote_ident(column)} DROP NOT NULL -- the source has no such column"
        for column, there in found.items()
        if column not in wanted and column not in generated and there.needs_value
    ]
    return problems
