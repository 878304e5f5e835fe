"""What the plan says beforehand of types that cannot travel, or not whole."""

from __future__ import annotations

from producer.plan import make_plan
from producer.suspects import readable, unclassified
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
CREATE TYPE held AS (p page);
CREATE DOMAIN checked AS int;
CREATE TABLE d (v page, w page[], x held[], y checked);
ALTER DOMAIN checked ADD CHECK (VALUE > 0) NOT VALID;
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
        ("d", Severity.WARNING, '"x" is held[], which has xml inside'),
        ("", Severity.WARNING, 'the domain "checked" has a check that was never validated'),
        ("e", Severity.NOTICE, '"v" is "char"'),
        ("e", Severity.WARNING, '"w" is regclass'),
        ("e", Severity.WARNING, '"x" is aclitem'),
    } <= told
    assert not [text for table, _, text in told if table == "d" and text.startswith(('"v"', '"w"'))]  # exact
    assert not [text for _, severity, text in told if severity is Severity.ERROR and "own_" in text]


def test_what_stays_behind_without_being_seen_is_named(make_database: MakeDatabase) -> None:
    url = make_database(
        "CREATE TYPE used AS ENUM ('a'); CREATE TYPE unused AS ENUM ('a'); CREATE TABLE t (id int PRIMARY KEY, v used);"
        "CREATE TABLE of_citext (id int); CREATE EXTENSION citext; ALTER EXTENSION citext ADD TABLE of_citext;"
        "CREATE TABLE left_its_own (id serial); CREATE SEQUENCE other;"
        "ALTER TABLE left_its_own ALTER id SET DEFAULT nextval('other')"
    )
    migration = parse_migration('tenant = "t"\ntables = "*"', "t.toml")
    with open_source(url) as connection:
        plan = make_plan(read_source(connection, migration), migration, "here")

    left = {item.kind: item.names for item in plan.not_moved}
    assert left["type of no column"] == ("unused",)
    assert left["table of an extension"] == ("of_citext",)
    assert left["sequence of no column"] == ("left_its_own_id_seq",)


def test_a_table_with_rows_on_another_server_is_refused_by_the_plan(make_database: MakeDatabase) -> None:
    url = make_database(
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        "CREATE TABLE t (id int, email text) PARTITION BY RANGE (id);"
        "CREATE FOREIGN TABLE far PARTITION OF t FOR VALUES FROM (0) TO (9) SERVER s"
    )
    migration = parse_migration('tenant = "t"\ntables = "*"', "t.toml")
    with open_source(url) as connection:
        survey = read_source(connection, migration)
        told = unclassified(connection, readable(survey, migration), survey.catalogue(migration), migration)

    plan = make_plan(survey, migration, "here", suspicions=told)

    assert plan.is_blocked
    assert 'its partition "far" is a foreign table' in plan.odd[0].text
