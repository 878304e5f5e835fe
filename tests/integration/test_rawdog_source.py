"""RAWDOG's made-up source: every oddity is there, and always the same."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from embedded.rawdog import CANARY, MESS, TABLES, WAITING, load
from schemas.errors import Refused, Unavailable

MakeDatabase = Callable[..., str]

ROOT = Path(__file__).parents[2]
SCALE = 0.002

# Special and drawn rows of the clean source at this scale. A change here changes what every other test reads.
ROWS = {
    "customers": 283,
    "products": 35,
    "orders": 436,
    "line_items": 852,
    "reviews": 127,
    "creators": 28,
    "creator_projects": 28,
    "balance_transactions": 166,
    "withdrawal_requests": 20,
    "landing_pages": 10,
    "blog_posts": 10,
    "ab_tests": 7,
    "attribution_touchpoints": 190,
    "esign_documents": 11,
}

# What the source must hold, and a query that counts it.
CLAIMS = {
    # text
    "the same name composed and decomposed": r"""FROM customers a, customers b WHERE a.first_name <> b.first_name
        AND normalize(a.first_name) = normalize(b.first_name) AND a.id LIKE 'special%' AND b.id LIKE 'special%'""",
    "emoji joined of several": "FROM customers WHERE first_name LIKE '%' || U&'\\200D' || '%'",
    "text from right to left": "FROM customers WHERE last_name LIKE U&'\\200F' || '%'",
    "CRLF": "FROM customers WHERE first_name = E'a\\r\\nb'",
    "a line that ends a COPY": "FROM customers WHERE note = E'before\\n\\\\.\\nafter'",
    "text that is COPY's NULL": "FROM customers WHERE first_name = '\\N'",
    "a byte order mark first": "FROM customers WHERE first_name LIKE U&'\\FEFF' || '%'",
    "'' beside NULL": "FROM customers a, customers b WHERE a.email = '' AND b.email IS NULL",
    "trailing blanks": "FROM creators WHERE status = 'ACTIVE '",
    "addresses that differ in case": "FROM customers WHERE email IN ('Ann@Example.com', 'ann@example.com ') HAVING count(*) = 2",
    "citext that differs in case": "FROM creators WHERE email::text IN ('Ann@Example.com', 'ann@example.com', 'ANN@EXAMPLE.COM') HAVING count(*) = 3",
    "money as text in every form": "FROM products WHERE price IN ('12.34', '$1,234.50', '1.234,50', 'Free', '') HAVING count(DISTINCT price) = 5",
    "char(n) that is padded": "FROM esign_documents WHERE sha256 = 'abc' AND octet_length(sha256) = 64",
    "a currency of blanks": "FROM orders WHERE currency = '   '",
    # JSON
    "a NUL in json": "FROM creators WHERE social::text = '\"\\u0000\"'",
    "half a surrogate pair in json": "FROM creators WHERE social::text = '\"\\ud800\"'",
    "duplicate keys in json": 'FROM creators WHERE social::text = \'{"a": 1, "a": 2,  "b":1.10}\'',
    "Python's idea of JSON": "FROM customers WHERE addresses LIKE '[{''zip''%None%'",
    "JSON's null, which is not NULL": "FROM customers WHERE default_address = 'null'",
    "digits beyond a double in jsonb": "FROM customers WHERE default_address @> '{\"big\": 9007199254740993}'",
    # numbers
    "halves to round": "FROM orders WHERE gross_sales_cents IN (1999.5, -1999.5, 2.5, 3.5, 0.5, -0.5) HAVING count(*) >= 6",
    "a scale that says nothing": "FROM orders WHERE gross_sales_cents::text = '1999.0'",
    "gross sales beyond an int": "FROM orders WHERE gross_sales_cents = 3000000000",
    "the ends of bigint": "FROM orders WHERE gross_sales_cents IN (9223372036854775807, -9223372036854775808) HAVING count(*) = 2",
    "no gross sales": "FROM orders WHERE gross_sales_cents IS NULL",
    "a sum beyond 2^53": "FROM balance_transactions HAVING sum(amount_cents) > 9007199254740992",
    "refunds": "FROM orders WHERE total_cents < 0",
    "numeric NaN": "FROM products WHERE compare_at_price = 'NaN'",
    "numeric of 60 digits": "FROM products WHERE scale(compare_at_price) = 20 AND length(compare_at_price::text) > 80",
    "equal numbers of other scale": "FROM products WHERE compare_at_price::text IN ('1.10', '1.1000') HAVING count(*) = 2",
    "real minus zero": "FROM products WHERE weight_grams::text = '-0'",
    "double minus zero": "FROM landing_pages WHERE conversion::text = '-0'",
    "float NaN": "FROM landing_pages WHERE conversion = 'NaN'",
    "the smallest doubles": "FROM ab_tests WHERE p_value IN ('1e-320', '5e-324') HAVING count(*) = 2",
    "the largest money": "FROM creators WHERE lifetime_earnings = 92233720368547758.07::numeric::money",
    "shares in every form": """FROM creators WHERE commission_percent IN ('15', '15%', '0.15', ' 12,5 % ', '15.0', '', '  ', '150')
        HAVING count(DISTINCT commission_percent) = 8""",
    "no share": "FROM creators WHERE commission_percent IS NULL",
    # time
    "infinity and its opposite": "FROM customers WHERE birthday IN ('infinity', '-infinity') HAVING count(*) >= 2",
    "the first year": "FROM customers WHERE created_at = '0001-01-01'",
    "years before Christ": "FROM customers WHERE birthday = '0044-03-15 BC'",
    "an hour that was not": "FROM customers WHERE created_at = '2023-03-26 02:30:00'",
    "no time of creation": "FROM orders WHERE created_at IS NULL",
    "intervals of months": "FROM creator_projects WHERE effort::text IN ('1 mon', '30 days') HAVING count(DISTINCT effort::text) = 2",
    "an interval of 24 hours": "FROM blog_posts WHERE reading_time::text = '24:00:00'",
    "an interval of mixed signs": "FROM blog_posts WHERE reading_time::text = '-1 mons +1 day'",
    "a range to infinity": "FROM ab_tests WHERE upper(window_) = 'infinity'",
    "a range without ends": "FROM ab_tests WHERE lower_inf(window_) AND upper_inf(window_)",
    "an empty range": "FROM ab_tests WHERE isempty(window_)",
    # containers
    "arrays that begin at 0": "FROM products WHERE array_lower(variants, 1) = 0 AND array_lower(tags, 1) = 0",
    "arrays of two dimensions": "FROM products WHERE array_ndims(variants) = 2",
    "NULL and 'NULL' in an array": "FROM products WHERE tags::text LIKE '%\"NULL\",NULL,%'",
    "NaN and NULL in numeric[]": "FROM ab_tests WHERE traffic_split::text LIKE ANY ('{%NULL%,%NaN%}') HAVING count(*) = 2",
    "points with NaN and minus zero": "FROM attribution_touchpoints WHERE geo::text IN ('(-0,0)', '(NaN,Infinity)') HAVING count(*) = 2",
    "bytes of every kind": "FROM creators WHERE w9_pdf IN ('\\x', '\\x00') HAVING count(*) = 2",
    "networks with host bits": "FROM customers WHERE last_ip::text = '10.1.2.3/8'",
    "a generated search vector": "FROM products WHERE search @@ to_tsquery('english', 'run')",
    # keys
    "orphans behind the key that was never validated": """FROM line_items i WHERE order_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM orders o WHERE o.id = i.order_id)""",
    "customers that are '', guest and gone": "FROM orders WHERE customer_id IN ('', 'guest', 'cust_gone') HAVING count(DISTINCT customer_id) = 3",
    "a creator with a trailing blank": "FROM landing_pages WHERE creator_id = 'special_a_canary '",
    "exact duplicates without a key": "FROM (SELECT FROM attribution_touchpoints t GROUP BY t.*::text HAVING count(*) = 3) AS same",
    "duplicates among the drawn rows": "FROM (SELECT FROM attribution_touchpoints t WHERE session_id LIKE 'sess%' GROUP BY t.*::text HAVING count(*) = 2) AS same",
    "a referrer that comes later": "FROM creators WHERE referred_by > id",
    "a creator that refers to itself": "FROM creators WHERE referred_by = id",
    "a ring of projects": "FROM creator_projects a JOIN creator_projects b ON a.parent_id = b.id AND b.parent_id = a.id AND a.id <> b.id",
    "ids of every make": "FROM customers WHERE id = 'cust_00012' OR id ~ '^\\d+$' OR id ~ '^[0-9a-f-]{36}$' HAVING count(*) > 2",
    "ids that differ in case and blanks": "FROM customers WHERE trim(lower(id)) = 'special_canary' HAVING count(*) = 3",
    "order numbers that begin anew": "FROM (SELECT FROM orders GROUP BY order_number HAVING count(*) > 1) AS again",
    "no idempotency key, more than once": "FROM balance_transactions WHERE idempotency_key IS NULL HAVING count(*) > 1",
    "a state with a blank": "FROM orders WHERE state = 'In Dispute'",
    # size
    "a page of 200 kB": "FROM landing_pages WHERE length(html) > 200000",
    "a contract of 300 kB": "FROM esign_documents WHERE length(signed_pdf_base64) = 300000",
    "a payload of 50 kB": "FROM orders WHERE length(raw_payload::text) > 50000",
}


@pytest.fixture(scope="module")
def source(server_url: str) -> Iterator[psycopg.Connection]:
    """One clean source for all claims, dropped at the end."""
    name = "rawdog_source_claims"
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    load(url, scale=SCALE)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET lc_monetary = 'C'; SET extra_float_digits = 1")
        yield connection
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(drop)


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_source_holds(source: psycopg.Connection, claim: str) -> None:
    # A claim with HAVING yields no row when it does not hold, one without yields 0.
    found = source.execute(f"SELECT count(*) {CLAIMS[claim]}".encode()).fetchone()

    assert found is not None
    assert found[0] > 0


def test_the_clean_source_has_these_rows(source: psycopg.Connection) -> None:
    assert {table: _number(source, f"SELECT count(*) FROM {table}") for table in TABLES} == ROWS


def test_every_canary_is_in_its_column(source: psycopg.Connection) -> None:
    tables = tomllib.loads((ROOT / "rawdog.toml").read_text(encoding="utf-8"))["table"]
    without = {
        (table, column)
        for table, rules in tables.items()
        for column in rules.get("encrypt", ())
        if not _number(source, _count_marked(source, table, column))
    }

    no_text = {"birthday", "last_ip", "client_ip", "card_last4", "signer_ip", "geo", "ip"}
    assert {column for _, column in without} <= no_text


def test_every_foreign_key_but_the_late_one_holds(source: psycopg.Connection) -> None:
    keys = source.execute("SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f'").fetchall()

    assert {name for name, validated in keys if not validated} == {"line_items_order_fk"}
    assert len(keys) == 6
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        source.execute("ALTER TABLE line_items VALIDATE CONSTRAINT line_items_order_fk")


def test_sequences_stand_behind_the_last_row(source: psycopg.Connection) -> None:
    inserted = source.execute(
        "INSERT INTO balance_transactions (amount_cents) VALUES (1) RETURNING id, id = (SELECT max(id) + 1 FROM balance_transactions)"
    ).fetchone()

    assert inserted is not None
    source.execute("DELETE FROM balance_transactions WHERE id = %s", [inserted[0]])
    assert inserted[1]


def test_every_gross_sale_and_share_of_the_clean_source_can_be_converted(source: psycopg.Connection) -> None:
    assert _number(source, "SELECT count(gross_sales_cents::bigint) FROM orders") > 0
    assert not _number(
        source, "SELECT count(*) FROM creators WHERE commission_percent !~ '^ *([0-9]+([.,][0-9]+)? *%? *)?$'"
    )


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(make_database: MakeDatabase) -> None:
    first, again, other = make_database(), make_database(), make_database()
    load(first, scale=0.001)
    load(again, scale=0.001)
    load(other, scale=0.001, seed=2)

    assert _fingerprints(first) == _fingerprints(again)
    assert all(_fingerprints(first)[table] != _fingerprints(other)[table] for table in TABLES)


def test_mess_adds_what_cannot_be_converted_and_nothing_else(make_database: MakeDatabase) -> None:
    url = make_database()
    rows = load(url, scale=SCALE, mess=True)

    added = {table: rows[table] - ROWS[table] for table in TABLES if rows[table] != ROWS[table]}
    assert added == {
        "orders": 6,
        "line_items": 2,
        "creators": 4,
        "creator_projects": 2,
        "balance_transactions": 2,
        "withdrawal_requests": 1,
    }
    with psycopg.connect(url, autocommit=True) as connection:
        for row in MESS:
            value = connection.execute(
                f"SELECT {row.column}::text FROM {row.table} WHERE id = %s".encode(), row.key
            ).fetchone()
            assert value is not None
            convert = "SELECT %s::numeric::bigint" if row.table == "orders" else "SELECT rtrim(%s, '%% ')::float8"
            with pytest.raises((psycopg.errors.DataError, psycopg.errors.FeatureNotSupported)):
                connection.execute(convert, value)
        quarantined = [row.key[0] for row in MESS]
        for key in WAITING:
            waiting = connection.execute(
                f"SELECT count(*) FROM {key.table} WHERE {key.columns[0]} = ANY (%s)".encode(), [quarantined]
            ).fetchone()
            assert waiting == (key.rows,)


def test_a_database_that_has_such_tables_is_refused_and_replaced_only_on_demand(make_database: MakeDatabase) -> None:
    url = make_database("CREATE TABLE mine (id int); CREATE TABLE orders (id int); INSERT INTO mine VALUES (1)")

    with pytest.raises(Refused, match=r"1 of RAWDOG's 14 tables already: orders") as refused:
        load(url, scale=0.001)
    assert "--replace" in refused.value.hint

    load(url, scale=0.001, replace=True)
    before = _fingerprints(url)
    load(url, scale=0.001, replace=True)
    assert _fingerprints(url) == before
    with psycopg.connect(url) as connection:
        assert _number(connection, "SELECT count(*) FROM mine") == 1


def test_a_load_that_fails_leaves_nothing(make_database: MakeDatabase) -> None:
    url = make_database("CREATE TYPE order_state AS ENUM ('somebody else''s')")

    with pytest.raises(Unavailable, match="nothing was kept"):
        load(url, scale=0.001)

    with psycopg.connect(url) as connection:
        assert _number(connection, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0


def test_the_report_hears_each_table_and_big_documents_have_the_size_asked_for(make_database: MakeDatabase) -> None:
    url = make_database()
    heard: dict[str, int] = {}

    rows = load(url, scale=0.001, big_bytes=1_000_000, report=lambda table, count: heard.update({table: count}))

    assert heard == rows
    with psycopg.connect(url) as connection:
        assert _number(connection, "SELECT max(length(signed_pdf_base64)) FROM esign_documents") == 1_000_000


def test_the_command_fills_a_database_and_says_what_is_wrong(make_database: MakeDatabase) -> None:
    url = make_database()

    done = _rawdog("--scale", "0.001", "--mess", url)
    again = _rawdog("--scale", "0.001", url)

    assert done.returncode == 0
    assert len(re.findall(r"^\w+: \d+ rows$", done.stdout, re.MULTILINE)) == len(TABLES)
    assert again.returncode == 4
    assert again.stderr.startswith("error: the database has 14 of RAWDOG's 14 tables already")
    assert _rawdog("--scale", "0", url).returncode == 2
    nowhere = _rawdog("postgresql://me:hidden@127.0.0.1:1/nowhere")
    assert nowhere.returncode == 4
    assert "cannot connect" in nowhere.stderr
    misspelt = _rawdog("postgres//me:hidden@host/nowhere")
    assert "not named by a URL" in misspelt.stderr
    assert "hidden" not in nowhere.stderr + misspelt.stderr


def _rawdog(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "embedded.rawdog", *args], cwd=ROOT, capture_output=True, text=True, check=False
    )


def _number(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def _count_marked(connection: psycopg.Connection, table: str, column: str) -> str:
    """A query for the rows whose column holds its canary, also inside bytes."""
    is_bytes = _number(
        connection,
        f"SELECT count(*) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = '{column}' AND atttypid = 'bytea'::regtype",
    )
    text = f"encode({column}, 'escape')" if is_bytes else f"{column}::text"
    return f"SELECT count(*) FROM {table} WHERE {text} LIKE '%{CANARY}{table}-{column}%'"


def _fingerprints(url: str) -> dict[str, str]:
    """Digest of all rows of each table, whatever their order."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET lc_monetary = 'C'")
        return {
            table: str(
                connection.execute(
                    f"SELECT md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM {table} AS t".encode()
                ).fetchone()
            )
            for table in TABLES
        }
