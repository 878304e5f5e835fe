"""A small source of awkward tables, and random transactions over it: what a live database does to a snapshot.

Keys and values that compare equal and differ, unique values that change hands, rows that point at themselves
or at each other, a partitioned table, tables without a key, transactions that are rolled back, nested, or open
for long, and maintenance that moves rows about without changing them.

Statements that a constraint or a lock refuses are rolled back to their savepoint: that is part of the history.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import psycopg

SCHEMA = """
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE plain (id int PRIMARY KEY, slot int UNIQUE, note text);
CREATE TABLE swapped (id int PRIMARY KEY, slot int UNIQUE DEFERRABLE INITIALLY DEFERRED, note text);
CREATE TABLE child (
  id int PRIMARY KEY, plain_id int REFERENCES plain ON UPDATE CASCADE ON DELETE CASCADE, amount numeric, at float8);
CREATE TABLE grandchild (
  child_id int REFERENCES child ON UPDATE CASCADE ON DELETE CASCADE, n smallint, word text COLLATE any_case UNIQUE,
  PRIMARY KEY (child_id, n));
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE numbered (id numeric PRIMARY KEY, note text);
CREATE TABLE floated (id float8, slot numeric, note text, PRIMARY KEY (id, slot));
CREATE TABLE worded (id text COLLATE any_case PRIMARY KEY, note text);
CREATE TABLE padded (id bpchar PRIMARY KEY, slot bpchar UNIQUE, note text);
CREATE TABLE one (id int PRIMARY KEY, other int);
CREATE TABLE other (id int PRIMARY KEY, one int REFERENCES one DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE one ADD FOREIGN KEY (other) REFERENCES other DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE parted (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (30);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (30) TO (1000);
CREATE TABLE keyless (n int, note text);
CREATE TABLE empty (id int PRIMARY KEY);
INSERT INTO plain SELECT i, i, 'n' || i FROM generate_series(1, 40) i;
INSERT INTO swapped SELECT i, i, 'n' || i FROM generate_series(1, 40) i;
INSERT INTO child SELECT i, 1 + i % 40, i + 0.10, i FROM generate_series(1, 60) i;
INSERT INTO grandchild SELECT 1 + i % 60, i / 60, 'Word' || i FROM generate_series(1, 90) i;
INSERT INTO tree SELECT i, CASE WHEN i < 50 THEN i + 1 END FROM generate_series(1, 50) i;
INSERT INTO numbered SELECT i + 0.10, 'n' FROM generate_series(1, 30) i;
INSERT INTO floated SELECT i % 5, i, 'n' FROM generate_series(0, 30) i;
INSERT INTO worded SELECT 'Word' || i, 'n' FROM generate_series(1, 40) i;
INSERT INTO padded SELECT 'p' || i, 's' || i, 'n' FROM generate_series(1, 40) i;
BEGIN;
INSERT INTO one SELECT i, i FROM generate_series(1, 20) i;
INSERT INTO other SELECT i, 21 - i FROM generate_series(1, 20) i;
COMMIT;
INSERT INTO parted SELECT i, 'n' || i FROM generate_series(0, 60) i;
INSERT INTO keyless SELECT i % 7, 'n' FROM generate_series(1, 40) i;
"""
TABLES = (
    *("plain", "swapped", "child", "grandchild", "tree", "numbered", "floated", "worded", "padded"),
    *("one", "other", "parted", "keyless", "empty"),
)
KEYED = ("plain", "swapped", "child", "tree", "one", "other", "parted", "empty")  # by an integer `id`

_BUSY_OR_BROKEN = ("23", "55", "40", "21", "22", "25", "57")

Connection = psycopg.Connection[tuple[object, ...]]
Statement = Callable[[random.Random], str]


def write(dice: random.Random, connection: Connection, transactions: int) -> None:
    """So many random transactions, each committed or rolled back; `connection` commits by itself."""
    connection.execute("SET lock_timeout = '100ms'")
    for _ in range(transactions):
        if dice.random() < 0.15:
            _maintain(dice, connection)
            continue
        connection.execute("BEGIN")
        for _ in range(dice.randint(1, 5)):
            _nested(dice, connection, _CHANGES)
        try:
            connection.execute("ROLLBACK" if dice.random() < 0.15 else "COMMIT")
        except psycopg.Error as error:  # a late constraint
            _must_be_expected(error)
            connection.execute("ROLLBACK")


def write_and_stay_open(dice: random.Random, connection: Connection) -> None:
    """Some changes in a transaction that stays open; whoever called commits it, or rolls it back."""
    connection.execute("SET lock_timeout = '100ms'")
    connection.execute("BEGIN")
    for _ in range(dice.randint(1, 3)):
        _nested(dice, connection, _IN_LONG_ONES)


def end(dice: random.Random, connection: Connection) -> None:
    """End a transaction that stayed open."""
    try:
        connection.execute(dice.choice(("COMMIT", "COMMIT", "ROLLBACK")))
    except psycopg.Error as error:
        _must_be_expected(error)
        connection.execute("ROLLBACK")


def _nested(dice: random.Random, connection: Connection, changes: Sequence[Statement]) -> None:
    connection.execute("SAVEPOINT s")
    if _try(connection, dice.choice(changes)(dice)):
        fate = dice.random()
        if fate < 0.2:
            connection.execute("ROLLBACK TO s")
        elif fate < 0.6:
            connection.execute("RELEASE s")
    else:
        connection.execute("ROLLBACK TO s")


def _try(connection: Connection, script: str) -> bool:
    try:
        for statement in script.split(";"):
            connection.execute(statement.encode())
    except psycopg.Error as error:
        _must_be_expected(error)
        return False
    return True


def _must_be_expected(error: psycopg.Error) -> None:
    if not (error.sqlstate or "").startswith(_BUSY_OR_BROKEN):
        raise error


# ---------------------------------------------------------------- what changes


def _id(dice: random.Random) -> int:
    return dice.choice((dice.randint(-3, 70), dice.randint(1, 40), dice.randint(1, 40), dice.randint(100, 900)))


def _insert(dice: random.Random) -> str:
    first, note = _id(dice), dice.choice(("'new'", "NULL", "''", "'\\.'"))
    return dice.choice(
        (
            f"INSERT INTO plain VALUES ({first}, {_id(dice)}, {note})",
            f"INSERT INTO swapped VALUES ({first}, {_id(dice)}, {note})",
            f"INSERT INTO child VALUES ({first}, {_id(dice)}, {dice.choice(('1.1', '1.10', 'NULL'))}, '-0')",
            f"INSERT INTO grandchild VALUES ({_id(dice)}, {dice.randint(0, 4)}, {note})",
            f"INSERT INTO tree VALUES ({first}, {_id(dice)})",
            f"INSERT INTO one VALUES ({first}, {first}); INSERT INTO other VALUES ({first}, {first})",
            f"INSERT INTO parted VALUES ({abs(first)}, {note})",
            f"INSERT INTO keyless SELECT {first}, {note} FROM generate_series(1, {dice.randint(1, 9)})",
            f"INSERT INTO empty VALUES ({first})",
            f"INSERT INTO worded VALUES ('{dice.choice(('w', 'W'))}{first}', {note})",
            f"INSERT INTO padded VALUES ('p{first}{' ' * dice.randint(0, 2)}', 's{_id(dice)} ', {note})",
            f"INSERT INTO numbered VALUES ({first}.{dice.choice(('1', '10', '100'))}, {note})",
            f"INSERT INTO floated VALUES ('{dice.choice(('-0', '0', 'NaN', '1e300'))}', {first}, {note})",
        )
    )


def _change(dice: random.Random) -> str:
    modulus, rest = dice.randint(3, 20), dice.randrange(3)
    return dice.choice(
        (
            f"UPDATE plain SET note = note || '!' WHERE id % {modulus} = {rest}",
            f"UPDATE plain SET note = note WHERE id = {_id(dice)}",
            f"UPDATE child SET amount = CASE amount WHEN 1.1 THEN 1.100 ELSE 1.1 END, at = '-0' WHERE id % {modulus} = {rest}",
            "UPDATE child SET at = CASE WHEN at::text = '-0' THEN 0 ELSE '-0'::float8 END WHERE at = 0",
            f"UPDATE child SET plain_id = {_id(dice)} WHERE id % {modulus} = {rest}",
            f"UPDATE tree SET parent = {_id(dice)} WHERE id % {modulus} = {rest}",
            "UPDATE tree SET parent = (SELECT max(id) FROM tree) WHERE id % 5 = 0",
            f"UPDATE one SET other = {_id(dice)} WHERE id % {modulus} = {rest}",
            f"UPDATE parted SET note = 'new' WHERE id % {modulus} = {rest}",
            f"UPDATE keyless SET n = n + 1 WHERE n = {rest}",
        )
    )


def _rewrite_equal(dice: random.Random) -> str:
    """A key or a unique value becomes one that compares equal and differs."""
    return dice.choice(
        (
            "UPDATE numbered SET id = CASE WHEN scale(id) > 1 THEN trim_scale(id) ELSE id + 0.00 END",
            f"UPDATE numbered SET id = id + 0.000 WHERE id < {dice.randint(1, 30)}",
            "UPDATE floated SET id = CASE WHEN id::text = '-0' THEN 0 ELSE '-0'::float8 END WHERE id = 0",
            "UPDATE floated SET slot = slot + 0.0 WHERE slot < 9",
            f'UPDATE worded SET id = {dice.choice(("upper", "lower", "initcap"))}(id::text COLLATE "C")',
            f'UPDATE grandchild SET word = {dice.choice(("upper", "lower"))}(word COLLATE "C") WHERE child_id % 2 = 0',
            "UPDATE padded SET id = CASE WHEN octet_length(id) > 3 THEN rtrim(id) ELSE id || '  ' END",
        )
    )


def _rekey(dice: random.Random) -> str:
    table, by = dice.choice(KEYED), dice.choice((1, 1, -1, 7, 200))
    old = _id(dice)
    return dice.choice(
        (
            f"UPDATE {table} SET id = id + {by} WHERE id = {old}",
            f"UPDATE {table} SET id = {_id(dice)} WHERE id = {old}",
            f"UPDATE {table} SET id = id + 1000 WHERE id % 9 = 3 AND id < 900",
            f"UPDATE grandchild SET n = n + 1 WHERE child_id = {old}",
            f"UPDATE numbered SET id = id + {by} WHERE id > 25",
        )
    )


def _pass_on(dice: random.Random) -> str:
    """Unique values change hands: swaps, chains, cycles; values that were freed are taken by others."""
    a, b, c = dice.sample(range(1, 41), 3)
    return dice.choice(
        (
            (
                f"UPDATE swapped SET slot = CASE id WHEN {a} THEN (SELECT slot FROM swapped WHERE id = {b}) "
                f"ELSE (SELECT slot FROM swapped WHERE id = {a}) END WHERE id IN ({a}, {b})"
            ),
            (
                "UPDATE swapped s SET slot = n.slot FROM (SELECT id, coalesce(lead(slot) OVER (ORDER BY slot), min(slot) OVER ()) AS slot "
                "FROM swapped WHERE slot IS NOT NULL) n WHERE n.id = s.id"
            ),
            (
                f"UPDATE plain SET slot = NULL WHERE id = {a}; UPDATE plain SET slot = {a} WHERE id = {b}; "
                f"UPDATE plain SET slot = {b} WHERE id = {c}"
            ),
            f"DELETE FROM plain WHERE slot = {a}; INSERT INTO plain VALUES ({_id(dice)}, {a}, 'heir')",
            f"UPDATE padded SET slot = slot || '#' WHERE id = 'p{a}'; UPDATE padded SET slot = 's{a} ' WHERE id = 'p{b}'",
            f"DELETE FROM grandchild WHERE child_id = {a}; UPDATE grandchild SET word = 'wORD{a}' WHERE child_id = {b} AND n = 0",
        )
    )


def _delete(dice: random.Random) -> str:
    table = dice.choice(KEYED)
    return dice.choice(
        (
            f"DELETE FROM {table} WHERE id = {_id(dice)}",
            f"DELETE FROM {table} WHERE id % {dice.randint(7, 19)} = 1",
            f"DELETE FROM keyless WHERE n = {dice.randint(0, 6)}",
            f"DELETE FROM worded WHERE id = 'WORD{_id(dice)}'",
            f"DELETE FROM numbered WHERE id = {_id(dice)}.1; INSERT INTO numbered VALUES ({_id(dice)}.1, 'in its place')",
            f"DELETE FROM {table} WHERE id = {_id(dice)}; INSERT INTO {table} (id) VALUES ({_id(dice)})",
        )
    )


def _replace(dice: random.Random) -> str:
    copy = f"copy_{dice.randrange(10**9)}"
    return dice.choice(
        (
            "TRUNCATE keyless; INSERT INTO keyless VALUES (1, 'refilled')",
            "TRUNCATE empty",
            (
                f"CREATE TEMPORARY TABLE {copy} ON COMMIT DROP AS SELECT * FROM swapped; TRUNCATE swapped; "
                f"INSERT INTO swapped SELECT * FROM {copy}"
            ),
        )
    )


def _lock(dice: random.Random) -> str:
    return f"SELECT count(*) FROM (SELECT FROM {dice.choice(KEYED)} FOR {dice.choice(('UPDATE', 'KEY SHARE'))}) x"


def _maintain(dice: random.Random, connection: Connection) -> None:
    """Rows are moved about, or a table is rewritten and is then as it was."""
    table, few = dice.choice(TABLES), dice.choice(("plain", "child", "tree", "swapped"))
    moved = (f"VACUUM FULL {table}", f"VACUUM (FREEZE) {table}", f"ANALYZE {table}", f"CLUSTER {few} USING {few}_pkey")
    if dice.random() < 0.7:
        _try(connection, dice.choice(moved))
        return
    connection.execute("BEGIN")
    connection.execute("COMMIT" if _try(connection, _alter(dice)) else "ROLLBACK")


def _alter(dice: random.Random) -> str:
    """The definition is the same again afterwards."""
    return dice.choice(
        (
            "ALTER TABLE empty ALTER id TYPE bigint; ALTER TABLE empty ALTER id TYPE int",
            "ALTER TABLE keyless ALTER n TYPE bigint; ALTER TABLE keyless ALTER n TYPE int",
            "ALTER TABLE keyless DROP note; ALTER TABLE keyless ADD note text",
            "ALTER TABLE worded DROP note; ALTER TABLE worded ADD note text",
            (
                "ALTER TABLE parted DETACH PARTITION parted_low; DROP TABLE parted_low; "
                "CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (30)"
            ),
            "CREATE TABLE spare AS SELECT n + 1 AS n, note FROM keyless; DROP TABLE keyless; ALTER TABLE spare RENAME TO keyless",
        )
    )


# A snapshot waits for who has emptied a table, so that is not left open.
_IN_LONG_ONES: Sequence[Statement] = (
    *(_insert, _insert, _change, _change, _rekey, _pass_on, _pass_on, _delete, _rewrite_equal, _rewrite_equal),
    *(_lock, _lock),
)
_CHANGES: Sequence[Statement] = (*_IN_LONG_ONES, _replace)
