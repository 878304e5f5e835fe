"""The oracle finds what it is there for: one wrong value, one row twice, one lost constraint."""

from __future__ import annotations

import psycopg
import pytest

from tests.conftest import MakeDatabase
from tests.oracle import differences

SCHEMA = """
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE TABLE p (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m mood, x numeric DEFAULT 3.5 CHECK (x > 0));
CREATE TABLE c (p integer REFERENCES p, f double precision, j json, t text NOT NULL);
CREATE INDEX c_f ON c (f) WHERE f > 1;
INSERT INTO p (m, x) VALUES ('a', 1.0), ('b', 1.00);
INSERT INTO c VALUES (1, '-0', '{"a" : 1}', ''), (1, '-0', '{"a" : 1}', ''), (2, 'NaN', NULL, ' ');
"""


@pytest.fixture
def pair(make_database: MakeDatabase) -> tuple[str, str]:
    return make_database(SCHEMA), make_database(
        "CREATE SCHEMA tenant_x; SET search_path TO tenant_x;"
        + SCHEMA
        + "ALTER TABLE p ADD migrated_at timestamptz; ALTER TABLE c ADD migrated_at timestamptz NOT NULL DEFAULT now();"
    )


def test_two_equal_sides_differ_in_nothing(pair: tuple[str, str]) -> None:
    assert differences(*pair, schemas={"public": "tenant_x"}) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE c SET f = 0 WHERE p = 1", '"c": 2 rows only in the source'),
        ("UPDATE p SET x = 1.0 WHERE id = 2", '"p": 1 rows only in the target'),
        ("UPDATE c SET j = '{\"a\": 1}' WHERE p = 1", '"c": 2 rows only in the target'),
        ("INSERT INTO c SELECT * FROM c LIMIT 1", '"c": 1 rows only in the target'),
        ("DELETE FROM c WHERE p = 2", '"c": 1 rows only in the source'),
        ("UPDATE c SET t = '' WHERE p = 2", '"c": 1 rows only in the source'),
        ("ALTER TABLE c DROP CONSTRAINT c_p_fkey", '"c" constraint "c_p_fkey"'),
        ("ALTER TABLE c ALTER t DROP NOT NULL", '"c" column "t"'),
        ("ALTER TABLE p ALTER x DROP DEFAULT", '"p" column "x"'),
        ("ALTER TABLE c ALTER t TYPE varchar", '"c" column "t"'),
        ("DROP INDEX c_f", '"c" index "c_f"'),
        ("ALTER TYPE mood ADD VALUE 'c'", 'type "mood"'),
        ("SELECT setval('p_id_seq', 1)", "its sequence would give a value that a row has"),
        ("CREATE TABLE more ()", '"more": only in the target'),
        ("DROP TABLE c", '"c": not in the target'),
    ],
)
def test_it_names_each_difference(pair: tuple[str, str], change: str, found: str) -> None:
    with psycopg.connect(pair[1], autocommit=True, options="-c search_path=tenant_x") as connection:
        connection.execute(change.encode())

    told = differences(*pair, schemas={"public": "tenant_x"})

    assert any(found in line for line in told), told
