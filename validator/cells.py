"""Layer `cells`: every encrypted cell of the target decrypted, and compared with the source's plaintext.

The source adds up fingerprints of key and plaintext in SQL (`scan`), the target's rows are read in
parts, decrypted here, fingerprinted in the same way and added up; equal sums of as many rows are
equal cells. So no plaintext leaves the source unless something differs, parts need no order, and
memory holds a few rows of each part. That a ciphertext opens at all under its row's key, its
column and its table is authenticated by AES-GCM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from runtime.keyring import Keyring
from runtime.postgres import Connection
from schemas.canonical import fingerprint
from schemas.envelope import header_kid, row_contexts
from schemas.errors import KeyringError
from validator.plan import Sealed, TablePlan
from validator.scan import Sums
from validator.sides import Moment, named_errors
from validator.texts import fingerprints, sums_of

Cells = tuple[str | None, ...]

_ROWS = 2_000
_BYTES = 2_000_000
_PART_BLOCKS = 4_096  # 32 MB of the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A range of a table's blocks; the first is open below and the last above, so together they are the table."""

    low: int | None
    high: int | None

    @property
    def condition(self) -> str:
        """As SQL over `t`."""
        tests = []
        if self.low is not None:
            tests.append(f"t.ctid >= '({self.low},0)'::tid")
        if self.high is not None:
            tests.append(f"t.ctid < '({self.high},0)'::tid")
        return " AND ".join(tests) or "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decrypted:
    """What a part of a table holds."""

    sums: Sums = field(default_factory=Sums)
    cells: int = 0
    undecryptable: int = 0

    def __add__(self, other: Decrypted) -> Decrypted:
        return Decrypted(
            sums=self.sums + other.sums,
            cells=self.cells + other.cells,
            undecryptable=self.undecryptable + other.undecryptable,
        )


@dataclass(frozen=True, slots=True)
class OpenedRow:
    """A row of the target: its clear cells, its decrypted ones, and columns that do not open.

    In place of a cell that does not open stands a text that no row of the source has, so such a
    row differs from every row, also from one that has NULL there.
    """

    bound: Cells
    opened: Cells
    undecryptable: tuple[str, ...] = ()
    part: int = 0  # what the query's `part` says of the row

    @property
    def digest(self) -> bytes:
        """The fingerprint that the source makes of the same row."""
        return fingerprint((*self.bound, *self.opened))


class Opener:
    """Decrypts rows of one table; ciphers are kept by column and key id."""

    def __init__(self, keyring: Keyring, tenant: str, plan: TablePlan) -> None:
        self._keyring = keyring
        self._tenant = tenant
        self._plan = plan
        self._ciphers: dict[tuple[str, int], Any] = {}

    def open(self, rows: Sequence[Sequence[Any]], bound: int, *, has_part: bool = False) -> list[OpenedRow]:
        """Rows of `bound` clear cells and then the ciphertexts, in the plan's order; last the part, if they have one."""
        columns = self._decrypted(list(zip(*rows, strict=True)), bound)
        opened: list[OpenedRow] = []
        cells_of_rows = zip(*columns, strict=True) if columns else [()] * len(rows)
        for row, cells in zip(rows, cells_of_rows, strict=True):
            failed: tuple[str, ...] = ()
            if _FAILED in cells and any(cell is _FAILED for cell in cells):
                pairs = zip(self._plan.sealed, cells, strict=True)
                failed = tuple(sealed.name for sealed, cell in pairs if cell is _FAILED)
            opened.append(OpenedRow(tuple(row[:bound]), cells, failed, row[-1] if has_part else 0))
        return opened

    def add_up(self, rows: Sequence[Sequence[Any]], bound: int) -> Decrypted:
        """What the same rows add up to, column-wise: several times as fast as row by row."""
        if not rows:
            return Decrypted()
        columns = list(zip(*rows, strict=True))
        decrypted = self._decrypted(columns, bound)
        failed = sum(1 for column in decrypted for cell in column if cell is _FAILED)
        empty = sum(column.count(None) for column in decrypted)
        series = [pl.Series(values, dtype=pl.String) for values in (*columns[:bound], *decrypted)]
        cells = len(rows) * len(decrypted) - empty - failed
        return Decrypted(sums=sums_of(fingerprints(series)), cells=cells, undecryptable=failed)

    def _decrypted(self, columns: Sequence[Sequence[Any]], bound: int) -> list[list[str | None]]:
        """The plaintexts of rows given as columns: `bound` clear ones, the key first, and then the ciphertexts."""
        if not columns:
            return []
        keys = columns[: len(self._plan.key)]
        contexts = row_contexts(zip(*keys, strict=True) if keys else [()] * len(columns[0]))
        sealed_columns = zip(self._plan.sealed, columns[bound:], strict=False)  # the part may stand behind them
        return [self._column(sealed, cells, contexts) for sealed, cells in sealed_columns]

    def _column(self, sealed: Sealed, cells: Sequence[bytes | None], contexts: Sequence[bytes]) -> list[str | None]:
        kids = {cell[:6] for cell in cells if cell is not None}
        if len(kids) <= 1:
            return self._bulk(sealed, cells, contexts)
        plain: list[str | None] = [None] * len(cells)
        for kid in kids:
            places = [place for place, cell in enumerate(cells) if cell is not None and cell[:6] == kid]
            found = self._bulk(sealed, [cells[place] for place in places], [contexts[place] for place in places])
            for place, text in zip(places, found, strict=True):
                plain[place] = text
        return plain

    def _bulk(self, sealed: Sealed, cells: Sequence[bytes | None], contexts: Sequence[bytes]) -> list[str | None]:
        """Cells of one key id; what does not open is `_FAILED`."""
        first = next((cell for cell in cells if cell is not None), None)
        if first is None:
            return [None] * len(cells)
        cipher = self._cipher(sealed.name, first)
        if cipher is None:
            return [None if cell is None else _FAILED for cell in cells]
        plain = cipher.decrypt_or_none(cells, contexts)
        text = _hex if sealed.is_binary else _utf8
        return [
            None if cell is None else _FAILED if value is None else text(value)
            for cell, value in zip(cells, plain, strict=True)
        ]

    def _cipher(self, column: str, cell: bytes) -> Any:
        try:
            kid = header_kid(cell)
        except ValueError:
            return None
        if (column, kid) not in self._ciphers:
            try:
                cipher = self._keyring.cell_cipher(self._tenant, self._plan.name, column, kid)
            except KeyringError:
                cipher = None  # an unknown or destroyed key: its cells do not open, and that is what is reported
            self._ciphers[column, kid] = cipher
        return self._ciphers[column, kid]


_FAILED = "\0"  # no PostgreSQL text holds a NUL; told from a plaintext that does by identity


def _utf8(plain: bytes) -> str:
    try:
        return plain.decode()
    except UnicodeDecodeError:
        return _FAILED


def _hex(plain: bytes) -> str:
    return "\\x" + plain.hex()


def parts_of(connection: Connection, plan: TablePlan, most: int) -> list[Part]:
    """Ranges of the table's blocks, at most `most` of them; together they are the whole table."""
    with named_errors("target", f"{plan.name}: size"):
        row = connection.execute(
            "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::bigint",
            (plan.relation("target").removeprefix("ONLY "),),
        ).fetchone()
    return parts_of_blocks(int(row[0]) if row else 0, most)


def parts_of_blocks(blocks: int, most: int) -> list[Part]:
    """The same for a table of so many blocks; those that it gets later lie in the last part."""
    count = max(1, min(most, blocks // _PART_BLOCKS + 1))
    cuts = [blocks * number // count for number in range(1, count)]
    return [Part(low=low, high=high) for low, high in zip([None, *cuts], [*cuts, None], strict=True)]


def decrypt_part(moment: Moment, plan: TablePlan, part: Part, keyring: Keyring, tenant: str) -> Decrypted:
    """Read, decrypt and add up one part; opens a connection of its own."""
    connection = moment.open()
    try:
        return decrypt_rows(connection, plan, part, keyring, tenant)
    finally:
        connection.close()


def decrypt_rows(connection: Connection, plan: TablePlan, part: Part, keyring: Keyring, tenant: str) -> Decrypted:
    """Read, decrypt and add up the rows of one part."""
    opener = Opener(keyring, tenant, plan)
    found = Decrypted()
    for rows in _read(connection, plan, part.condition):
        found += opener.add_up(rows, len(plan.bound))
    return found


def opened_rows(
    connection: Connection,
    plan: TablePlan,
    keyring: Keyring,
    tenant: str,
    *,
    where: str = "true",
    order: str = "",
    part: str = "",
) -> Iterator[OpenedRow]:
    """Rows of the target that have an encrypted cell, decrypted; a few thousand, or a few megabytes, in memory at a time.

    `part` is SQL for a number that each row then carries.
    """
    opener = Opener(keyring, tenant, plan)
    for rows in _read(connection, plan, where, order, part):
        yield from opener.open(rows, len(plan.bound), has_part=bool(part))


def _read(
    connection: Connection, plan: TablePlan, where: str, order: str = "", part: str = ""
) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of the target that have an encrypted cell: the clear cells beside it, the ciphertexts, the part."""
    bound = len(plan.bound)
    columns = [*(cell.target for cell in plan.bound), *(sealed.cell for sealed in plan.sealed)]
    columns += [part] if part else []
    query = (
        f"COPY (SELECT {', '.join(columns)} FROM {plan.relation('target')} t"
        f" WHERE {plan.has_sealed} AND {where}{order}) TO STDOUT (FORMAT binary)"
    )
    with (
        named_errors("target", f"{plan.name}: reading encrypted cells"),
        connection.cursor() as cursor,
        cursor.copy(query.encode()) as copy,
    ):
        copy.set_types(["text"] * bound + ["bytea"] * len(plan.sealed) + ["int4"] * bool(part))
        waiting: list[tuple[Any, ...]] = []
        size = 0
        for row in copy.rows():
            waiting.append(row)
            size += sum(len(cell) for cell in row[: bound + len(plan.sealed)] if cell is not None)
            if len(waiting) >= _ROWS or size >= _BYTES:
                yield waiting
                waiting, size = [], 0
        yield waiting
