"""The oracle: what differs between a source and the tenant's schema, found without any of the product.

Rows are compared as multisets of PostgreSQL's own text, which is `EXCEPT ALL` both ways across two
databases; definitions by catalogue queries of this module's own. It neither imports nor asks the
programs, so that an error of theirs cannot hide itself here.

    differences(source_url, target_url, schemas={"public": "tenant_x"})   # [] when nothing differs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

SETTINGS = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "client_encoding": "UTF8",
    "row_security": "off",
    "quote_all_identifiers": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
SHOWN_ROWS = 3
SHOWN_CHARACTERS = 300

TABLES = """
SELECT c.relname::text, c.relkind::text, c.relispartition,
       coalesce(pg_get_partkeydef(c.oid), ''), coalesce(pg_get_expr(c.relpartbound, c.oid), ''),
       ARRAY(SELECT p.relname::text FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
             WHERE i.inhrelid = c.oid ORDER BY i.inhseqno)
FROM pg_class c WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p')
"""
COLUMNS = """
SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       coalesce(pg_get_expr(d.adbin, d.adrelid), ''), a.attidentity::text, a.attgenerated::text,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text ELSE '' END
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
# NOT NULL is compared with the columns: only PostgreSQL 18 has constraints for it.
CONSTRAINTS = """
SELECT c.relname::text, k.conname::text, pg_get_constraintdef(k.oid), k.condeferrable, k.condeferred
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p') AND k.contype IN ('p', 'u', 'f', 'c', 'x')
"""
INDEXES = """
SELECT c.relname::text, i.relname::text,
       replace(replace(pg_get_indexdef(i.oid), format(' ON %%I.%%I', n.nspname, c.relname), format(' ON %%I', c.relname)),
               format(' ON ONLY %%I.%%I', n.nspname, c.relname), format(' ON ONLY %%I', c.relname))
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.oid = %s::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.oid AND k.contype IN ('p', 'u', 'x'))
"""
TYPES = """
SELECT t.typname::text, t.typtype::text,
       CASE t.typtype
       WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                      FROM pg_enum e WHERE e.enumtypid = t.oid)
       WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), t.typcollation::regcollation,
                      t.typdefault, t.typnotnull, (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
                      FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
       WHEN 'c' THEN (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                             || ' ' || a.attcollation::regcollation::text, ', ' ORDER BY a.attnum)
                      FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
       ELSE (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), r.rngcollation::regcollation, o.opcname, r.rngsubdiff)
             FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid)
       END
FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.typnamespace = %s::regnamespace AND t.typtype IN ('e', 'd', 'c', 'r') AND coalesce(c.relkind, 'c') = 'c'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
"""
SEQUENCES = """
SELECT c.relname::text, a.attname::text, s.oid::regclass::text
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_class c ON c.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  AND c.relnamespace = %s::regnamespace AND q.seqincrement > 0 AND NOT q.seqcycle
"""

Connection = psycopg.Connection[tuple[Any, ...]]
Named = dict[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Side:
    """One schema of one database: its connection and what its catalogue says."""

    connection: Connection
    schema: str
    tables: Named
    columns: dict[str, Named]
    constraints: dict[str, Named]
    indexes: dict[str, Named]
    types: Named


def differences(
    source_url: str,
    target_url: str,
    *,
    schemas: Mapping[str, str],
    tables: Collection[str] | None = None,
    ignore_columns: Collection[str] = ("migrated_at",),
    except_columns: Collection[tuple[str, str]] = (),
) -> list[str]:
    """Everything that differs, as sentences: rows, columns, constraints, indexes, types, sequences left behind.

    `schemas` says the target's schema for each of the source's. `ignore_columns` are the target's own;
    `except_columns` (table, column) stand on both sides and are not looked at: what is encrypted.
    Types count only as far as the target has them: a column's type names those that it needs.
    """
    found: list[str] = []
    with ExitStack() as stack:
        source_connection, target_connection = (
            stack.enter_context(_connect(url, path))
            for url, path in ((source_url, tuple(schemas)), (target_url, tuple(dict.fromkeys(schemas.values()))))
        )
        there: dict[str, set[str]] = {}
        for old, new in schemas.items():
            source, target = _side(source_connection, old), _side(target_connection, new)
            for table, column in except_columns:
                for side in (source, target):
                    side.columns.get(table, {}).pop(column, None)
            there.setdefault(new, set()).update(source.tables)
            names = sorted(name for name in source.tables if tables is None or name in tables)
            for name in names:
                found += _of_table(source, target, name, ignore_columns)
            found += [
                f'type "{name}": {source.types.get(name)} became {definition}'
                for name, definition in target.types.items()
                if name in source.types and source.types[name] != definition
            ]
        for new, expected in there.items():
            target = _side(target_connection, new)
            if tables is None:
                found += [f'"{name}": only in the target' for name in sorted(target.tables.keys() - expected)]
            found += _sequences_behind(target, expected if tables is None else expected & set(tables))
    return found


def _of_table(source: Side, target: Side, name: str, ignored: Collection[str]) -> list[str]:
    if name not in target.tables:
        return [f'"{name}": not in the target']
    found: list[str] = []
    if source.tables[name] != target.tables[name]:
        found.append(f'"{name}": {source.tables[name]} became {target.tables[name]}')
    old, new = source.columns.get(name, {}), target.columns.get(name, {})
    kept = {column: facts for column, facts in new.items() if column in old or column not in ignored}
    found += _of_names(f'"{name}" column', old, kept)
    found += _of_names(f'"{name}" constraint', source.constraints.get(name, {}), target.constraints.get(name, {}))
    found += _of_names(f'"{name}" index', source.indexes.get(name, {}), target.indexes.get(name, {}))
    both = [column for column in old if column in new]
    before, after = _rows(source, name, both), _rows(target, name, both)
    for rows, where in ((before - after, "source"), (after - before, "target")):
        if rows:
            shown = "; ".join(line.decode()[:SHOWN_CHARACTERS] for line in list(rows)[:SHOWN_ROWS])
            found.append(f'"{name}": {rows.total()} rows only in the {where}: {shown}')
    return found


def _of_names(what: str, old: Named, new: Named) -> list[str]:
    return [
        f'{what} "{name}": {old.get(name, "nothing")} became {new.get(name, "nothing")}'
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def _rows(side: Side, table: str, columns: Sequence[str]) -> Counter[bytes]:
    """The table's own rows (not its children's), each as the line that COPY prints."""
    kind, facts = side.tables[table][0], side.columns[table] if columns else {}
    query = sql.SQL("COPY (SELECT {} FROM {} {}) TO STDOUT").format(
        sql.SQL(", ").join(_cell(column, facts[column][0], side.types) for column in columns),
        sql.SQL("" if kind == "p" else "ONLY"),
        sql.Identifier(side.schema, table),
    )
    with side.connection.cursor() as cursor, cursor.copy(query) as copy:
        return Counter(map(bytes, copy))


def _cell(column: str, type_: str, types: Named) -> sql.Composable:
    """A cell as its output function prints it; xml as its cast does, because output drops the declaration."""
    name, element = sql.Identifier(column), type_.removesuffix("[]")
    kind, definition = types.get(element, ("", ""))
    if element == "xml" or (kind == "d" and definition.split()[0] == "xml"):
        return sql.SQL("{}::text{}").format(name, sql.SQL(type_.removeprefix(element)))
    return name


def _sequences_behind(target: Side, tables: Collection[str]) -> list[str]:
    found = []
    for table, column, sequence in target.connection.execute(SEQUENCES, (_quoted(target.schema),)).fetchall():
        if table not in tables:
            continue
        row = target.connection.execute(
            sql.SQL("SELECT last_value + is_called::int <= (SELECT max({}) FROM {}) FROM {}").format(
                sql.Identifier(column),
                sql.Identifier(target.schema, table),
                sql.SQL(sequence),
            )
        ).fetchone()
        if row is not None and row[0]:
            found.append(f'"{table}" column "{column}": its sequence would give a value that a row has')
    return found


def _side(connection: Connection, schema: str) -> Side:
    def ask(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query.encode(), (_quoted(schema),)).fetchall()

    return Side(
        connection,
        schema,
        {name: tuple(facts) for name, *facts in ask(TABLES)},
        _by_table(ask(COLUMNS)),
        _by_table(ask(CONSTRAINTS)),
        _by_table(ask(INDEXES)),
        {name: tuple(facts) for name, *facts in ask(TYPES)},
    )


def _by_table(rows: Sequence[tuple[Any, ...]]) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for table, name, *facts in rows:
        found.setdefault(table, {})[name] = tuple(facts)
    return found


def _quoted(schema: str) -> str:
    doubled = schema.replace('"', '""')
    return f'"{doubled}"'


def _connect(url: str, path: Sequence[str]) -> Connection:
    connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
    for name, value in SETTINGS.items():
        setting = sql.SQL(value) if name == "DateStyle" else sql.Literal(value)
        connection.execute(sql.SQL("SET {} TO {}").format(sql.SQL(name), setting))
    names = list(dict.fromkeys([*path, "public"]))
    connection.execute(sql.SQL("SET search_path TO {}").format(sql.SQL(", ").join(map(sql.Identifier, names))))
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    connection.autocommit = False  # one snapshot from here on
    return connection
