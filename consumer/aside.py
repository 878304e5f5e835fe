"""What stands aside in our own tables while rows come: all that a good row could break before all are there."""

from __future__ import annotations

from collections.abc import Iterable

from consumer.target import Target
from schemas import definitions
from schemas.catalogue import Key, Table
from schemas.sql import quote_ident


def drop_secondary(target: Target, tables: Iterable[Table]) -> None:
    """Take down our own foreign keys, and unique keys and late checks of these tables, until the rows are in.

    Checked row by row, a swap of two unique values or a forward self-reference would put good
    rows into quarantine. A unique key that a table outside this generation points at stays.
    """
    _drop_foreign_keys(target)
    for table in tables:
        mapping = target.mappings[table.name]
        key = definitions.key_constraint(table)
        late = [item.name for item in definitions.late_checks(mapping)]
        rows = target.connection.execute(
            """
            SELECT c.conname FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
            JOIN pg_namespace n ON n.oid = r.relnamespace
            WHERE n.nspname = %(schema)s AND r.relname = %(table)s AND c.conname IS DISTINCT FROM %(key)s
              AND c.conparentid = 0
              AND (c.contype IN ('p', 'u', 'x') OR c.contype IN ('c', 'n') AND c.conname = ANY (%(late)s))
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


def plain_key(target: Target, table: Table) -> None:
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


def leave_parents(target: Target) -> None:
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


def open_identities(target: Target, *tables: Table) -> None:
    """Let upserts write the columns that are GENERATED ALWAYS; post-data closes them again."""
    rows = target.connection.execute(
        """
        SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = ANY (%s) AND a.attidentity = 'a' AND NOT a.attisdropped
        """,
        (target.schema, [table.name for table in tables]),
    ).fetchall()
    for table, name in rows:
        target.connection.execute(
            f"ALTER TABLE {quote_ident(table)} ALTER COLUMN {quote_ident(name)} SET GENERATED BY DEFAULT".encode()
        )
