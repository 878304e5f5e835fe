"""A tenant's schema in the target: what is to stand in it, and looks at what does."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from psycopg.pq import TransactionStatus

from runtime.postgres import Connection
from schemas.catalogue import Catalogue, Table
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


def relation_exists(target: Target, name: str) -> bool:
    """Whether something in the schema has this name."""
    row = target.connection.execute(
        """
        SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE n.nspname = %s AND c.relname = %s)
        """,
        (target.schema, name),
    ).fetchone()
    return row is not None and bool(row[0])


def relations(target: Target) -> frozenset[str]:
    """Names of all that stands in the schema."""
    rows = target.connection.execute(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s",
        (target.schema,),
    ).fetchall()
    return frozenset(name for (name,) in rows)


def attempt(connection: Connection) -> AbstractContextManager[object]:
    """Around one statement that may fail and be borne: a savepoint inside a transaction, else nothing more."""
    is_alone = connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE
    return nullcontext() if is_alone else connection.transaction()


def is_empty(target: Target, table: Table) -> bool:
    """Whether the table has no rows."""
    row = target.connection.execute(
        f"SELECT NOT EXISTS (SELECT FROM {quote_ident(table.name)} LIMIT 1)".encode()
    ).fetchone()
    return row is not None and bool(row[0])
