-- Several schemas of the source in the tenant's one: `public`, `Sales Dept` and `b`, whose names collide in every
-- way that names can; `../several/merged.sql` does with ALTER what the migration beside it says.
CREATE EXTENSION IF NOT EXISTS citext;
CREATE SCHEMA "Sales Dept";
CREATE SCHEMA b;
CREATE SCHEMA not_looked_into;

CREATE TYPE mood AS ENUM ('sad', 'b.mood', 'ok');
CREATE TYPE b.mood AS ENUM ('other', 'ok');
CREATE DOMAIN b.code AS text CHECK (VALUE <> 'b.code') DEFAULT 'b';
CREATE DOMAIN "Sales Dept".code AS b.code CHECK (VALUE <> 'x');
CREATE TYPE b.pair AS (m b.mood, n mood, "Sales Dept" text);
CREATE TYPE "Sales Dept"."select" AS (p b.pair[], m public.mood);
CREATE TYPE span AS RANGE (subtype = integer);
CREATE TYPE b.span AS RANGE (subtype = numeric);
CREATE TYPE b.only_here AS ENUM ('b', 'public');
CREATE SEQUENCE b.shared START 5;
CREATE SEQUENCE "Sales Dept".shared START 50;

CREATE TABLE orders (id serial PRIMARY KEY, m mood NOT NULL DEFAULT 'b.mood', s span, b text, e citext, CONSTRAINT orders_check CHECK (m <> 'sad'::mood));
CREATE INDEX orders_m ON orders (m);
CREATE TABLE b.orders (
  id serial PRIMARY KEY, m b.mood DEFAULT 'other', public_m mood, s b.span, c b.code, p b.pair, o b.only_here DEFAULT 'public',
  public_id integer REFERENCES public.orders, up integer REFERENCES b.orders, e citext UNIQUE,
  g text GENERATED ALWAYS AS (CASE WHEN m = 'other'::b.mood THEN 'b.mood' ELSE 'x' END) STORED,
  CONSTRAINT orders_check CHECK (m <> 'ok'::b.mood AND (p).n <> 'sad'::public.mood),
  CONSTRAINT whole CHECK (b.orders.* IS NOT NULL OR true),
  EXCLUDE USING gist (s WITH &&)
);
CREATE UNIQUE INDEX orders_m ON b.orders (m, ((p).m), id) WHERE o = 'public'::b.only_here;
CREATE TABLE "Sales Dept".orders (
  id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 10) PRIMARY KEY, c "Sales Dept".code DEFAULT 'a', w "Sales Dept"."select", ms mood[], bms b.mood[],
  n integer DEFAULT nextval('b.shared'), k integer DEFAULT nextval('"Sales Dept".shared'), FOREIGN KEY (n) REFERENCES b.orders DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE "Sales Dept".key_of_type (m b.mood, s mood, c "Sales Dept".code, n integer, PRIMARY KEY (m, s, c));
CREATE TABLE b.draws (id integer PRIMARY KEY DEFAULT nextval('b.shared'), t public.mood);
-- tables named as another schema's type and index
CREATE TABLE "Sales Dept".only_here (id integer PRIMARY KEY);
CREATE TABLE "Sales Dept".orders_m (id integer PRIMARY KEY, "Mixed Case" integer UNIQUE);
-- partitions and inheritance across the schemas
CREATE TABLE parts (id integer, m b.mood, PRIMARY KEY (id, m)) PARTITION BY LIST (m);
CREATE TABLE b.parts PARTITION OF public.parts FOR VALUES IN ('other');
CREATE TABLE "Sales Dept".parts PARTITION OF public.parts DEFAULT PARTITION BY RANGE (id);
CREATE TABLE not_looked_into.parts PARTITION OF "Sales Dept".parts FOR VALUES FROM (0) TO (100);
CREATE INDEX parts_own ON b.parts (m) WHERE m = 'other'::b.mood;
ALTER TABLE not_looked_into.parts ALTER m SET DEFAULT 'ok';
CREATE TABLE of_parts (id integer, m b.mood, FOREIGN KEY (id, m) REFERENCES parts);
CREATE TABLE animal (id integer PRIMARY KEY, m b.mood);
CREATE TABLE b.animal (tail boolean) INHERITS (public.animal);
CREATE TABLE plain (id integer PRIMARY KEY, t text);

INSERT INTO orders (m, s, b, e) SELECT 'ok', span(n, n + 2), 'b.orders', 'E' || n FROM generate_series(1, 9) n;
INSERT INTO b.orders (m, public_m, s, p, public_id, up, e)
  SELECT 'other', 'b.mood', b.span(n, n + 1), ROW ('ok', 'b.mood', 'x')::b.pair, n, n, 'É' || n FROM generate_series(1, 9) n;
INSERT INTO "Sales Dept".orders (w, ms, bms)
  SELECT ROW (ARRAY[ROW ('ok', 'sad', 'y')::b.pair], 'ok')::"Sales Dept"."select", '{ok,sad}', '{other,NULL}' FROM generate_series(1, 4) n;
INSERT INTO "Sales Dept".key_of_type SELECT 'other', 'b.mood', 'c' || n, n FROM generate_series(1, 9) n;
INSERT INTO b.draws (t) SELECT 'ok' FROM generate_series(1, 4);
INSERT INTO "Sales Dept".only_here VALUES (1); INSERT INTO "Sales Dept".orders_m VALUES (1, 2);
INSERT INTO parts SELECT n, (ARRAY['other', 'ok'])[1 + n % 2]::b.mood FROM generate_series(1, 20) n;
INSERT INTO of_parts SELECT * FROM parts;
INSERT INTO animal VALUES (1, 'ok'); INSERT INTO b.animal VALUES (1, 'ok', true), (2, NULL, NULL);
INSERT INTO plain VALUES (1, 'x');
