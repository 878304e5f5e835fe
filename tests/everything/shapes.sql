-- Shapes of tables: keys, constraints, generated columns, identities, sequences, partitions, inheritance.
-- Part of the database `everything`; moved and compared by tests/acceptance/test_everything.py.
CREATE EXTENSION IF NOT EXISTS citext;
CREATE TYPE size AS ENUM ('small', 'large', 'Small');
CREATE DOMAIN code AS text CHECK (VALUE ~ '^[a-z ]*$');

-- no key at all, rows twice
CREATE TABLE no_key (a integer, b text, c numeric);
INSERT INTO no_key VALUES (1, 'x', 'NaN'), (1, 'x', 'NaN'), (NULL, NULL, NULL), (NULL, NULL, NULL), (2, '', 1.10), (2, '', 1.1);
-- a unique key of columns that may be null is no key
CREATE TABLE nullable_key (a integer UNIQUE, b text);
INSERT INTO nullable_key VALUES (1, 'x'), (NULL, 'y'), (NULL, 'y');
-- a unique constraint, a plain unique index: both name rows
CREATE TABLE key_of_constraint (a integer NOT NULL, b text NOT NULL, c integer, UNIQUE (a, b));
INSERT INTO key_of_constraint SELECT n % 3, n::text, n FROM generate_series(1, 20) n;
CREATE TABLE key_of_index (a integer NOT NULL, b text NOT NULL, c integer);
CREATE UNIQUE INDEX key_of_index_rows ON key_of_index (b DESC, a) INCLUDE (c);
CREATE INDEX key_of_index_c ON key_of_index USING hash (c);
INSERT INTO key_of_index SELECT n % 3, n::text, n FROM generate_series(1, 20) n;
-- none of these indexes can name rows
CREATE TABLE key_of_nothing (a integer NOT NULL, b text NOT NULL);
CREATE UNIQUE INDEX key_of_nothing_part ON key_of_nothing (a) WHERE a > 0;
CREATE UNIQUE INDEX key_of_nothing_lower ON key_of_nothing (a, lower(b));
INSERT INTO key_of_nothing VALUES (0, 'x'), (0, 'y'), (-1, 'X'), (1, 'z');

-- keys of every type
CREATE TABLE key_text (a text COLLATE "C", b varchar(9), c char(4), d citext, n integer, PRIMARY KEY (a, b, c, d));
INSERT INTO key_text VALUES ('a', 'a', 'a', 'a', 1), ('A', 'a', 'a', 'a', 2), ('a', 'B', 'a', 'a', 3), ('a', 'a', 'b  ', 'É', 4), ('', '', '', '', 5), (' a', E'\n', 'ü', '"', 6);
CREATE TABLE key_citext (a citext PRIMARY KEY, n integer);
INSERT INTO key_citext VALUES ('Abc', 1), ('abd', 2), ('ABE', 3);
CREATE TABLE key_numeric (a numeric PRIMARY KEY, n integer);
INSERT INTO key_numeric VALUES ('NaN', 1), (1.10, 2), (-0.5, 3), (0, 4), (1e20, 5), ('Infinity', 6), ('-Infinity', 7);
CREATE TABLE key_mixed (a uuid, b bytea, c timestamptz, d date, e double precision, f size, g code, h boolean, i inet, j interval, PRIMARY KEY (a, b, c, d, e, f, g, h, i, j));
INSERT INTO key_mixed VALUES
  ('00000000-0000-0000-0000-000000000001', '\x00ff', 'infinity', '-infinity', 'NaN', 'Small', 'a b', true, '::1', '1 mon'),
  ('00000000-0000-0000-0000-000000000001', '\x', '-infinity', 'infinity', '-Infinity', 'large', '', false, '10.0.0.1', '-1 day'),
  ('00000000-0000-0000-0000-000000000002', '\x00', '2026-01-01 00:00:00.000001+00', '4713-01-01 BC', '-0', 'small', ' ', true, '10.0.0.0/8', '0');
CREATE TABLE key_array (a integer[], b int4range, c text[] NOT NULL, PRIMARY KEY (a, b));
INSERT INTO key_array VALUES ('{1,2}', '[1,2)', '{"a,b",NULL,""}'), ('[0:1]={1,2}', 'empty', '{}'), ('{}', '(,)', '{}');
DO $$ BEGIN
  CREATE COLLATION alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE TABLE key_alike (a text COLLATE alike PRIMARY KEY, n integer);
  INSERT INTO key_alike VALUES ('Abc', 1), ('abd', 2);
EXCEPTION WHEN feature_not_supported OR undefined_object THEN NULL;  -- a server without ICU
END $$;

-- foreign keys
CREATE TABLE parent (id integer PRIMARY KEY, code text NOT NULL UNIQUE, a integer, b integer, UNIQUE (b, a));
CREATE UNIQUE INDEX parent_by_index ON parent (a, code);
INSERT INTO parent SELECT n, 'c' || n, n, n % 5 FROM generate_series(1, 20) n;
CREATE TABLE child (
  id integer PRIMARY KEY,
  code text REFERENCES parent (code) ON DELETE SET NULL ON UPDATE CASCADE,
  a integer, b integer, pa integer, pc text,
  FOREIGN KEY (b, a) REFERENCES parent (b, a) MATCH FULL ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT by_index FOREIGN KEY (pa, pc) REFERENCES parent (a, code) DEFERRABLE
);
INSERT INTO child SELECT n, 'c' || n, n, n % 5, n, CASE WHEN n % 2 = 0 THEN 'c' || n END FROM generate_series(1, 20) n;
CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree, other integer REFERENCES tree ON DELETE SET NULL DEFERRABLE);
INSERT INTO tree VALUES (1, NULL, NULL), (2, 1, 1), (3, 3, 2);
UPDATE tree SET up = 3 WHERE id = 2;
CREATE TABLE ring_a (id integer PRIMARY KEY, b integer);
CREATE TABLE ring_b (id integer PRIMARY KEY, c integer);
CREATE TABLE ring_c (id integer PRIMARY KEY, a integer REFERENCES ring_a DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE ring_a ADD FOREIGN KEY (b) REFERENCES ring_b;
ALTER TABLE ring_b ADD FOREIGN KEY (c) REFERENCES ring_c;
INSERT INTO ring_a SELECT n, NULL FROM generate_series(1, 5) n;
INSERT INTO ring_c SELECT n, n FROM generate_series(1, 5) n;
INSERT INTO ring_b SELECT n, n FROM generate_series(1, 5) n;
UPDATE ring_a SET b = id;
CREATE TABLE orphan (id integer PRIMARY KEY, parent_id integer);
INSERT INTO orphan VALUES (1, 1), (2, 999), (3, NULL);
ALTER TABLE orphan ADD CONSTRAINT orphan_parent FOREIGN KEY (parent_id) REFERENCES parent NOT VALID;
ALTER TABLE orphan ADD CONSTRAINT orphan_check CHECK (parent_id < 500) NOT VALID;
ALTER TABLE orphan ADD CONSTRAINT orphan_id CHECK (id > 0) NO INHERIT;

-- unique indexes, exclusion, deferrable keys
CREATE TABLE uniques (id integer PRIMARY KEY, a text, b text, c integer UNIQUE DEFERRABLE INITIALLY DEFERRED, d point, e int4range);
CREATE UNIQUE INDEX uniques_lower ON uniques (lower(a), coalesce(b, ''));
CREATE UNIQUE INDEX uniques_part ON uniques (b) WHERE a IS NOT NULL;
CREATE INDEX "uniques brin" ON uniques USING brin (id) WITH (pages_per_range = 4);
CREATE INDEX uniques_sorted ON uniques (a COLLATE "C" DESC NULLS LAST, b text_pattern_ops) INCLUDE (c);
ALTER TABLE uniques ADD CONSTRAINT uniques_no_overlap EXCLUDE USING gist (e WITH &&) WHERE (id > 0);
INSERT INTO uniques SELECT n, 'A' || n, 'b' || n, n, point(n, n), int4range(n, n + 1) FROM generate_series(1, 10) n;
CREATE TABLE deferrable_key (id integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, n integer);
INSERT INTO deferrable_key SELECT n, n FROM generate_series(1, 5) n;
CREATE TABLE including (id integer, n integer, m integer, PRIMARY KEY (id) INCLUDE (n), UNIQUE (m) INCLUDE (n) DEFERRABLE);
INSERT INTO including SELECT n, n, -n FROM generate_series(1, 5) n;
CREATE TABLE including_deferrable (id integer, n integer, PRIMARY KEY (id) INCLUDE (n) DEFERRABLE);
INSERT INTO including_deferrable SELECT n, n FROM generate_series(1, 5) n;
CREATE TABLE nulls_alike (a integer, b integer);
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    EXECUTE 'ALTER TABLE nulls_alike ADD UNIQUE NULLS NOT DISTINCT (a), ADD CHECK (a < 9); CREATE UNIQUE INDEX ON nulls_alike (b) NULLS NOT DISTINCT';
  END IF;
END $$;
INSERT INTO nulls_alike VALUES (NULL, 1), (1, NULL);

-- generated columns, identities, sequences, defaults
CREATE TABLE generated (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a integer, b integer GENERATED ALWAYS AS (a * 2) STORED, c text GENERATED ALWAYS AS ('x' || a::text) STORED NOT NULL);
INSERT INTO generated (a) SELECT n FROM generate_series(1, 10) n;
CREATE INDEX generated_b ON generated (b);
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 180000 THEN
    EXECUTE 'CREATE TABLE virtual (id integer PRIMARY KEY, v integer GENERATED ALWAYS AS (id * 3) VIRTUAL); INSERT INTO virtual VALUES (1), (2)';
  END IF;
END $$;
CREATE TABLE identities (id text PRIMARY KEY, always bigint GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 10), other smallint GENERATED BY DEFAULT AS IDENTITY (MINVALUE 0 MAXVALUE 200 CYCLE CACHE 5 START WITH 3));
INSERT INTO identities (id) SELECT n::text FROM generate_series(1, 10) n;
CREATE TABLE counting (id serial PRIMARY KEY, big bigserial, small smallserial, down integer NOT NULL);
CREATE SEQUENCE going_down AS integer INCREMENT BY -2 MINVALUE -1000 MAXVALUE -1 START WITH -1;
CREATE SEQUENCE "Shared seq" START WITH 50 INCREMENT BY 5;
ALTER TABLE counting ALTER down SET DEFAULT nextval('going_down');
INSERT INTO counting (id) SELECT nextval('counting_id_seq') FROM generate_series(1, 10);
CREATE TABLE shares_one (id bigint DEFAULT nextval('"Shared seq"') PRIMARY KEY);
CREATE TABLE shares_two (id numeric DEFAULT nextval('"Shared seq"') PRIMARY KEY);
INSERT INTO shares_one SELECT FROM generate_series(1, 3);
INSERT INTO shares_two SELECT FROM generate_series(1, 3);
INSERT INTO shares_one SELECT FROM generate_series(1, 1);
-- one column owns what others draw from; one has left its own for a shared one
CREATE SEQUENCE owned_by_another;
CREATE TABLE a_draws (id bigint DEFAULT nextval('owned_by_another') PRIMARY KEY, of_two bigint DEFAULT nextval('"Shared seq"') + 1000000);
CREATE TABLE b_owns (id serial PRIMARY KEY, n bigint);
ALTER SEQUENCE owned_by_another OWNED BY b_owns.n;
CREATE TABLE left_its_own (id serial PRIMARY KEY);
CREATE SEQUENCE only_there START WITH 900;
ALTER TABLE left_its_own ALTER id SET DEFAULT nextval('only_there');
INSERT INTO a_draws SELECT FROM generate_series(1, 3); INSERT INTO b_owns (n) VALUES (1); INSERT INTO left_its_own SELECT FROM generate_series(1, 3);
CREATE TABLE defaults (id integer PRIMARY KEY, a timestamptz DEFAULT now(), b text DEFAULT 'it''s \ "x"', c text[] DEFAULT '{a,b}', d size DEFAULT 'large', e text DEFAULT upper(current_user), f jsonb DEFAULT '{}');
INSERT INTO defaults (id) VALUES (1);

-- partitions
CREATE TABLE by_range (id integer NOT NULL, day date NOT NULL, n integer DEFAULT 3, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
CREATE TABLE by_range_2025 PARTITION OF by_range FOR VALUES FROM (MINVALUE) TO ('2026-01-01') PARTITION BY LIST (id);
CREATE TABLE by_range_2025_odd PARTITION OF by_range_2025 FOR VALUES IN (1, 3, 5, 7, 9);
CREATE TABLE by_range_2025_rest PARTITION OF by_range_2025 DEFAULT;
CREATE TABLE "by range 2026" PARTITION OF by_range FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE by_range_rest PARTITION OF by_range DEFAULT;
CREATE INDEX by_range_n ON by_range (n);
INSERT INTO by_range SELECT n, date '2025-06-01' + n * 90 FROM generate_series(1, 20) n;
CREATE TABLE by_hash (id integer, n text) PARTITION BY HASH (id);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO by_hash SELECT n % 7, n::text FROM generate_series(1, 30) n;
CREATE TABLE by_expression (id integer, s size) PARTITION BY LIST ((id % 2));
CREATE TABLE by_expression_0 PARTITION OF by_expression FOR VALUES IN (0, NULL);
CREATE TABLE by_expression_1 PARTITION OF by_expression FOR VALUES IN (1);
INSERT INTO by_expression SELECT n, 'Small' FROM generate_series(1, 5) n;
CREATE TABLE of_partitioned (id integer PRIMARY KEY, day date, range_id integer, FOREIGN KEY (day, range_id) REFERENCES by_range);
INSERT INTO of_partitioned SELECT id, day, id FROM by_range;
CREATE TABLE partitioned_child (id integer, tree_id integer REFERENCES tree, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE partitioned_child_1 PARTITION OF partitioned_child FOR VALUES FROM (1) TO (100);
INSERT INTO partitioned_child VALUES (1, 1), (2, 3);
CREATE TABLE of_one_partition (id integer PRIMARY KEY, day date, range_id integer, FOREIGN KEY (day, range_id) REFERENCES "by range 2026");
INSERT INTO of_one_partition SELECT id, day, id FROM "by range 2026";
CREATE TABLE by_collated (a integer, b text COLLATE "C", c text GENERATED ALWAYS AS (b || a::text) STORED) PARTITION BY RANGE (b, (a % 10));
CREATE TABLE by_collated_1 PARTITION OF by_collated FOR VALUES FROM ('a', 0) TO ('m', 5);
CREATE TABLE by_collated_2 PARTITION OF by_collated DEFAULT;
INSERT INTO by_collated SELECT n, chr(97 + n % 26) FROM generate_series(1, 60) n;
CREATE TABLE empty_partitioned (id integer) PARTITION BY RANGE (id);

-- inheritance, unlogged, empty, dropped columns, no columns, rows that views would count twice
CREATE TABLE animal (id integer PRIMARY KEY, name text CHECK (name <> ''));
CREATE TABLE dog (tail boolean) INHERITS (animal);
INSERT INTO animal VALUES (1, 'a'), (2, 'b');
INSERT INTO dog VALUES (2, 'c', true), (2, 'c', true);
CREATE UNLOGGED TABLE unlogged (id integer PRIMARY KEY, a text);
INSERT INTO unlogged SELECT n, 'x' FROM generate_series(1, 5) n;
CREATE TABLE nothing (id integer PRIMARY KEY, a text);
CREATE TABLE fewer (gone integer, id integer, gone_too text, a text NOT NULL, PRIMARY KEY (id));
INSERT INTO fewer SELECT n, n, 'x', 'y' FROM generate_series(1, 5) n;
ALTER TABLE fewer DROP gone, DROP gone_too, ADD late text DEFAULT 'late';
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE columns_1590 ();
DO $$ BEGIN
  EXECUTE (SELECT 'ALTER TABLE columns_1590 ' || string_agg('ADD c' || n || ' smallint', ', ' ORDER BY n) FROM generate_series(1, 1590) n);
  INSERT INTO columns_1590 (c1, c1590) VALUES (1, 2), (3, NULL);
END $$;
CREATE VIEW some_view AS SELECT * FROM no_key;
CREATE MATERIALIZED VIEW some_matview AS SELECT * FROM no_key;
CREATE TABLE "watched" (id integer PRIMARY KEY, a text);
ALTER TABLE watched ENABLE ROW LEVEL SECURITY;
INSERT INTO watched VALUES (1, 'a');

-- what only some servers have
CREATE TABLE ident_down (id smallint GENERATED BY DEFAULT AS IDENTITY (INCREMENT -3 MINVALUE -100 MAXVALUE 5 START 5), a integer GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME "My Seq" INCREMENT 7), b serial, PRIMARY KEY (id));
INSERT INTO ident_down (a) OVERRIDING SYSTEM VALUE SELECT n FROM generate_series(1, 5) n;
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'btree_gist') THEN
    CREATE EXTENSION IF NOT EXISTS btree_gist;
    CREATE TABLE excluding (id integer PRIMARY KEY, room integer, during tstzrange, EXCLUDE USING gist (room WITH =, during WITH &&) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO excluding VALUES (1, 1, '[2020-01-01,2021-01-01)'), (2, 1, '[2021-01-01,2022-01-01)');
    IF current_setting('server_version_num')::int >= 180000 THEN
      EXECUTE $since$
        CREATE TABLE room (id integer, during tstzrange, name text, CONSTRAINT room_pk PRIMARY KEY (id, during WITHOUT OVERLAPS));
        CREATE TABLE booking (id integer PRIMARY KEY, room integer, at tstzrange, FOREIGN KEY (room, PERIOD at) REFERENCES room (id, PERIOD during));
        INSERT INTO room VALUES (1, '[2020-01-01,2021-01-01)', 'a'), (1, '[2021-01-01,2022-01-01)', 'b'), (2, '[2020-01-01,)', 'c');
        INSERT INTO booking VALUES (1, 1, '[2020-06-01,2021-06-01)'), (2, 2, '[2025-01-01,2025-02-01)');
        CREATE TABLE not_enforced (id integer PRIMARY KEY, p integer, CONSTRAINT ne_c CHECK (p > 0) NOT ENFORCED, CONSTRAINT ne_f FOREIGN KEY (p) REFERENCES not_enforced NOT ENFORCED);
        INSERT INTO not_enforced VALUES (1, -5), (2, 1);
        CREATE TABLE not_nulls (id integer PRIMARY KEY, a integer, b integer CONSTRAINT "b named" NOT NULL);
        INSERT INTO not_nulls VALUES (1, NULL, 1);
        ALTER TABLE not_nulls ADD CONSTRAINT a_not_valid NOT NULL a NOT VALID;
      $since$;
    END IF;
  END IF;
END $$;

-- partitions that differ from their table, and from each other
CREATE TABLE differing (id bigint, day date, up_day date, up bigint, status text DEFAULT 'new', PRIMARY KEY (day, id)) PARTITION BY RANGE (day, id);
CREATE TABLE differing_1 (status text DEFAULT 'old', junk integer, id bigint NOT NULL, up bigint REFERENCES parent (id), day date NOT NULL, up_day date, CONSTRAINT own_check CHECK (id > 0), CONSTRAINT own_unique UNIQUE (id), CONSTRAINT "old key" PRIMARY KEY (day, id));
ALTER TABLE differing_1 DROP junk;
CREATE INDEX own_index ON differing_1 (status) WHERE status <> 'x';
CREATE INDEX "attached under its own name" ON differing_1 (status);
CREATE UNIQUE INDEX own_unique_index ON differing_1 (id, status);
CREATE INDEX differing_status ON differing (status);
ALTER TABLE differing ATTACH PARTITION differing_1 FOR VALUES FROM (MINVALUE, MINVALUE) TO ('2025-01-01', MINVALUE);
CREATE TABLE differing_2 PARTITION OF differing FOR VALUES FROM ('2025-01-01', MINVALUE) TO ('2026-01-01', MINVALUE) PARTITION BY HASH (id);
CREATE TABLE differing_2_0 PARTITION OF differing_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE differing_2_1 PARTITION OF differing_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
ALTER TABLE differing_2_1 ALTER status SET NOT NULL, ALTER status DROP DEFAULT;
CREATE INDEX own_of_two ON differing_2 (up);
CREATE UNLOGGED TABLE differing_3 PARTITION OF differing FOR VALUES FROM ('2026-01-01', MINVALUE) TO (MAXVALUE, MAXVALUE);
CREATE INDEX of_none ON ONLY differing (up);
ALTER INDEX differing_3_pkey RENAME TO differing_2_0_pkey_;
ALTER TABLE differing ADD CONSTRAINT differing_self FOREIGN KEY (up_day, up) REFERENCES differing (day, id);
INSERT INTO differing SELECT n, date '2024-06-01' + n * 30, NULL, CASE WHEN n < 5 THEN n END FROM generate_series(1, 40) n;
