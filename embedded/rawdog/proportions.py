"""How many rows each table gets: pure arithmetic over the scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Parents first. At scale 1 about a million rows, as a shop of this age has them.
_ROWS_AT_SCALE_1: Final[Mapping[str, int]] = {
    "customers": 120_000,
    "products": 10_000,
    "orders": 200_000,
    "line_items": 420_000,
    "reviews": 60_000,
    "creators": 5_000,
    "creator_projects": 10_000,
    "balance_transactions": 80_000,
    "withdrawal_requests": 8_000,
    "landing_pages": 500,
    "blog_posts": 1_000,
    "ab_tests": 300,
    "attribution_touchpoints": 90_000,
    "esign_documents": 3_000,
}

TABLES: Final = tuple(_ROWS_AT_SCALE_1)


def drawn_rows(scale: float) -> dict[str, int]:
    """Say how many drawn rows each table gets at `scale`, at least one; the special rows come on top.

    >>> drawn_rows(0.1)["orders"], drawn_rows(0.001)["ab_tests"]
    (20000, 1)
    """
    if not 0 < scale < 1_000:
        raise ValueError(f"scale must be above 0 and below 1000, got {scale}")
    return {table: max(1, round(rows * scale)) for table, rows in _ROWS_AT_SCALE_1.items()}


def big_document_bytes(scale: float) -> int:
    """Say how large the largest document is at `scale`: 15 MB, or small where tests want speed.

    >>> big_document_bytes(1), big_document_bytes(0.001)
    (15000000, 300000)
    """
    return 15_000_000 if scale >= 0.1 else 300_000
