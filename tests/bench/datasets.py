"""The two data sets of the bench: three plain tables, and RAWDOG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from embedded.rawdog import load

THREE_TABLES = """
CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL, name text, phone text, city text,
  accepts_marketing boolean, created_at timestamptz);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, number int, state text,
  currency char(3), total_cents bigint NOT NULL, tax_cents int, note text, placed_on date, updated_at timestamptz);
CREATE TABLE line_items (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders, sku text, title text,
  quantity int, unit_price numeric(10,2), total_cents int, created_at timestamp);
"""

FILL_THREE_TABLES = """
INSERT INTO customers SELECT i, 'customer' || i || '@example.com', 'Customer ' || md5(i::text), '+1555' || i,
  (ARRAY['Berlin','São Paulo','東京','Austin','Łódź'])[1 + i %% 5], i %% 3 = 0,
  '2020-01-01 00:00+00'::timestamptz + i * interval '1 minute' FROM generate_series(1, %(customers)s) i;
INSERT INTO orders SELECT i, 1 + (i * 7919::bigint) %% %(customers)s, i, (ARRAY['paid','pending','refunded'])[1 + i %% 3],
  'USD', (i * 37::bigint) %% 100000, i %% 900, CASE WHEN i %% 4 = 0 THEN md5(i::text) END,
  date '2021-01-01' + i %% 1500, '2021-01-01 00:00+00'::timestamptz + i * interval '17 seconds'
  FROM generate_series(1, %(orders)s) i;
INSERT INTO line_items SELECT i, 1 + (i * 104729::bigint) %% %(orders)s, 'SKU-' || i %% 5000, 'Product ' || i %% 5000,
  1 + i %% 4, (i %% 10000) / 100.0, i %% 10000, timestamp '2021-01-01 00:00' + i * interval '9 seconds'
  FROM generate_series(1, %(line_items)s) i;
"""

THREE_MIGRATION = """\
tenant = "three"
schema = "tenant_three"
tables = ["customers", "orders", "line_items"]
[log]
prefix = "{prefix}"
[table.customers]
encrypt = ["email", "phone"]
keep = { name = "made up", city = "one of five" }
[table.orders]
sums = ["total_cents"]
"""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A source to fill, and the migration that moves it; `{prefix}` in it is set for each run."""

    name: str
    fill: Callable[[str], int]  # the database's URL -> rows
    migration: str
    tables: tuple[str, ...]  # in an order that foreign keys allow


def three_tables(scale: float) -> Dataset:
    """100 k customers, 500 k orders and 1 M line items at scale 1."""
    rows = {"customers": int(100_000 * scale), "orders": int(500_000 * scale), "line_items": int(1_000_000 * scale)}

    def fill(url: str) -> int:
        with psycopg.connect(url) as connection:
            connection.execute(THREE_TABLES)
            for statement in FILL_THREE_TABLES.strip().split(";\n"):
                connection.execute(statement.rstrip(";"), rows)
        _settle(url)
        return sum(rows.values())

    return Dataset("three tables", fill, THREE_MIGRATION, tuple(rows))


def rawdog(scale: float, migration: str, tables: tuple[str, ...]) -> Dataset:
    """RAWDOG's 14 tables, about 1 million rows at scale 1; `migration` is rawdog.toml's text."""

    def fill(url: str) -> int:
        rows = sum(load(url, scale=scale).values())
        _settle(url)
        return rows

    return Dataset("RAWDOG", fill, migration, tables)


def _settle(url: str) -> None:
    """Hint bits and statistics as a database that has lived has them: no way pays for being the first reader."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        connection.execute("CHECKPOINT")
