"""A schema that somebody else made: looked at as a whole, and refused with all that it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from consumer.fitting import missing_statements
from consumer.standing import Found
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
        schema=schema,
        relations=frozenset(name for (name,) in relations),
        collations=frozenset(name for (name,) in collations),
        with_rows=frozenset(name for name, is_empty in empty.items() if not is_empty),
        disturbing=_disturbing(connection, schema),
        server_version=connection.info.server_version,
    )
    statements = missing_statements(catalogue, mappings, found)
    if statements:
        path = f"SET search_path TO {quote_ident(schema)}, public;"
        raise Refused(
            f'schema "{schema}" cannot take the tenant\'s rows; it would with these statements:\n  '
            + "\n  ".join((path, *statements)),
            hint="run them in the target and start again, or let the replicator build a schema of its own; "
            "triggers, rules and row security may be enabled again afterwards",
        )


def _disturbing(connection: Connection, schema: str) -> Mapping[str, tuple[str, ...]]:
    """What would change, hide or refuse rows when they come, by table, as the statements that end it."""
    rows = connection.execute(
        """
        SELECT relname::text, array_agg(statement ORDER BY place, statement) FROM (
            SELECT c.relname, 1 AS place, format('ALTER TABLE %%I DISABLE TRIGGER %%I', c.relname, t.tgname) AS statement
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
            UNION ALL
            SELECT c.relname, 2, format('ALTER TABLE %%I DISABLE RULE %%I', c.relname, r.rulename)
            FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
            WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p') AND r.ev_enabled IN ('O', 'A')
            UNION ALL
            SELECT c.relname, 3, format('ALTER TABLE %%I DISABLE ROW LEVEL SECURITY', c.relname)
            FROM pg_class c WHERE c.relnamespace = %(schema)s::regnamespace AND row_security_active(c.oid)
            UNION ALL
            SELECT c.relname, 4, format('GRANT %%s ON %%I TO %%I', string_agg(needed, ', ' ORDER BY needed), c.relname, current_user)
            FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS needed
            WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p')
              AND NOT has_table_privilege(c.oid, needed)
            GROUP BY c.relname
        ) AS found GROUP BY 1
        """,
        {"schema": quote_ident(schema)},
    ).fetchall()
    return {table: tuple(statements) for table, statements in rows}
