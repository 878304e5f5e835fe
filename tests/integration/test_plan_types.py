"""What the plan says beforehand of types that cannot travel, or not whole."""

from __future__ import annotations

from producer.plan import make_plan
from runtime.introspect import read_source
from runtime.postgres import open_source
from schemas.migration import parse_migration
from schemas.oddity import Severity
from tests.conftest import MakeDatabase

SCHEMA = """
CREATE FUNCTION apart(text, text) RETURNS double precision LANGUAGE sql IMMUTABLE AS 'SELECT 1.0';
CREATE TYPE spaced AS RANGE (SUBTYPE = text, SUBTYPE_DIFF = apart);
CREATE TYPE own_range AS RANGE (SUBTYPE = double precision, SUBTYPE_DIFF = float8mi);
CREATE DOMAIN page AS xml;
CREATE TABLE a (v spaced);
CREATE TABLE b (v pg_node_tree, w gtsvector);
CREATE TABLE c (v own_range, w own_multirange);
CREATE TABLE d (v page);
CREATE TABLE e (v "char", w regclass, x aclitem);
"""


def test_the_plan_names_types_that_cannot_travel_and_those_that_do_not_travel_whole(
    make_database: MakeDatabase,
) -> None:
    url = make_database(SCHEMA)
    migration = parse_migration('tenant = "t"\ntables = "*"', "t.toml")
    with open_source(url) as connection:
        plan = make_plan(read_source(connection, migration), migration, "here")

    told = {(oddity.table, oddity.severity, oddity.text.split(":")[0]) for oddity in plan.odd}
    assert {
        (
            "",
            Severity.ERROR,
            'the type "spaced" (range with functions type of the source\'s own) cannot be made in the target',
        ),
        ("b", Severity.ERROR, '"v" is pg_node_tree'),
        ("b", Severity.ERROR, '"w" is gtsvector'),
        ("d", Severity.WARNING, 'uses the type "page", which has xml inside'),
        ("e", Severity.NOTICE, '"v" is "char"'),
        ("e", Severity.WARNING, '"w" is regclass'),
        ("e", Severity.WARNING, '"x" is aclitem'),
    } <= told
    assert not [text for _, severity, text in told if severity is Severity.ERROR and "own_" in text]
