"""What the target lacks is told by the plan and by pre-data, whole, before a row is applied; or left out by name."""

from __future__ import annotations

from pathlib import Path

from tests.integration.test_target_that_exists import moved

SOURCE = """
CREATE FUNCTION slug(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
CREATE TEXT SEARCH CONFIGURATION mine (COPY = english);
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE OPERATOR CLASS odd_ops FOR TYPE int4 USING btree AS OPERATOR 3 =, FUNCTION 1 btint4cmp(int4, int4);
CREATE TABLE posts (id int PRIMARY KEY, title text DEFAULT slug('New'), body text,
  CHECK (slug(title) <> ''), CONSTRAINT "odd one" CHECK (title === title), EXCLUDE USING btree (slug(title) WITH =));
CREATE INDEX posts_slug ON posts (slug(title));
CREATE UNIQUE INDEX posts_some ON posts (title) WHERE slug(title) > 'm';
CREATE INDEX posts_words ON posts USING gin (to_tsvector('mine', body));
CREATE INDEX posts_odd ON posts (id odd_ops);
CREATE TABLE plain (id serial PRIMARY KEY, post int REFERENCES posts, note text UNIQUE DEFAULT 'x');
INSERT INTO posts (id, title) SELECT n, 'p' || n FROM generate_series(1, 20) AS n;
INSERT INTO plain (post, note) SELECT n, n FROM generate_series(1, 20) AS n;
"""
LACKING = (
    "title",
    "posts_title_check",
    "odd one",
    "posts_slug_excl",
    "posts_slug",
    "posts_some",
    "posts_words",
    "posts_odd",
)
LEFT_OUT = "[table.posts.leave_out]\n" + "".join(f'"{name}" = "made by the shop itself"\n' for name in LACKING)


def test_what_the_target_lacks_is_named_whole_before_a_row_comes_and_may_be_left_out(
    server_url: str, bootstrap: str, tmp_path: Path, prefix: str
) -> None:
    with moved(server_url, bootstrap, tmp_path, prefix, SOURCE) as tenant:
        planned = tenant("producer", "plan", code=2).stdout
        refused = tenant.load(code=4).stderr

        for name in LACKING:
            assert f'"{name}"' in planned
            assert f'"{name}"' in refused
        assert tenant.target(f"SELECT count(*) FROM pg_namespace WHERE nspname IN ('{tenant.schema}')") == [(0,)]
        assert tenant.target("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replicator\\_r%'") == [(0,)]

        with Path(tenant.environment["MIGRATION"]).open("a") as file:
            file.write(LEFT_OUT)
        tenant("producer", "plan")
        tenant.load()

        report = tenant("validator", "reconcile", "--json").stdout
        assert "made by the shop itself" in report
        assert tenant.target("SELECT count(*) FROM posts") == [(20,)]


def test_what_somebody_has_made_in_the_target_is_enough(
    server_url: str, bootstrap: str, tmp_path: Path, prefix: str
) -> None:
    with moved(server_url, bootstrap, tmp_path, prefix, SOURCE) as tenant:
        made = ";".join(SOURCE.split(";")[:4]).replace("FUNCTION = texteq", "FUNCTION = pg_catalog.texteq")
        tenant.target(f"CREATE SCHEMA {tenant.schema}; SET search_path = {tenant.schema}; {made}")

        tenant("producer", "plan")
        tenant.load()

        tenant("validator", "reconcile")
        assert tenant.target("SELECT count(*) FROM pg_indexes WHERE tablename = 'posts'") == [(6,)]


def test_only_what_is_there_and_rows_do_not_need_can_be_left_out(
    server_url: str, bootstrap: str, tmp_path: Path, prefix: str
) -> None:
    with moved(server_url, bootstrap, tmp_path, prefix, "CREATE TABLE t (id int PRIMARY KEY, n int)") as tenant:
        with Path(tenant.environment["MIGRATION"]).open("a") as file:
            file.write('[table.t.leave_out]\nt_pkey = "no"\nn = "no default"\n')

        refused = tenant("producer", "plan", code=2).stdout

        assert '"t_pkey" that can be left out' in refused
        assert '"n" that can be left out' in refused
