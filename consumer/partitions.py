"""Partitions of our tables: made as in the source, and refused when the source has others by now."""

from __future__ import annotations

from psycopg import errors

from consumer.ours import BUILD_ANEW
from consumer.target import Target, relation_exists
from schemas import definitions
from schemas.catalogue import Table
from schemas.errors import Refused


def make_partitions(target: Target, table: Table) -> None:
    """Make what partitions of the table are missing."""
    for item in definitions.create_partitions(table):
        if relation_exists(target, item.name):
            continue
        try:
            with target.connection.transaction():
                target.connection.execute(item.statement.encode())
        except (errors.CheckViolation, errors.InvalidObjectDefinition):
            raise _other_partitions(target, table) from None


def see_partitions(target: Target) -> None:
    """See that each partition has the bound that the source says.

    Raises:
        Refused: one has another.
    """
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
        hint=f"{BUILD_ANEW}; or change its partitions by hand",
    )
