"""A tenant as small as the kill points allow: parent and child, a self reference, a table without a key.

Its first generation has rows that cannot be applied; in the second they are corrected, and others have
vanished, changed their keys, swapped unique values or differ from before only in how they are written.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from producer.snapshot import Places, Wish, run_snapshot
from runtime.keyring import init_keyring, load_keyring, make_kek_file
from runtime.reporting import unheard
from runtime.settings import kafka_settings, source_settings
from schemas.migration import parse_migration
from tests.conftest import READ_BY_PROGRAMS, ROOT
from tests.tenant import fresh_databases

LAST_TABLE = "visits"
MIGRATION = """tenant = "{name}"
tables = ["shops", "sales", "visits"]
[log]
partitions = 3
[batch]
max_rows = 10
[table.shops]
keep = {{ name = "made up" }}
[table.shops.transform]
share = "percent"
[table.sales]
encrypt = ["note"]
sums = ["cents"]
"""

FIRST = """
CREATE TABLE shops (
  id int PRIMARY KEY, name text NOT NULL UNIQUE, boss int REFERENCES shops, share text, opened timestamptz);
CREATE TABLE sales (
  id bigint PRIMARY KEY, shop_id int NOT NULL REFERENCES shops, code text NOT NULL, weight numeric,
  balance double precision, cents bigint, note text, UNIQUE (shop_id, code));
CREATE TABLE visits (shop_id int REFERENCES shops, at timestamptz, seen int);
INSERT INTO shops SELECT i, 'shop ' || i, nullif((i * 7) % 60, 0),
    CASE i % 20 WHEN 3 THEN 'nonsense' ELSE (i % 9)::text || '%' END, '2024-02-29 12:00+00'::timestamptz + i * interval '1 h'
  FROM generate_series(1, 60) i;
INSERT INTO sales SELECT i, 1 + i % 60, 'code ' || i / 60, i + 1.10, 0.0, i * 100, CASE WHEN i % 3 > 0 THEN 'note ' || i END
  FROM generate_series(1, 200) i;
INSERT INTO visits SELECT 1 + i % 6, '2024-01-01', i % 2 FROM generate_series(1, 60) i;
"""

SECOND = """
UPDATE shops SET share = ' 7,5 %' WHERE share = 'nonsense';
UPDATE shops SET boss = NULL WHERE boss BETWEEN 41 AND 45;
DELETE FROM visits WHERE seen = 1;
DELETE FROM sales WHERE shop_id BETWEEN 41 AND 45 OR id % 17 = 0;
DELETE FROM shops WHERE id BETWEEN 41 AND 45;
UPDATE sales SET id = id + 1000 WHERE id % 11 = 0;
UPDATE sales SET weight = weight + 0.000, balance = '-0' WHERE id % 5 = 0;
UPDATE shops SET name = '~' || name WHERE id <= 10;
UPDATE shops SET name = 'shop ' || 11 - id WHERE id <= 10;
UPDATE shops SET boss = 60 WHERE id % 4 = 0;
INSERT INTO shops SELECT i, 'shop ' || i, 131 - i, NULL, 'infinity' FROM generate_series(61, 70) i;
INSERT INTO sales SELECT i, i % 10 + 61, 'new ' || i, 'NaN', 'infinity', -i, '' FROM generate_series(2001, 2040) i;
INSERT INTO visits SELECT 70, NULL, i / 4 FROM generate_series(1, 20) i;
"""


@contextmanager
def tiny_tenant(server_url: str, bootstrap: str, folder: Path) -> Iterator[dict[str, str]]:
    """A tenant of its own, its source filled for the first generation: the environment of the programs."""
    name = f"kill{secrets.token_hex(4)}"
    file = folder / f"{name}.toml"
    file.write_text(MIGRATION.format(name=name))
    init_keyring(folder / f"{name}.keyring", name, make_kek_file(folder / f"{name}.kek"))
    with fresh_databases(server_url) as (source_url, target_url):
        change(source_url, FIRST)
        yield {
            "POSTGRES_URL": source_url,
            "NEW_POSTGRES_URL": target_url,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "MIGRATION": str(file),
            "KEYRING": str(folder / f"{name}.keyring"),
            "KEYRING_KEK_FILE": str(folder / f"{name}.kek"),
        }


def change(url: str, script: str) -> None:
    """Change a database in one transaction, as its owner."""
    with psycopg.connect(url) as connection:
        connection.execute(script.encode())


def publish(environment: Mapping[str, str]) -> None:
    """Take a snapshot, or end the one that was interrupted, in this process."""
    file = environment["MIGRATION"]
    places = Places(
        source=source_settings(environment),
        kafka=kafka_settings(environment),
        migration=parse_migration(Path(file).read_text(encoding="utf-8"), file),
        keyring=load_keyring(environment),
    )
    run_snapshot(places, Wish(), unheard)


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """For a process: this one's environment without what the programs read, with the tenant's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_PROGRAMS)}
    return {**inherited, "PYTHONPATH": str(ROOT), **environment}
