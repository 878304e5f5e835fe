"""One text for a row, one fingerprint for that text, sums of fingerprints: how sets of rows are compared.

Specification. A row is a fixed list of columns, each as PostgreSQL's own text (`pgtypes.text_expression`)
or NULL. Its text is what PostgreSQL prints for a record of texts:

    (a,"b c",,"")      columns joined by commas in parentheses; NULL is nothing;
                       a column that is empty or holds a parenthesis, comma, quote, backslash or
                       blank (ASCII 9–13, 32) stands in quotes, quotes and backslashes in it doubled

For a fixed number of columns no two rows have the same text. The fingerprint is the SHA-256 of the
text in UTF-8; a set of rows is compared by its count and the two sums of the first and second eight
bytes of the fingerprints, as signed integers, summed exactly. Sums need no order and no collation.

`Method.HASH` is twice as fast: the server's own 64-bit hash under two seeds. It is the same only on
servers of one major version, encoding and order of bytes (`method_for`), and Python does not know it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

HALF_BYTES = 8

_NEEDS_QUOTES = re.compile(r'[(),"\\\t\n\v\f\r ]')


class Method(StrEnum):
    """How rows are fingerprinted."""

    SHA256 = "sha256"
    HASH = "hash"


class Hashing(NamedTuple):
    """What a server's own hash depends on, and what it makes of one text."""

    version: int  # server_version_num
    encoding: str
    sample: int  # `SAMPLE_SQL`


SAMPLE_SQL = "SELECT hashtextextended('one text that takes the hash more than one round' COLLATE \"C\", 1)"


def method_for(source: Hashing, target: Hashing) -> Method:
    """The fastest method that two servers agree on.

    >>> method_for(Hashing(150004, "UTF8", 7), Hashing(150012, "UTF8", 7))
    <Method.HASH: 'hash'>
    >>> method_for(Hashing(140000, "UTF8", 7), Hashing(180000, "UTF8", 7))
    <Method.SHA256: 'sha256'>
    >>> method_for(Hashing(150004, "UTF8", 7), Hashing(150012, "UTF8", 8))  # a machine with another order of bytes
    <Method.SHA256: 'sha256'>
    """
    one, other = (side._replace(version=side.version // 10_000) for side in (source, target))
    return Method.HASH if one == other else Method.SHA256


# ---------------------------------------------------------------- SQL, the same for both sides


def row_text(texts: Sequence[str]) -> str:
    """SQL for a row's text, from SQL expressions of type text.

    >>> row_text(["t.a::text", "t.b"])
    'ROW(t.a::text, t.b)::text'
    """
    return f"ROW({', '.join(texts)})::text"


def fingerprint_sql(texts: Sequence[str], method: Method = Method.SHA256) -> str:
    """SQL for a row's fingerprint: bytea with SHA-256; with HASH the text itself, hashed only in `sums_sql`."""
    if method is Method.HASH:
        return row_text(texts)
    return f"pg_catalog.sha256(pg_catalog.convert_to({row_text(texts)}, 'UTF8'))"


def sums_sql(fingerprint: str, method: Method = Method.SHA256) -> list[str]:
    """Two SQL aggregates over a column of fingerprints: the sums, as text (NULL when there is no row).

    Compute the fingerprint in a subquery that the planner cannot pull up (OFFSET 0), or it is computed twice.
    """
    if method is Method.HASH:
        return [f'sum(pg_catalog.hashtextextended({fingerprint} COLLATE "C", {seed}))::text' for seed in (1, 2)]
    return [
        f"sum(('x' || pg_catalog.encode(pg_catalog.substr({fingerprint}, {start}, {HALF_BYTES}), 'hex'))::bit(64)::bigint)::text"
        for start in (1, 1 + HALF_BYTES)
    ]


# ---------------------------------------------------------------- the same in Python


def canonical_text(row: Sequence[str | None]) -> str:
    """A row's text.

    >>> canonical_text(["a", "b c", None, ""])
    '(a,"b c",,"")'
    """
    return "(" + ",".join(map(_column, row)) + ")"


def _column(text: str | None) -> str:
    if text is None:
        return ""
    if text and not _NEEDS_QUOTES.search(text):
        return text
    doubled = text.replace("\\", "\\\\").replace('"', '""')
    return f'"{doubled}"'


def fingerprint(row: Sequence[str | None]) -> bytes:
    """A row's fingerprint by SHA-256, 32 bytes."""
    return hashlib.sha256(canonical_text(row).encode()).digest()


def halves(digest: bytes) -> tuple[int, int]:
    """The two signed 64-bit integers that are summed."""
    first = int.from_bytes(digest[:HALF_BYTES], "big", signed=True)
    second = int.from_bytes(digest[HALF_BYTES : 2 * HALF_BYTES], "big", signed=True)
    return first, second
