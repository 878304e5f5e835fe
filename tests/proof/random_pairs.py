"""Pairs of random tables: random types, keys, sizes and treatments, moved by the programs.

What must hold of each: it is called equal; and after a random change of the target (or one that changes
nothing) it is called equal exactly when the oracle, which is not the validator, says so.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from runtime.keyring import Keyring, init_keyring, load_keyring, make_kek_file
from schemas.migration import Migration, parse_migration
from tests.oracle import differences
from tests.tenant import QUIET, Tenant, fresh_databases
from tests.types import values as v
from tests.types.tables import MADE, TABLES
from validator.options import Options
from validator.reconcile import Reconciliation
from validator.verdict import Layer

AMOUNT = "numeric(12,2)"


def amount(chance: random.Random) -> str:
    """A number that fits a bigint when it is rounded."""
    return f"{chance.randint(-(10**9), 10**9) / 100:.2f}"


MAKERS: Mapping[str, v.Make] = {
    **{type_: make for _, columns in TABLES.values() for type_, make in columns.items()},
    AMOUNT: amount,
}
KEYS: tuple[tuple[str, ...], ...] = (
    ("bigint",),
    ("text",),
    ("uuid",),
    ("citext",),
    ("numeric",),
    ("bytea",),
    ("timestamp with time zone",),
    ("character(9)", "integer"),
    ("smallint", "uuid", "name"),
    (),
    (),
)
SIZES = (0, 1, 2, 7, 40, 150, 1_100)
NULLS = 0.15
OPTIONS = "-c TimeZone=UTC -c DateStyle=ISO,YMD -c IntervalStyle=postgres -c extra_float_digits=1 -c lc_monetary=C"


@dataclass(frozen=True, slots=True)
class RandomTable:
    """One table as drawn: its columns c0, c1, … by type, how many of them are the key, what becomes of them."""

    name: str
    types: tuple[str, ...]
    key: int
    rows: int
    encrypted: tuple[str, ...]
    rounded: tuple[str, ...]  # numeric columns that become bigint

    @property
    def made(self) -> str:
        """CREATE TABLE."""
        columns = ", ".join(f"c{place} {type_}" for place, type_ in enumerate(self.types))
        key = f", PRIMARY KEY ({', '.join(f'c{place}' for place in range(self.key))})" if self.key else ""
        return f"CREATE TABLE {self.name} ({columns}{key})"

    @property
    def rules(self) -> str:
        """Its part of the migration."""
        lines = [f"[table.{self.name}]", f"encrypt = [{', '.join(f'{name!r}' for name in self.encrypted)}]"]
        if self.rounded:
            lines += [f"[table.{self.name}.transform]", *(f'{name} = "bigint"' for name in self.rounded)]
        return "\n".join(lines) + "\n"

    @property
    def clear(self) -> tuple[str, ...]:
        """Columns beside the key that arrive as they are."""
        changed = {*self.encrypted, *self.rounded}
        return tuple(f"c{place}" for place in range(self.key, len(self.types)) if f"c{place}" not in changed)


def draw_table(name: str, chance: random.Random) -> RandomTable:
    """A table of any shape; the same chance draws the same."""
    key = chance.choice(KEYS)
    others = [chance.choice(list(MAKERS)) for _ in range(chance.randint(0 if key else 1, 9))]
    numbers = [AMOUNT] * chance.choice((0, 0, 1))
    types = (*key, *others, *numbers)
    free = [f"c{place}" for place in range(len(key), len(key) + len(others))]
    return RandomTable(
        name=name,
        types=types,
        key=len(key),
        rows=chance.choice(SIZES),
        encrypted=tuple(name for name in free if chance.random() < 0.3),
        rounded=tuple(f"c{len(types) - 1}" for _ in numbers),
    )


def _rows(table: RandomTable, chance: random.Random) -> Iterator[tuple[str | None, ...]]:
    for _ in range(table.rows):
        key = [MAKERS[type_](chance) for type_ in table.types[: table.key]]
        others = [None if chance.random() < NULLS else MAKERS[type_](chance) for type_ in table.types[table.key :]]
        yield (*key, *others)


@dataclass(frozen=True)
class RandomPairs:
    """Some tables of one database, moved; each of them is a pair."""

    tables: tuple[RandomTable, ...]
    environment: dict[str, str]
    migration: Migration
    keyring: Keyring

    def reconcile(self, table: RandomTable, seed: int) -> dict[str, Any]:
        """The report of one pair, in every layer."""
        return (
            Reconciliation(
                migration=self.migration,
                source_url=self.environment["POSTGRES_URL"],
                target_url=self.environment["NEW_POSTGRES_URL"],
                keyring=self.keyring,
                environment=self.environment,
                options=Options(layers=tuple(Layer), tables=(table.name,), seed=seed, jobs=1),
                report_fact=lambda _: None,
                program_version="proof",
            )
            .run()
            .to_json()
        )

    def oracle(self, table: RandomTable) -> list[str]:
        """What differs by another judge, which sees the columns that arrive as they are."""
        found = differences(
            self.environment["POSTGRES_URL"],
            self.environment["NEW_POSTGRES_URL"],
            schemas={"public": self.migration.schema_},
            tables=(table.name,),
            except_columns=[(table.name, column) for column in (*table.encrypted, *table.rounded)],
        )
        return [sentence for sentence in found if "get_byte(" not in sentence]  # checks of encrypted columns

    def change(self, table: RandomTable, chance: random.Random) -> str:
        """Do something to the target that is, or only looks like, a difference; says what."""
        name = f"{self.migration.schema_}.{table.name}"
        column = chance.choice(table.clear) if table.clear else ""
        row = f"ctid = (SELECT ctid FROM {name} ORDER BY ctid OFFSET {chance.randrange(max(table.rows, 1))} LIMIT 1)"
        changes = [f"DELETE FROM {name} WHERE {row}"]
        if not table.key:
            changes.append(f"INSERT INTO {name} SELECT * FROM {name} WHERE {row}")
        if column:
            made = MAKERS[table.types[int(column[1:])]](chance).replace("'", "''")
            other = f"(SELECT {column} FROM {name} ORDER BY ctid OFFSET {chance.randrange(max(table.rows, 1))} LIMIT 1)"
            changes += [
                f"UPDATE {name} SET {column} = {column}",
                f"UPDATE {name} SET {column} = NULL WHERE {row}",
                f"UPDATE {name} SET {column} = {other} WHERE {row}",  # which may be the same
                f"UPDATE {name} SET {column} = E'{made.replace(chr(92), chr(92) * 2)}' WHERE {row}",
            ]
        change = chance.choice(changes)
        with psycopg.connect(self.environment["NEW_POSTGRES_URL"], autocommit=True, options=OPTIONS) as target:
            target.execute(change.encode())
        return change.partition(" = E'")[0]


def problems(pairs: RandomPairs, table: RandomTable, chance: random.Random) -> Iterator[str]:
    """What is wrong with the verdicts about one pair."""
    seed = chance.randrange(2**31)
    report = pairs.reconcile(table, seed)
    if report["exit_code"] != 0 or report["differences"]:
        yield f"false alarm: {table}: {report['sentence']} {report['differences'][:3]}"
    if found := pairs.oracle(table):
        yield f"not equal to begin with: {table}: {found[:1]}"
    change = pairs.change(table, chance)
    differs = pairs.oracle(table)
    report = pairs.reconcile(table, seed)
    if bool(differs) != (report["verdict"] == "different"):
        yield f"{table}: {change}: the oracle says {differs[:1]}, reconcile says {report['sentence']}"


@contextmanager
def random_pairs(server_url: str, bootstrap: str, folder: Path, seed: int, count: int) -> Iterator[RandomPairs]:
    """Draw the tables, fill a source with them, move it."""
    chance = random.Random(seed)
    name = f"random{secrets.token_hex(4)}"
    file = folder / f"{name}.toml"
    tables = tuple(draw_table(f"pair{number}", chance) for number in range(count))
    file.write_text(f'tenant = "{name}"\ntables = "*"\n' + "".join(table.rules for table in tables))
    init_keyring(folder / f"{name}.keyring", name, make_kek_file(folder / f"{name}.kek"))
    with fresh_databases(server_url) as (source_url, target_url):
        with psycopg.connect(source_url, options=OPTIONS) as source:
            source.execute(MADE.encode())
            for table in tables:
                _fill(source, table, chance)
        environment = {
            "POSTGRES_URL": source_url,
            "NEW_POSTGRES_URL": target_url,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "MIGRATION": str(file),
            "KEYRING": str(folder / f"{name}.keyring"),
            "KEYRING_KEK_FILE": str(folder / f"{name}.kek"),
        }
        with closing(Tenant(name, environment)) as tenant:
            tenant("producer", "snapshot", "--accept-unclassified", *QUIET)
            tenant.load()
            keyring = load_keyring(environment)
            assert keyring is not None
            yield RandomPairs(tables, environment, parse_migration(file.read_text(), str(file)), keyring)


def _fill(source: psycopg.Connection[Any], table: RandomTable, chance: random.Random) -> None:
    """Rows whose random key is there already are left out."""
    source.execute(f"{table.made}; CREATE TEMPORARY TABLE drawn (LIKE {table.name})".encode())
    with source.cursor() as cursor, cursor.copy(b"COPY drawn FROM STDIN") as copy:
        for row in _rows(table, chance):
            copy.write_row(row)
    source.execute(f"INSERT INTO {table.name} SELECT * FROM drawn ON CONFLICT DO NOTHING; DROP TABLE drawn".encode())
