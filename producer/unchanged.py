"""The proof that what was published of a table is still what the source shows, without reading it again.

Rows: whatever was committed since the old snapshot, or was under way then, has a transaction id from the
old snapshot's xmin on, savepoints included. A row that the new snapshot shows with an older xmin was
therefore in the old one as it is. When there are as many of them as were published, they are those.

Definitions: a table may also show other cells or other rows though no row was written: a column dropped and
made anew, another table or partition under the old name. Each of these writes a newer row into PostgreSQL's
own catalogue. VACUUM FULL, CLUSTER, FREEZE, ANALYZE, GRANT and locks write none that is looked at.
"""

from __future__ import annotations

import psycopg

from producer.read import key_comparison
from runtime.postgres import Connection, explain
from schemas.catalogue import Table
from schemas.control import TableState

# After so many transactions a 32-bit xmin no longer tells old from new.
_COMPARABLE_XIDS = 2**31

_NOW = "(SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax)"

_REDEFINED = """
WITH RECURSIVE now AS MATERIALIZED {now},
tree AS (
    SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = %(table)s
    UNION
    SELECT c.oid, c.relkind FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid JOIN pg_class c ON c.oid = i.inhrelid
    WHERE tree.relkind = 'p'),
types AS (
    SELECT a.atttypid AS oid FROM tree JOIN pg_attribute a ON a.attrelid = tree.oid AND a.attnum > 0
    UNION
    SELECT made_of.oid FROM types JOIN pg_type t ON t.oid = types.oid CROSS JOIN LATERAL (
        SELECT t.typelem AS oid UNION ALL SELECT t.typbasetype
        UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
        UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0) AS made_of),
shapes AS (
    SELECT oid FROM tree UNION SELECT t.typrelid FROM types JOIN pg_type t ON t.oid = types.oid WHERE t.typrelid <> 0),
written AS (
    SELECT a.xmin FROM pg_attribute a WHERE a.attrelid IN (SELECT oid FROM shapes) AND a.attnum > 0
    UNION ALL
    SELECT t.xmin FROM pg_type t WHERE t.typrelid IN (SELECT oid FROM tree)
    UNION ALL
    SELECT i.xmin FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid WHERE tree.relkind = 'p')
SELECT count(*) FILTER (WHERE {newer}) FROM written AS t
"""


def is_unchanged(connection: Connection, table: Table, rows_of: str, state: TableState, old_snapshot: str) -> bool:
    """Whether the table, or its rows up to the last key published, are the same as in the old snapshot."""
    oldest = snapshot_xmin(old_snapshot)
    last_key = () if state.is_finished else state.last_key
    within = f" WHERE {key_comparison(table, '<=', last_key)}" if last_key else ""
    rows = f"""
        WITH now AS MATERIALIZED {_NOW}
        SELECT count(*), count(*) FILTER (WHERE {_newer(oldest)}), (SELECT xmax FROM now)
        FROM {rows_of} AS t{within}
    """
    redefined = _REDEFINED.format(now=_NOW, newer=_newer(oldest).replace("%", "%%"))
    try:
        row = connection.execute(redefined.encode(), {"schema": table.schema, "table": table.name}).fetchone()
        if row is None or row[0]:
            return False
        row = connection.execute(rows.encode()).fetchone()
    except psycopg.Error as error:
        raise explain(error, f'table "{table.name}": looking for changes', side="source") from None
    assert row is not None
    found, newer, xmax = row
    return _is_same(state.rows, found, newer, xmax - oldest)


def snapshot_xmin(snapshot: str) -> int:
    """The oldest transaction that the snapshot did not see as ended.

    >>> snapshot_xmin("795:799:795,797")
    795
    """
    return int(snapshot.split(":", 1)[0])


def snapshot_xmax(snapshot: str) -> int:
    """The first transaction that had not begun, or not ended, for the snapshot.

    >>> snapshot_xmax("795:799:795,797")
    799
    """
    return int(snapshot.split(":", 2)[1])


def _newer(oldest: int) -> str:
    """SQL: whether the row `t` was written by that transaction or a later one; its xmin lacks the upper half."""
    xmax = "(SELECT xmax FROM now)"
    return f"{xmax} - (({xmax} - t.xmin::text::bigint) & 4294967295) >= {oldest}"


def _is_same(rows: int, found: int, newer: int, xids_since: int) -> bool:
    return found == rows and newer == 0 and xids_since < _COMPARABLE_XIDS
