"""Functions of the same name in the schemas that are compared: none of them is ever asked instead of PostgreSQL's own."""

from __future__ import annotations

from contextlib import closing

from runtime.postgres import open_target
from schemas.canonical import Method, fingerprint, fingerprint_sql, sums_sql
from schemas.catalogue import Column
from schemas.pgtypes import text_expression
from tests.conftest import MakeDatabase

# Each fits the call better than PostgreSQL's own, which takes anything, or another type of literal.
SCRIPT = """
CREATE TYPE mood AS ENUM ('glad');
CREATE FUNCTION format(text, text[]) RETURNS text LANGUAGE sql AS $$SELECT 'same'$$;
CREATE FUNCTION format(text, mood) RETURNS text LANGUAGE sql AS $$SELECT 'same'$$;
CREATE FUNCTION num_nonnulls(mood) RETURNS int LANGUAGE sql AS 'SELECT 0';
CREATE FUNCTION convert_to(text, text) RETURNS bytea LANGUAGE sql AS $$SELECT 'same'::bytea$$;
CREATE FUNCTION hashtextextended(text, int) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE TABLE t (tags text[], feels mood);
INSERT INTO t VALUES ('{a,NULL}', 'glad');
"""


def test_a_function_of_somebody_else_never_makes_two_rows_the_same(make_database: MakeDatabase) -> None:
    columns = (Column(name="tags", type="text[]"), Column(name="feels", type="mood"))
    texts = [text_expression(column) for column in columns]
    hashed = sums_sql("f", Method.HASH)

    with closing(open_target(make_database(SCRIPT), schema="public", read_only=True)) as target:
        found = target.execute(f"SELECT {', '.join(texts)}, {fingerprint_sql(texts)} FROM t".encode()).fetchone()
        sums = target.execute(f"SELECT {', '.join(hashed)} FROM (SELECT 'a'::text AS f) q".encode()).fetchone()

    assert found == ("{a,NULL}", "glad", fingerprint(["{a,NULL}", "glad"]))
    assert sums is not None
    assert sums[0] != sums[1]
