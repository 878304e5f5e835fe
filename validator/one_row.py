"""One row by its key on both sides, in the target's terms: what `validator explain` compares.

Values stay in memory; errors never repeat the key that was typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from runtime.keyring import Keyring
from runtime.postgres import Connection, Side, is_row_fault
from runtime.postgres import explain as explain_error
from schemas.catalogue import Column
from schemas.errors import ConfigurationError
from schemas.pgtypes import text_expression
from schemas.snapshots import NOW_SQL, full_xid_sql
from schemas.sql import quote_ident, quote_literal
from validator.cells import Opener
from validator.fetch import rows_by_key
from validator.instants import NEVER_REPLACED, NOT_OF_A_LOAD
from validator.plan import TablePlan
from validator.reason import UNDECRYPTABLE
from validator.sides import named_errors

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRow:
    """The row on one side; `stamp` is the transaction that wrote it at the source, its instant in the target.

    `count` is how many rows of that side have the key. `instant_fault` says what is wrong with the instant; "" when
    nothing is.
    """

    key: Key
    cells: dict[str, str | None] = field(repr=False)
    stamp: str
    count: int
    instant_fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSides:
    """Where one row of a table is looked for; without a keyring encrypted cells are left out."""

    source: Connection
    target: Connection
    plan: TablePlan
    keyring: Keyring | None
    tenant: str
    strange: tuple[str, str] = ("", "")  # SQL over `t` of the target: has an instant of no load, one beyond all

    def printed(self, typed: Key) -> Key:
        """The key as PostgreSQL prints it.

        Raises:
            ConfigurationError: another number of columns, or no value of their types; also one that the
                type would cut or round, because that is the key of another row.
        """
        table, names = self.plan.table, self.plan.table.key
        if len(typed) != len(names):
            raise ConfigurationError(
                f'the key of "{table.name}" has {len(names)} columns ({", ".join(names)}), {len(typed)} were given',
                hint="give each as an argument of its own; after -- where one begins with a dash",
            )
        columns = [table.column(name) for name in names]
        types = ", ".join(column.type for column in columns)
        no_value = ConfigurationError(f'the key of "{table.name}" is of type {types}; this is no value of it')
        if any("\0" in text or not _is_unicode(text) for text in typed):
            raise no_value
        casts = (f"{column.type} AS {quote_ident(column.name)}".replace("%", "%%") for column in columns)
        texts = ", ".join(text_expression(column) for column in columns)
        is_whole = " AND ".join(["true", *(_whole(column, n) for n, column in enumerate(columns))])
        given = ", ".join(f"%s::text AS {_TYPED}{n}" for n in range(len(columns)))
        query = (
            f"SELECT {is_whole}, {texts}".replace("%", "%%")
            + f" FROM (SELECT {given}) k, (SELECT {', '.join('%s::' + cast for cast in casts)}) t"
        )
        try:
            row = self.target.execute(query.encode(), [*typed, *typed]).fetchone()
        except psycopg.Error as error:
            if not is_row_fault(error):
                raise explain_error(error, f"{table.name}: reading the key") from None
            raise no_value from None
        assert row is not None
        if not row[0]:
            raise no_value
        return tuple(row[1:])

    def at_source(self, key: Key) -> OneRow | None:
        """The row at the source, None when it is not there."""
        with named_errors("source", "source: transaction number"):
            now = self.source.execute(f"SELECT {NOW_SQL}".encode()).fetchone()
        assert now is not None
        cells = [*((cell.name, cell.source) for cell in self.plan.clear), *self._sealed_at_source()]
        xid = f"({full_xid_sql('t.xmin', now[0])})::text"
        rows = self._fetched(self.source, "source", [*(text for _, text in cells), xid], key)
        if not rows:
            return None
        width = len(self.plan.key)
        values = dict(zip((name for name, _ in cells), rows[0][width:-1], strict=True))
        return OneRow(key=tuple(rows[0][:width]), cells=values, stamp=rows[0][-1], count=len(rows))

    def _sealed_at_source(self) -> list[tuple[str, str]]:
        return [(item.name, item.source) for item in self.plan.sealed] if self.keyring is not None else []

    def in_target(self, key: Key) -> OneRow | None:
        """The row in the target, decrypted; None when it is not there."""
        plan, keyring = self.plan, self.keyring
        strange, beyond = (condition or "false" for condition in self.strange)
        sealed = plan.sealed if keyring is not None else ()
        at = f"t.{quote_ident(plan.migrated_at)} AT TIME ZONE 'UTC'" if plan.migrated_at else "NULL::timestamp"
        stamp = f'to_char({at}, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'
        fault = f"CASE WHEN {beyond} THEN {quote_literal(NEVER_REPLACED)} WHEN {strange} THEN {quote_literal(NOT_OF_A_LOAD)} ELSE '' END"
        texts = [*(cell.target for cell in plan.clear), *(item.cell for item in sealed), stamp, fault]
        rows = self._fetched(self.target, "target", texts, key)
        if not rows:
            return None
        width = len(plan.key) + len(plan.clear)
        cells = dict(zip((cell.name for cell in plan.clear), rows[0][len(plan.key) : width], strict=True))
        if keyring is not None and sealed:
            (opened,) = Opener(keyring, self.tenant, plan).open([rows[0][:-2]], width)
            cells |= dict(zip((item.name for item in sealed), opened.opened, strict=True))
            cells |= dict.fromkeys(opened.undecryptable, UNDECRYPTABLE)
        return OneRow(
            key=tuple(rows[0][: len(plan.key)]),
            cells=cells,
            stamp=rows[0][-2] or "",
            count=len(rows),
            instant_fault=rows[0][-1],
        )

    def _fetched(self, connection: Connection, side: Side, texts: Sequence[str], key: Key) -> list[tuple[Any, ...]]:
        return rows_by_key(connection, self.plan, side, texts, [key])


_TYPED = "typed"
_CUT = re.compile(r"(numeric|character varying|bit varying|character|bit|timestamp|time|interval)\b")
_WITHOUT_LIMIT = {"character": "bpchar", "bit": "varbit", "timestamp": "timestamptz", "time": "timetz"}


def _whole(column: Column, place: int) -> str:
    """SQL: whether the cast kept all that was typed; types with a limit cut or round without an error."""
    cell, typed = f"t.{quote_ident(column.name)}", f"k.{_TYPED}{place}"
    if column.type in ("name", '"char"'):
        return f"{cell}::text = {typed}"
    found = _CUT.match(column.type)
    if found is None:
        return "true"
    wide = _WITHOUT_LIMIT.get(found[1], found[1])
    return f"{cell}::{wide} = {typed}::{wide}"


def _is_unicode(text: str) -> bool:
    """Whether it can be sent; an argument that is not UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
