"""Pre-data: the tenant's schema with its types, tables and keys, ready to take rows.

The first of the target's three parts; `consumer.postdata` is the third. Everything is built from
the catalogue that the log carries, and every step looks first, so running it again changes nothing.
The caller holds the tenant's advisory lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import psycopg
from psycopg import errors

from consumer.aside import drop_secondary, leave_parents, open_identities, plain_key
from consumer.ours import BUILD_ANEW, see_ours
from consumer.own_parts import drop_own_parts
from consumer.partitions import make_partitions, see_partitions
from consumer.target import Target, is_empty, relation_exists, relations
from consumer.theirs import see_theirs
from runtime.postgres import explain, is_transient, use_schema
from runtime.rehearsal import find_lacking
from runtime.reporting import Notice, Report
from schemas import definitions
from schemas.catalogue import Table, UserType
from schemas.errors import Refused, TargetError
from schemas.sql import quote_ident


def pre_data(target: Target, report: Report) -> Mapping[str, bool]:
    """Make what is missing before rows can come; returns for each table whether it is empty.

    Raises:
        TargetError: a right, an extension or a role is missing.
        Refused: a table that is there differs from what the source has, or the target lacks what
            definitions call; all of it is listed.
    """
    connection = target.connection
    try:
        with connection.transaction():
            _see_role(target)
            if not _has_schema(target):  # looked first: IF NOT EXISTS asks for the right to create even then
                connection.execute(f"CREATE SCHEMA {quote_ident(target.schema)}".encode())
            if target.is_ours:
                _see_definitions(target)
            _extensions(target)
            use_schema(connection, target.schema)
            before = relations(target)
            if target.is_ours:
                _collations(target)
                for item in target.catalogue.types:
                    _type(target, item)
                for table in target.catalogue.tables:
                    _table(target, table, before, report)
                see_partitions(target)
                there = [table for table in target.catalogue.tables if table.name in before]
                drop_secondary(target, there)
                drop_own_parts(target)
                leave_parents(target)
                for table in there:
                    plain_key(target, table)
        if target.is_ours:
            see_ours(target)
        else:
            empty = {item.name: is_empty(target, item) for item in target.catalogue.tables if item.name in before}
            see_theirs(connection, target.schema, target.catalogue, target.mappings, empty)
        open_identities(target, *target.catalogue.tables)
        return {item.name: item.name not in before or is_empty(target, item) for item in target.catalogue.tables}
    except (errors.DuplicateTable, errors.DuplicateObject) as error:
        # a table renamed at the source, whose key kept its name; its message names things, no values
        raise Refused(
            f'schema "{target.schema}" was built from another catalogue: {error.diag.message_primary}',
            hint=BUILD_ANEW,
        ) from None
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


def _see_definitions(target: Target) -> None:
    """Also those that come after the rows: hours of loading must not end at an index that cannot be made."""
    try:
        lacking = find_lacking(target.connection, target.catalogue, target.mappings, target.schema)
    except errors.InsufficientPrivilege:
        return  # it may make no schema to try them in; each is tried in its time
    if lacking:
        raise Refused(
            f'schema "{target.schema}" cannot be made as the source is; the target lacks something for:\n  '
            + "\n  ".join(map(str, lacking)),
            hint=f"make what is missing in the target (functions of the tenant's own in schema {quote_ident(target.schema)}), "
            "and start again; or leave defaults, checks and indexes out by name, each with a reason, under "
            "[table.NAME.leave_out] of the migration: the snapshot stays good",
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


def _table(target: Target, table: Table, before: Collection[str], report: Report) -> None:
    connection, mapping = target.connection, target.mappings[table.name]
    if table.name in before:
        make_partitions(target, table)
        return
    for column in definitions.serial_columns(table):
        if column.sequence not in before and not relation_exists(target, column.sequence or ""):
            connection.execute(definitions.create_sequence(column).encode())
    connection.execute(definitions.create_table(mapping, server_version=connection.info.server_version).encode())
    make_partitions(target, table)
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
