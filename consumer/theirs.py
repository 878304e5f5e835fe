"""A schema that somebody else made: looked at as a whole, and refused with all that it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from consumer.fitting import Found, missing_statements
from runtime.introspect import read_survey
from runtime.postgres import Connection
from schemas.catalogue import Catalogue, TypeKind, UserType
from schemas.errors import Refused
from schemas.mapping import TableMapping
from schemas.sql import quote_ident


def see_theirs(
    connection: Connection,
    schema: str,
    catalogue: Catalogue,
    mappings: Mapping[str, TableMapping],
    empty: Mapping[str, bool],
) -> None:
    """See that the schema can take the tenant's rows.

    Raises:
        Refused: it cannot; the statements that would make it fit are listed, in an order that psql can run.
    """
    survey = read_survey(connection, [schema], side="target")
    relations = connection.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s", (schema,)
    ).fetchall()
    collations = connection.execute(
        "SELECT c.collname FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE n.nspname = %s",
        (schema,),
    ).fetchall()
    found = Found(
        tables={table.name: table for table in survey.tables},
        types={
            item.name: UserType(
                name=item.name,
                kind=cast("TypeKind", item.kind),
                definition=item.definition or "",
                labels=item.labels,
            )
            for item in survey.types.values()
            if item.schema == schema
        },
        relations=frozenset(name for (name,) in relations),
        collations=frozenset(name for (name,) in collations),
        with_rows=frozenset(name for name, is_empty in empty.items() if not is_empty),
        triggers=_triggers(connection, schema),
        server_version=connection.info.server_version,
    )
    statements = missing_statements(catalogue, mappings, found)
    if statements:
        path = f"SET search_path TO {quote_ident(schema)}, public;"
        raise Refused(
            f'schema "{schema}" cannot take the tenant\'s rows; it would with these statements:\n  '
            + "\n  ".join((path, *statements)),
            hint="run them in the target and start again, or let the replicator build a schema of its own; "
            "triggers may be enabled again afterwards",
        )


def _triggers(connection: Connection, schema: str) -> Mapping[str, tuple[str, ...]]:
    """Triggers that fire when rows come, by table: they would change rows, or write other tables' rows."""
    rows = connection.execute(
        """
        SELECT c.relname, array_agg(t.tgname::text ORDER BY t.tgname) FROM pg_trigger t
        JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') GROUP BY 1
        """,
        (schema,),
    ).fetchall()
    return {table: tuple(names) for table, names in rows}
