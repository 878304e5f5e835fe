"""Post-data: constraints, indexes, sequences, statistics and rights, when all rows are in.

The last of the target's three parts. Foreign keys are added NOT VALID and validated after: one
scan instead of a check a row. A key that the source has not validated either stays NOT VALID
when rows break it (inherited); one that only rows in quarantine break stays so until they are
settled (waiting). Every step looks first, so running it again changes nothing and finishes what
was left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import errors

from consumer.aside import inheritance, swap_deferrable_key
from consumer.own_parts import make_own_parts
from consumer.target import Target, attempt, relations
from runtime.postgres import explain, is_transient
from runtime.progress import ForeignKeyProgress
from runtime.reporting import Notice, Report
from runtime.steps import ForeignKeyChecked, IndexesMade, TableAnalyzed
from schemas import definitions
from schemas.catalogue import Column, ForeignKey, Table
from schemas.definitions import Named
from schemas.errors import TargetError
from schemas.sql import quote_ident, quote_literal, quote_qualified


@dataclass(frozen=True, slots=True)
class Doubts:
    """Why a constraint may not hold yet: rows in quarantine by table, or only a part was loaded.

    `is_followed`: a later generation is known, and by a replay some of its rows may be here already.
    """

    quarantined: Mapping[str, int]
    is_partial: bool = False
    is_followed: bool = False

    def about(self, *tables: str) -> bool:
        """Whether one of these tables may lack rows or hold old ones."""
        return self.is_partial or self.is_followed or any(self.quarantined.get(table) for table in tables)


def post_data(target: Target, doubts: Doubts, report: Report) -> tuple[ForeignKeyProgress, ...]:
    """Finish the schema; returns how each foreign key of the catalogue stands.

    Raises:
        TargetError: a constraint does not hold and nothing explains it, or a right is missing.
    """
    keys: tuple[ForeignKeyProgress, ...] = ()
    try:
        if target.is_ours:
            for table in target.catalogue.tables:
                _unlogged(target, table)
                swap_deferrable_key(target, table)
                _uniques(target, table, doubts, report)
                _indexes(target, table, report)
                _late_checks(target, table)
                report(IndexesMade(table.name))
            make_own_parts(target, doubts.about, report)
            keys = foreign_keys(target, doubts, report)
            _join_parents(target)
        _sequences(target)
        for table in target.catalogue.tables:
            close_identities(target, table)
            target.connection.execute(f"ANALYZE {quote_ident(table.name)}".encode())
            report(TableAnalyzed(table.name))
        _grant(target)
    except psycopg.Error as error:
        if is_transient(error):
            raise
        raise explain(error, f'schema "{target.schema}": post-data') from None
    return keys


def foreign_keys(target: Target, doubts: Doubts, report: Report) -> tuple[ForeignKeyProgress, ...]:
    """Add and validate what foreign keys are missing or not valid yet."""
    found = []
    for table in target.catalogue.tables:
        for key in table.foreign_keys:
            if not _relation_exists(target, key.parent):
                report(Notice(f'{table.name}: foreign key "{key.name}" is left out: "{key.parent}" is not moved'))
                continue
            state = _foreign_key(target, table, key, doubts)
            report(ForeignKeyChecked(table.name, key.name, state))
            found.append(ForeignKeyProgress(table_name=table.name, name=key.name, parent=key.parent, state=state))
    return tuple(found)


def _foreign_key(target: Target, table: Table, key: ForeignKey, doubts: Doubts) -> str:
    connection = target.connection
    row = connection.execute(
        """
        SELECT c.convalidated FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
        JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE n.nspname = %s AND r.relname = %s AND c.conname = %s
        """,
        (target.schema, table.name, key.name),
    ).fetchone()
    if row is None:
        try:
            with attempt(connection):
                connection.execute(definitions.add_foreign_key(table, key, _partitioned(target)).statement.encode())
        except errors.ForeignKeyViolation:
            # Of a partitioned table: PostgreSQL looks at once.
            return _broken(table, key, doubts)
        except errors.InvalidForeignKey:
            # Its parent's unique key could not be made yet (quarantine).
            if not doubts.about(key.parent):
                raise
            return "waiting"
    elif row[0]:
        return "valid"
    if not definitions.is_enforced(key.definition):
        return "inherited"
    try:
        with attempt(connection):
            connection.execute(
                f"ALTER TABLE {quote_ident(table.name)} VALIDATE CONSTRAINT {quote_ident(key.name)}".encode()
            )
    except errors.ForeignKeyViolation:
        return _broken(table, key, doubts)
    return "valid"


def _partitioned(target: Target) -> frozenset[str]:
    return frozenset(table.name for table in target.catalogue.tables if table.partition_by is not None)


def _broken(table: Table, key: ForeignKey, doubts: Doubts) -> str:
    if not key.validated:
        return "inherited"
    if doubts.about(table.name, key.parent):
        return "waiting"
    raise TargetError(
        f'{table.name}: foreign key "{key.name}" does not hold: rows without their parent in "{key.parent}", '
        "and no row stands in quarantine",
        hint="somebody changed the tenant's schema while it was loaded; `consumer replay` writes the rows again",
    ) from None


def _join_parents(target: Target) -> None:
    """Let tables inherit as the source's do, now that no row is written any more."""
    present = set(inheritance(target))
    for table in target.catalogue.tables:
        for parent in table.inherits:
            if (table.name, parent) not in present:
                target.connection.execute(
                    f"ALTER TABLE {quote_ident(table.name)} INHERIT {quote_ident(parent)}".encode()
                )


def _unlogged(target: Target, table: Table) -> None:
    """Make a table unlogged as the source's is, once a crash can no longer lose rows that count as applied."""
    if not table.unlogged or table.partition_by is not None:
        return
    row = target.connection.execute(
        "SELECT c.relpersistence = 'p' FROM pg_class c WHERE c.oid = %s::regclass", (quote_ident(table.name),)
    ).fetchone()
    if row is not None and row[0]:
        target.connection.execute(f"ALTER TABLE {quote_ident(table.name)} SET UNLOGGED".encode())


def close_identities(target: Target, table: Table) -> None:
    """Make columns GENERATED ALWAYS again: all rows are in."""
    for name in definitions.always_columns(target.mappings[table.name]):
        target.connection.execute(
            f"ALTER TABLE {quote_ident(table.name)} ALTER COLUMN {quote_ident(name)} SET GENERATED ALWAYS".encode()
        )


def _uniques(target: Target, table: Table, doubts: Doubts, report: Report) -> None:
    mapping = target.mappings[table.name]
    wanted = (*definitions.unique_constraints(mapping), *definitions.indexes(mapping, unique=True))
    for item in wanted:
        if _relation_exists(target, item.name) or _constraint_exists(target, item):
            continue
        try:
            _run(target, item)
        except (errors.UniqueViolation, errors.ExclusionViolation):
            if not doubts.about(table.name):
                raise TargetError(
                    f'{table.name}: "{item.name}" does not hold in the target: two rows are equal in it',
                    hint="the target has rows that the source has not, or compares text by another collation",
                ) from None
            what = "the next generation" if doubts.is_followed else "the rows in quarantine"
            report(Notice(f'{table.name}: "{item.name}" waits for {what}'))


def _indexes(target: Target, table: Table, report: Report) -> None:
    mapping = target.mappings[table.name]
    changed = definitions.changed_columns(mapping)
    for item in definitions.indexes(mapping, unique=False):
        if _relation_exists(target, item.name):
            continue
        try:
            _run(target, item)
        except (errors.UndefinedFunction, errors.UndefinedObject, errors.DatatypeMismatch):
            if not definitions.mentions_any(item.statement, changed):
                raise
            report(Notice(f'{table.name}: index "{item.name}" is left out: its column has another type now'))


def _late_checks(target: Target, table: Table) -> None:
    for item in definitions.late_checks(target.mappings[table.name]):
        if not _constraint_exists(target, item):
            _run(target, item)


def _run(target: Target, item: Named) -> None:
    with attempt(target.connection):
        target.connection.execute(item.statement.encode())


def _relation_exists(target: Target, name: str) -> bool:
    row = target.connection.execute(
        "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        (target.schema, name),
    ).fetchone()
    return row is not None


def _constraint_exists(target: Target, item: Named) -> bool:
    row = target.connection.execute(
        """
        SELECT 1 FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE n.nspname = %s AND r.relname = %s AND c.conname = %s
        """,
        (target.schema, item.table, item.name),
    ).fetchone()
    return row is not None


def _sequences(target: Target) -> None:
    """Set each sequence past the rows that are there, whichever columns draw from it; never back."""
    drawing: dict[str, list[str]] = {}
    ours = relations(target) if target.is_ours else frozenset()
    for table in target.catalogue.tables:
        changed = definitions.changed_columns(target.mappings[table.name])
        for column in table.columns:
            if not column.sequence or column.name in changed or not _is_number(column.type):
                continue
            is_known = column.sequence in ours
            sequence = (
                quote_qualified(target.schema, column.sequence) if is_known else _sequence_of(target, table, column)
            )
            if sequence is not None:
                name = quote_ident(column.name)
                drawing.setdefault(sequence, []).append(
                    f"SELECT {name}::numeric AS v FROM {table.only}{quote_ident(table.name)}"
                )
    for sequence, columns in drawing.items():
        target.connection.execute(
            f"""
            SELECT setval({quote_literal(sequence)}::regclass,
                          CASE WHEN s.increment_by > 0 THEN greatest(t.most, s.last_value)
                               ELSE least(t.least, s.last_value) END::bigint)
            FROM (SELECT q.seqincrement AS increment_by, q.seqmin, q.seqmax,
                         coalesce(pg_sequence_last_value(q.seqrelid), q.seqstart) AS last_value
                  FROM pg_sequence q WHERE q.seqrelid = {quote_literal(sequence)}::regclass) AS s,
                 LATERAL (SELECT max(v) AS most, min(v) AS least FROM ({" UNION ALL ".join(columns)}) AS d
                          WHERE v BETWEEN s.seqmin AND s.seqmax) AS t
            WHERE t.most IS NOT NULL
            """.encode()
        )


def _is_number(type_: str) -> bool:
    return type_.partition("(")[0] in ("smallint", "integer", "bigint", "numeric")


def _sequence_of(target: Target, table: Table, column: Column) -> str | None:
    """The sequence behind a column, as text that names it; somebody else's schema may have another than ours."""
    row = target.connection.execute(
        "SELECT coalesce(pg_get_serial_sequence(%s, %s), to_regclass(%s)::text)",
        (quote_ident(table.name), column.name, quote_qualified(target.schema, column.sequence or "")),
    ).fetchone()
    return None if row is None else row[0]


def _grant(target: Target) -> None:
    if target.grant_to is None:
        return
    schema, role = quote_ident(target.schema), quote_ident(target.grant_to)
    target.connection.execute(
        f"""
        GRANT USAGE ON SCHEMA {schema} TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
        GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}
        """.encode()
    )
