-- Names: of tables, columns, types, constraints and indexes that need quotes, or are no names to Avro or Kafka.
CREATE TABLE "Mixed Case" ("Id" integer PRIMARY KEY, "Some ""quoted"" name" text, "dot.ted" text UNIQUE, "select" text NOT NULL DEFAULT 'x');
INSERT INTO "Mixed Case" VALUES (1, 'a', 'b'), (2, NULL, 'c');
CREATE TABLE "quo""te's" ("a""b" integer PRIMARY KEY, "c'd" text, "e\f" text, "%s" text, "{x}" text, "$1" text);
INSERT INTO "quo""te's" VALUES (1, '''', '\', '%', '{', '$');
CREATE TABLE "a-b" (id integer PRIMARY KEY, "a-b" integer, "a b" integer, "a.b" integer, "A B" integer, a_b integer);
CREATE TABLE "a b" (LIKE "a-b" INCLUDING ALL);
CREATE TABLE "a.b" (LIKE "a-b" INCLUDING ALL);
CREATE TABLE "A B" (LIKE "a-b" INCLUDING ALL);
CREATE TABLE a_b (LIKE "a-b" INCLUDING ALL);
INSERT INTO "a-b" VALUES (1, 1, 2, 3, 4, 5);
INSERT INTO "a b" VALUES (2, 1, 2, 3, 4, 5);
INSERT INTO "a.b" VALUES (3, 1, 2, 3, 4, 5);
INSERT INTO "A B" VALUES (4, 1, 2, 3, 4, 5);
INSERT INTO a_b VALUES (5, 1, 2, 3, 4, 5);
CREATE TABLE "emoji 🦊" ("🦊" integer PRIMARY KEY, "ключ" text, "价格" numeric CHECK ("价格" > 0), "1st" text, " " text, "_" text, "-" text);
INSERT INTO "emoji 🦊" VALUES (1, '🦊', 1, 'a', 'b', 'c', 'd');
CREATE INDEX "индекс 🦊" ON "emoji 🦊" ("ключ", lower(" "));
CREATE TABLE "new
line" ("col
umn" integer PRIMARY KEY, "tab	ulator" text, "comma,semi;colon" text, "--" text, "/*" text);
INSERT INTO "new
line" VALUES (1, 'a', 'b', 'c', 'd');
CREATE TABLE "select" ("from" integer PRIMARY KEY, "where" text UNIQUE, "user" text, "table" integer REFERENCES "select", "end" boolean, "null" text);
INSERT INTO "select" VALUES (1, 'a', 'b', NULL, true, NULL), (2, 'b', 'c', 1, false, 'x');
CREATE TABLE control (id integer PRIMARY KEY, n text);
CREATE TABLE _control (id integer PRIMARY KEY, n text);
CREATE TABLE "." (id integer PRIMARY KEY);
CREATE TABLE ".." (id integer PRIMARY KEY);
CREATE TABLE "100% %s" ("%" integer PRIMARY KEY, "%s" integer REFERENCES "100% %s");
INSERT INTO "100% %s" VALUES (1, NULL), (2, 1), (3, 2);
INSERT INTO control VALUES (1, 'x'); INSERT INTO _control VALUES (2, 'y'); INSERT INTO "." VALUES (3); INSERT INTO ".." VALUES (4);
CREATE TABLE "sixty three bytes ééééééééééééééééééééééééééééééééééééé, ee" (
  "é id sixty three bytes éééééééééééééééééééé" serial PRIMARY KEY,
  "x sixty three bytes éééééééééééééééééééé_xy" text UNIQUE CHECK ("x sixty three bytes éééééééééééééééééééé_xy" <> ''),
  y integer);
INSERT INTO "sixty three bytes ééééééééééééééééééééééééééééééééééééé, ee" DEFAULT VALUES;
-- columns named as the programs' own statements name things
CREATE TABLE ours (t integer, s text, o text, c text, p text, excluded integer, n text, key text, id text, "offset" text, v text, h text, hash text, row text, rows text, PRIMARY KEY (t, s, excluded));
INSERT INTO ours VALUES (1, 'a', 'b', 'c', 'd', 2, 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm'), (1, 'a', '', NULL, '', 3, '', '', '', '', '', '', '', '', '');
CREATE TABLE patterns ("*" integer PRIMARY KEY, "^.*$" text, "^x$" bytea, x bytea, "self" text, "**" real);
INSERT INTO patterns VALUES (1, 'a', '\x01', '\x02', 'b', 1.5), (2, NULL, '', NULL, repeat('c', 70000), NULL);
CREATE TABLE t (t integer PRIMARY KEY, ctid_ text, "xmin " text);
CREATE TABLE s (s integer PRIMARY KEY, t integer REFERENCES t, u integer REFERENCES s);
CREATE TABLE o (o integer, o2 text);
CREATE TABLE excluded (excluded integer PRIMARY KEY, excluded2 integer DEFAULT 3);
INSERT INTO t VALUES (1, 'a', 'b'); INSERT INTO s VALUES (1, 1, NULL), (2, NULL, 1); INSERT INTO o VALUES (1, 'x'), (1, 'x'); INSERT INTO excluded VALUES (1);
-- types and sequences with names that need quotes
CREATE TYPE "Mood, of" AS ENUM ('so "so"', 'a,b', '');
CREATE DOMAIN "no more" AS text CONSTRAINT "is ""short""" CHECK (length(VALUE) < 9);
CREATE TYPE "pa ir" AS ("first one" integer, "sec""ond" "Mood, of");
CREATE SEQUENCE "Se quence";
CREATE TABLE "typed" (id integer PRIMARY KEY DEFAULT nextval('"Se quence"'), m "Mood, of" DEFAULT 'a,b', d "no more", p "pa ir", ms "Mood, of"[]);
INSERT INTO "typed" (d, p, ms) VALUES ('x', ROW(1, 'so "so"'), '{"a,b",""}'), (NULL, NULL, NULL);
-- a type named as a table of Kafka's or ours is, a key named as a table is
CREATE TABLE "user" (id integer CONSTRAINT "the ""key""" PRIMARY KEY, e text CONSTRAINT "unique" UNIQUE);
INSERT INTO "user" VALUES (1, 'a'), (2, NULL);
