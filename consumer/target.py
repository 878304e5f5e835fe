"""Pre-data: the tenant's schema with its types, tables and keys, ready to take rows.

The first of the target's three parts; `consumer.postdata` is the third. Everything is built from
the catalogue that the log carries, and every step looks first, so running it again changes nothing.
The caller holds the tenant's advisory lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import errors

from consumer import definitions
from consumer.theirs import see_theirs
from runtime.postgres import Connection, explain, is_transient, use_schema
from runtime.reporting import Notice, Report
from schemas.catalogue import Catalogue, Key, Table, UserType
from schemas.errors import Refused, TargetError
from schemas.mapping import TableMapping
from schemas.sql import quote_ident


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A tenant's schema in the target, and what is to stand in it.

    `is_ours` is false for a schema that somebody else made: it is used with its constraints on.
    """

    connection: Connection
    schema: str
    catalogue: Catalogue
    mappings: Mapping[str, TableMapping]
    is_ours: bool
    grant_to: str | None = None


def schema_is_ours(connection: Connection, schema: str) -> bool:
    """Whether we are the ones to build this schema: it does not exist, or nothing stands in it."""
    row = connection.execute(
        """
        SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s)
        """,
        (schema,),
    ).fetchone()
    return row is None or not row[0]


def pre_data(target: Target, report: Report) -> Mapping[str, bool]:
    """Make what is missing before rows can come; returns for each table whether it is empty.

    Raises:
        TargetError: a right, an extension or a role is missing.
        Refused: a table that is there differs from what the source has.
    """
    connection = target.connection
    try:
        with connection.transaction():
            _see_role(target)
            if not _has_schema(target):  # looked first: IF NOT EXISTS asks for the right to create even then
                connection.execute(f"CREATE SCHEMA {quote_ident(target.schema)}".encode())
            _extensions(target)
            use_schema(connection, target.schema)
            if target.is_ours:
                _collations(target)
                for item in target.catalogue.types:
                    _type(target, item)
                for table in target.catalogue.tables:
                    _table(target, table, report)
                _see_partitions(target)
                _drop_secondary(target)
                _leave_parents(target)
                for table in target.catalogue.tables:
                    _plain_key(target, table)
        _see_fitting(target)
        for table in target.catalogue.tables:
            open_identities(target, table)
        return {table.name: _is_empty(target, table) for table in target.catalogue.tables}
    except psycopg.Error as error:
        if is_transient(error):
            raise
        raise explain(error, f'schema "{target.schema}": pre-data') from None


def _has_schema(target: Target) -> bool:
    found = target.connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (target.schema,)).fetchone()
    return found is not None


def _see_role(target: Target) -> None:
    """Now, not after hours of loading."""
    if target.grant_to is None:
        return
    found = target.connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (target.grant_to,)).fetchone()
    if found is None:
        raise TargetError(
            f'role "{target.grant_to}" of grant_to does not exist in the target',
            hint=f"CREATE ROLE {quote_ident(target.grant_to)}, or take grant_to out of the migration",
        )


def _extensions(target: Target) -> None:
    for name in target.catalogue.extensions:
        if target.connection.execute("SELECT 1 FROM pg_extension WHERE extname = %s", (name,)).fetchone():
            continue
        try:
            with target.connection.transaction():
                target.connection.execute(f"CREATE EXTENSION IF NOT EXISTS {quote_ident(name)} SCHEMA public")
        except psycopg.Error as error:
            raise TargetError(
                f'the source\'s types need extension "{name}", which cannot be made in the target '
                f"(SQLSTATE {error.sqlstate})",
                hint=f"let an administrator run CREATE EXTENSION {quote_ident(name)} in the target database",
            ) from None


def _collations(target: Target) -> None:
    rows = target.connection.execute(
        "SELECT c.collname::text FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE n.nspname = %s",
        (target.schema,),
    ).fetchall()
    present = {name for (name,) in rows}
    for item in target.catalogue.collations:
        if item.name not in present:
            target.connection.execute(f"CREATE COLLATION {quote_ident(item.name)} {item.definition}".encode())


def _leave_parents(target: Target) -> None:
    """Take our tables out of their inheritance: while rows come, a statement over a table must mean that table."""
    for child, parent in inheritance(target):
        target.connection.execute(f"ALTER TABLE {quote_ident(child)} NO INHERIT {quote_ident(parent)}".encode())


def inheritance(target: Target) -> list[tuple[str, str]]:
    """Which table inherits from which now, partitions aside."""
    return target.connection.execute(
        """
        SELECT c.relname::text, p.relname::text FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND p.relkind = 'r' AND NOT c.relispartition ORDER BY 1, i.inhseqno
        """,
        (target.schema,),
    ).fetchall()


def _type(target: Target, item: UserType) -> None:
    row = target.connection.execute(
        """
        SELECT (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = %s AND t.typname = %s
        """,
        (target.schema, item.name),
    ).fetchone()
    if row is None:
        target.connection.execute(definitions.create_type(item).encode())
    elif item.kind == "enum":
        for statement in definitions.missing_labels(item, row[0] or ()):
            target.connection.execute(statement.encode())


def _table(target: Target, table: Table, report: Report) -> None:
    connection, mapping = target.connection, target.mappings[table.name]
    if _regclass(target, table.name):
        _partitions(target, table)
        return
    for column in definitions.serial_columns(table):
        if not _regclass(target, column.sequence or ""):
            connection.execute(definitions.create_sequence(column).encode())
    connection.execute(definitions.create_table(mapping, server_version=connection.info.server_version).encode())
    _partitions(target, table)
    if table.key_index is not None:
        connection.execute(table.key_index.definition.encode())
    for column in definitions.serial_columns(table):
        if not column.owns_sequence:
            continue
        connection.execute(
            f"ALTER SEQUENCE {quote_ident(column.sequence or '')} "
            f"OWNED BY {quote_ident(table.name)}.{quote_ident(column.name)}".encode()
        )
    for name in definitions.dropped(mapping):
        report(Notice(f'{table.name}: "{name}" is left out, because it is over a column that is encrypted or changed'))


def _partitions(target: Target, table: Table) -> None:
    for item in definitions.create_partitions(table):
        if _regclass(target, item.name):
            continue
        try:
            with target.connection.transaction():
                target.connection.execute(item.statement.encode())
        except (errors.CheckViolation, errors.InvalidObjectDefinition):
            raise _other_partitions(target, table) from None


def _see_partitions(target: Target) -> None:
    wanted = {(item.name, item.bound): table for table in target.catalogue.tables for item in table.partitions}
    if not wanted:
        return
    rows = target.connection.execute(
        """
        SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relispartition
        """,
        (target.schema,),
    ).fetchall()
    for key in wanted.keys() - set(rows):
        raise _other_partitions(target, wanted[key])


def _other_partitions(target: Target, table: Table) -> Refused:
    return Refused(
        f'schema "{target.schema}": "{table.name}" is partitioned otherwise than in the source by now',
        hint="`consumer rollback`, then `consumer run` builds it anew from the log; or change its partitions by hand",
    )


def open_identities(target: Target, table: Table) -> None:
    """Let upserts write the columns that are GENERATED ALWAYS; post-data closes them again."""
    rows = target.connection.execute(
        """
        SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s AND a.attidentity = 'a' AND NOT a.attisdropped
        """,
        (target.schema, table.name),
    ).fetchall()
    for (name,) in rows:
        target.connection.execute(
            f"ALTER TABLE {quote_ident(table.name)} ALTER COLUMN {quote_ident(name)} SET GENERATED BY DEFAULT".encode()
        )


def _regclass(target: Target, name: str) -> bool:
    row = target.connection.execute(
        """
        SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE n.nspname = %s AND c.relname = %s)
        """,
        (target.schema, name),
    ).fetchone()
    return row is not None and bool(row[0])


def _drop_secondary(target: Target) -> None:
    """Take down our own foreign keys, unique keys and late checks until the rows are in.

    Checked row by row, a swap of two unique values or a forward self-reference would put good
    rows into quarantine. A unique key that a table outside this generation points at stays.
    """
    _drop_foreign_keys(target)
    for table in target.catalogue.tables:
        mapping = target.mappings[table.name]
        key = definitions.key_constraint(table)
        late = [item.name for item in definitions.late_checks(mapping)]
        rows = target.connection.execute(
            """
            SELECT c.conname FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
            JOIN pg_namespace n ON n.oid = r.relnamespace
            WHERE n.nspname = %(schema)s AND r.relname = %(table)s AND c.conname IS DISTINCT FROM %(key)s
              AND c.conparentid = 0
              AND (c.contype IN ('p', 'u', 'x') OR c.contype = 'c' AND c.conname = ANY (%(late)s))
              AND NOT EXISTS (SELECT FROM pg_constraint f JOIN pg_class o ON o.oid = f.conrelid
                              WHERE f.contype = 'f' AND f.conindid = c.conindid AND c.contype IN ('p', 'u', 'x')
                                AND o.relname <> ALL (%(tables)s))
            ORDER BY c.contype
            """,
            {
                "schema": target.schema,
                "table": table.name,
                "key": key.name if key else None,
                "late": late,
                "tables": [item.name for item in target.catalogue.tables],
            },
        ).fetchall()
        for (name,) in rows:
            target.connection.execute(
                f"ALTER TABLE {quote_ident(table.name)} DROP CONSTRAINT IF EXISTS {quote_ident(name)} CASCADE".encode()
            )
        for index in definitions.indexes(mapping, unique=True):
            if not _is_pointed_at(target, index.name):
                target.connection.execute(f"DROP INDEX IF EXISTS {quote_ident(index.name)}".encode())


def _drop_foreign_keys(target: Target) -> None:
    rows = target.connection.execute(
        """
        SELECT r.relname::text, c.conname::text FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
        JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE n.nspname = %s AND r.relname = ANY (%s) AND c.contype = 'f' AND c.conparentid = 0 ORDER BY 1, 2
        """,
        (target.schema, [table.name for table in target.catalogue.tables]),
    ).fetchall()
    for table, name in rows:
        target.connection.execute(f"ALTER TABLE {quote_ident(table)} DROP CONSTRAINT {quote_ident(name)}".encode())


def _is_pointed_at(target: Target, index: str) -> bool:
    row = target.connection.execute(
        """
        SELECT EXISTS (SELECT FROM pg_constraint f JOIN pg_class i ON i.oid = f.conindid
                       JOIN pg_namespace n ON n.oid = i.relnamespace
                       WHERE f.contype = 'f' AND n.nspname = %s AND i.relname = %s)
        """,
        (target.schema, index),
    ).fetchone()
    return row is not None and bool(row[0])


def _plain_key(target: Target, table: Table) -> None:
    """Make a deferrable key of ours a plain one: nothing can be upserted by it otherwise. Post-data puts it back."""
    key = definitions.key_constraint(table)
    if key is None or _state_of(target, table, key.name) != (True,):
        return
    _replace_key(target, table, key)


def swap_deferrable_key(target: Target, table: Table) -> None:
    """Make the key as deferrable as the source's."""
    key = table.primary_key
    if key is not None and key.deferrable and _state_of(target, table, key.name) == (False,):
        _replace_key(target, table, key)


def _state_of(target: Target, table: Table, name: str) -> tuple[bool] | None:
    return target.connection.execute(
        """
        SELECT c.condeferrable FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
        JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE n.nspname = %s AND r.relname = %s AND c.conname = %s
        """,
        (target.schema, table.name, name),
    ).fetchone()


def _replace_key(target: Target, table: Table, key: Key) -> None:
    name = quote_ident(key.name)
    target.connection.execute(
        f"ALTER TABLE {quote_ident(table.name)} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {key.definition}".encode()
    )


def _is_empty(target: Target, table: Table) -> bool:
    row = target.connection.execute(
        f"SELECT NOT EXISTS (SELECT FROM {quote_ident(table.name)} LIMIT 1)".encode()
    ).fetchone()
    return row is not None and bool(row[0])


def _see_fitting(target: Target) -> None:
    """Compare each table with what is to be written into it; say everything at once."""
    if not target.is_ours:
        empty = {
            table.name: _is_empty(target, table) for table in target.catalogue.tables if _regclass(target, table.name)
        }
        see_theirs(target.connection, target.schema, target.catalogue, target.mappings, empty)
        return
    found = _found_columns(target)
    problems: list[str] = []
    for table in target.catalogue.tables:
        problems += _differences(target.mappings[table.name], found.get(table.name, {}))
    if problems:
        raise Refused(
            f'schema "{target.schema}" was built from another catalogue:\n  ' + "\n  ".join(problems),
            hint="`consumer rollback`, then `consumer run` builds it anew from the log",
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
