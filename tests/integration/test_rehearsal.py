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


PARTITIONED = """
CREATE FUNCTION slug(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
CREATE TABLE parts (id int PRIMARY KEY, t text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE INDEX own_index ON parts_1 (slug(t));
ALTER TABLE parts_1 ADD CONSTRAINT own_check CHECK (slug(t) <> ''), ALTER t SET DEFAULT slug('X');
INSERT INTO parts VALUES (1, 'a');
"""


def test_what_a_single_partition_needs_is_named_too(
    server_url: str, bootstrap: str, tmp_path: Path, prefix: str
) -> None:
    with moved(server_url, bootstrap, tmp_path, prefix, PARTITIONED) as tenant:
        planned = tenant("producer", "plan", code=2).stdout

        for name in ("own_index", "own_check", "slug('X'::text)"):
            assert name in planned
        assert planned.count('its partition "parts_1"') == 3


OF_POSTGRESQL = """
CREATE TYPE public.path AS ENUM ('up', 'down');
CREATE TABLE public.pg_class (oid int PRIMARY KEY, relname text DEFAULT 'x', way public.path);
CREATE TABLE line (id int PRIMARY KEY, "from" int REFERENCES public.pg_class, way public.path DEFAULT 'up');
INSERT INTO public.pg_class VALUES (1, 'a', 'down');
INSERT INTO line VALUES (1, 1);
"""
OTHER_NAMES = '[rename.public]\npg_class = "public_pg_class"\npath = "public_path"\n'


def test_names_that_mean_something_of_postgresqls_own_need_others(
    server_url: str, bootstrap: str, tmp_path: Path, prefix: str
) -> None:
    plain = tmp_path / "plain.toml"
    plain.write_text(f'tenant = "{prefix}"\ntables = "*"\n')
    with moved(server_url, bootstrap, tmp_path, prefix, OF_POSTGRESQL, OTHER_NAMES) as tenant:
        refused = tenant("producer", "plan", code=2, MIGRATION=str(plain)).stderr
        for line in OTHER_NAMES.splitlines():
            assert line in refused
        assert "line =" not in refused  # a table may be called so: nothing means its type by the bare name

        tenant.load()

        tenant("validator", "reconcile")
        assert tenant.target("SELECT oid, relname, way::text FROM public_pg_class") == [(1, "a", "down")]


def test_a_table_renamed_at_the_source_is_refused_with_the_way_out(
    server_url: str, bootstrap: str, tmp_path: Path, prefix: str
) -> None:
    with moved(server_url, bootstrap, tmp_path, prefix, "CREATE TABLE old (id int PRIMARY KEY)") as tenant:
        tenant.load()
        tenant.source("ALTER TABLE old RENAME TO new; INSERT INTO new VALUES (1)")
        tenant("producer", "snapshot")

        refused = tenant.load(code=4).stderr
        assert 'was built from another catalogue: relation "old_pkey" already exists' in refused
        assert "consumer rollback" in refused

        tenant("consumer", "rollback", "--yes")
        tenant("producer", "drop-log", "--yes")
        tenant("producer", "snapshot")
        tenant.load()
        assert tenant.target("SELECT id FROM new") == [(1,)]
