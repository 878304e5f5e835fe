-- Types: every type with the values at its edges, and the types that a schema makes for itself.
-- Part of the database `everything`; moved and compared by tests/acceptance/test_everything.py.
CREATE EXTENSION IF NOT EXISTS citext;
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE EXTENSION IF NOT EXISTS ltree;
CREATE EXTENSION IF NOT EXISTS cube;
CREATE EXTENSION IF NOT EXISTS seg;
CREATE EXTENSION IF NOT EXISTS isn;
CREATE EXTENSION IF NOT EXISTS intarray;
CREATE EXTENSION IF NOT EXISTS lo;

-- numbers
CREATE TABLE type_numeric (id serial PRIMARY KEY, v numeric, wide numeric(108,9), price numeric(12,2), list numeric[]);
INSERT INTO type_numeric (v) SELECT unnest(ARRAY['NaN', 'Infinity', '-Infinity', '0', '-0.00', '1.10', '1.100', '1e131071', '1e-16383', repeat('7', 60)]::numeric[]);
INSERT INTO type_numeric (v) VALUES ((repeat('9', 131072) || '.' || repeat('9', 16383))::numeric), (('-' || repeat('1', 131072))::numeric);
INSERT INTO type_numeric (wide, price, list) VALUES
  ((repeat('9', 99) || '.123456789')::numeric, 9999999999.99, '{NaN,1.10,NULL,-Infinity}'), (-0.000000001, -0.01, '{}'), ('NaN', 'NaN', NULL), (1, 1.1, '[0:1]={1.0,1.00}');
CREATE TABLE type_integer (a smallint, b integer, c bigint, d oid, e xid8, f xid, g cid, h bigint[], PRIMARY KEY (a, b, c));
INSERT INTO type_integer VALUES (-32768, -2147483648, -9223372036854775808, 0, '0', '0', '0', '{-9223372036854775808,NULL}'),
  (32767, 2147483647, 9223372036854775807, 4294967295, '18446744073709551615', '4294967295', '4294967295', '[-3:-2]={1,2}'),
  (0, 0, 9007199254740993, 2147483648, '9223372036854775808', '3', '7', '{}');
CREATE TABLE type_float (id serial, a real, b double precision, c real[], d double precision[], p float(3));
INSERT INTO type_float (a, b, c, d, p) VALUES ('NaN', 'NaN', '{NaN,-0,Infinity}', '{NaN,-0,1e-320,NULL}', 1.5), ('Infinity', 'Infinity', NULL, NULL, NULL), ('-Infinity', '-Infinity', '{}', '{}', '-0'),
  ('-0', '-0', NULL, NULL, 0), (1e-45, 5e-324, NULL, NULL, 1), (3.4028235e38, 1.7976931348623157e308, NULL, NULL, 1), (16777217, 9007199254740993, NULL, NULL, 1),
  (3.3, 0.1, NULL, NULL, 1), (1.17549435e-38, 2.2250738585072014e-308, NULL, NULL, 1), (0.3, 0.30000000000000004, NULL, NULL, 1), (1e6, 1e15, NULL, NULL, 1e5);
CREATE TABLE type_money (id serial PRIMARY KEY, v money, list money[]);
INSERT INTO type_money (v, list) VALUES ('1234.56', '{1234.56,-0.01,NULL}'), ('-0.01', '{}'), (92233720368547758.07::numeric::money, NULL), ((-92233720368547758.08)::numeric::money, NULL), (NULL, NULL), ('0', NULL);
CREATE TABLE type_boolean (id serial PRIMARY KEY, v boolean, list boolean[]);
INSERT INTO type_boolean (v, list) VALUES (true, '{t,f,NULL}'), (false, '{}'), (NULL, NULL);
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    EXECUTE 'CREATE TABLE type_scale (id serial PRIMARY KEY, below numeric(5,-2), above numeric(3,5))';
    EXECUTE 'INSERT INTO type_scale (below, above) VALUES (1234567, 0.00999), (-9999900, -0.00001), (''NaN'', ''NaN''), (0, 0)';
  END IF;
END $$;

-- text
CREATE TABLE type_text (id serial PRIMARY KEY, v text, w varchar(40), x varchar, y char(6), z bpchar, n name, c "char", ci citext, list text[], chars char(3)[], cis citext[], c_locale text COLLATE "C");
INSERT INTO type_text (v, w, x, y, z, n, c, ci) VALUES
  ('', '', '', '', '', '', '', ''), (' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '), ('\N', '\N', '\N', '\N', '\N', '\N', '\', '\N'), ('\.', '\.', '\.', '\.', '\.', '\.', '.', '\.'),
  ('NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'N', 'NULL'), (E'a\tb', E'\r', E'\n', E'\r\n', E'\t', E'\n', E'\n', E'\n'), ('"', '""', '"a"', ',', '","', '"', '"', ''''),
  (U&'\FEFF', U&'\FEFFa', U&'\200Fa', U&'e\0301', 'é', 'é', 'x', 'É'), ('😀', '👩‍👩‍👧', U&'\2028', '😀', '日本', repeat('x', 63), ',', 'Foo@Bar.COM'), (E'\x01\x7f', E'\b\f\v', U&'\0080', 'ab ', 'ab  ', 'a b', E'\x7f', 'foo@bar.com'),
  ('ab  ', '  ab', ' ', 'abcdef', 'ab', 'Select', '0', ' a '), ('null', 'nan', 'true', 'f', '0', '1', 't', '-0'), ('#c', '# c', '-- c', '//', '/*', '$$', '#', '%s'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO type_text (v, list, chars, cis, c_locale) VALUES (repeat('0123456789', 30000), '{"a,b","c\"d","NULL",NULL,"",a\\b," "}', '{a,"b c",NULL}', '{Ab,aB}', 'ü'), ('', '{{a,b},{c,NULL}}', '[5:6]={x,y}', '{}', ''), (repeat(E'"\n,', 1000), '[0:2]={a,b,c}', NULL, NULL, NULL);
CREATE TABLE type_bytea (id serial PRIMARY KEY, v bytea, list bytea[]);
INSERT INTO type_bytea (v, list) SELECT ''::bytea, '{"\\x","\\x00",NULL}'::bytea[] UNION ALL SELECT '\x00', '{}' UNION ALL SELECT '\x5c78', NULL UNION ALL SELECT NULL, NULL
  UNION ALL SELECT decode(string_agg(lpad(to_hex(n), 2, '0'), ''), 'hex'), '[0:0]={"\\xff"}' FROM generate_series(0, 255) n UNION ALL SELECT decode(repeat('00ff22', 17333), 'hex'), NULL;

-- days and times
CREATE TABLE type_time (id serial PRIMARY KEY, d date, ts timestamp, ts3 timestamp(3), tz timestamptz, t time, t0 time(0), ttz timetz, i interval, ym interval year to month, s interval second(2), ds date[], tss timestamp[], tzs timestamptz[], ivs interval[], ts_ time[]);
INSERT INTO type_time (d, ts, tz, t, ttz, i) VALUES
  ('0001-01-01', '1970-01-01 00:00:00.000001', '2024-07-01 12:00:00.123456+05:30', '24:00:00', '24:00:00+15:59:59', '1 mon'),
  ('9999-12-31', '1969-12-31 23:59:59.999999', '1800-01-01 00:00:00-00:01:15', '23:59:59.999999', '23:59:59.999999-15:59:59', '-1 mons +1 day -00:00:01'),
  ('0044-03-15 BC', '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00+00 BC', '00:00:00', '00:00:00-00:01:15', '1 year 2 mons 3 days 04:05:06.78'),
  ('10000-01-01', '10000-01-01 00:00:00', '10000-01-01 00:00:00+00', '00:00:00.000001', '12:00:00+00', '24:00:00'),
  ('5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', NULL, NULL, '178000000 years'), ('4714-11-24 BC', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC', NULL, NULL, '-178000000 years'),
  ('infinity', 'infinity', 'infinity', NULL, NULL, '-00:00:00.000001'), ('-infinity', '-infinity', '-infinity', NULL, NULL, '1 day -00:00:01'), ('1582-10-10', '2024-03-10 02:30:00', '2024-11-03 01:30:00-05', '12:00', '12:00+05:30', '0'),
  ('2024-02-29', '2024-02-01 00:00:00', '2024-02-01 00:00:00+00', '01:02:03.4', '01:02:03.4+01', '2562047788:00:54.775807'), ('0001-12-31 BC', '1900-02-28 00:00', '1883-11-18 12:03:58-04:56:02', NULL, NULL, '1 mon -1 day'), (NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO type_time (ts3, t0, ym, s, ds, tss, tzs, ivs, ts_) VALUES ('2024-01-01 00:00:00.999', '23:59:59', '-1 year -2 mons', '59.99', '{infinity,"0044-03-15 BC",NULL}', '{infinity,2024-01-01}', '{-infinity,"2024-01-01 00:00+14"}', '{"1 mon","-1 day",NULL}', '{24:00,00:00}'), (NULL, NULL, NULL, NULL, '{}', '[2:2]={2024-01-01}', '{}', '{}', '{}');
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 170000 THEN
    EXECUTE 'CREATE TABLE type_interval_infinity (v interval); INSERT INTO type_interval_infinity VALUES (''infinity''), (''-infinity'')';
  END IF;
END $$;

-- documents
CREATE TABLE type_json (id serial PRIMARY KEY, v json, b jsonb, p jsonpath, list json[], bs jsonb[]);
INSERT INTO type_json (v, b) VALUES ('{"a":1.10,"a":2}', '{"a": 1.10, "b": [1, 2]}'), ('null', 'null'), (NULL, NULL), (' [1e400 , 123456789012345678901234567890 ] ', '[1e400, 123456789012345678901234567890, 9007199254740993]'),
  ('"\u0000"', '"a"'), ('"\ud800"', '""'), (E'{\n\t"b" : 1,\r\n"a":\t2}', '{}'), ('1', '[]'), ('"é\u00e9\/"', '"é"'), ('-0', '-0'), ('1.0', '1.0'), ('{"":"","A":null}', '{"": "", "A": null}');
INSERT INTO type_json (b, v) SELECT (repeat('[', 500) || repeat(']', 500))::jsonb, (repeat('[', 500) || repeat(']', 500))::json;
INSERT INTO type_json (p, list, bs) VALUES ('$.a[*] ? (@.b > 1.10 && @.c like_regex "^x" flag "i")', ARRAY['{"a" : 1}', 'null', NULL]::json[], ARRAY['{"a": "\""}', 'null', NULL]::jsonb[]), ('strict $', '{}', '{}'), ('lax $."a b".**{2 to last}', NULL, NULL);
DO $$ BEGIN
  PERFORM '<a/>'::xml;
  EXECUTE $x$
    CREATE DOMAIN page AS xml CHECK (VALUE IS DOCUMENT);
    CREATE TABLE type_xml (id serial PRIMARY KEY, v xml, list xml[], d page, pages page[]);
    INSERT INTO type_xml (v, list) VALUES ('a<b/>c', '{"a<b/>c",NULL,"<x y=\"1\"/>"}'), ('<?xml version="1.0" encoding="ISO-8859-1"?><a>x</a>', '{}'), ('<?xml version="1.1" standalone="yes"?><a>&amp;</a>', '{"<?xml version=\"1.0\" encoding=\"UTF-8\"?><b/>"}'), ('', NULL), (NULL, '{{<a/>},{<b/>}}'), ('<a><![CDATA[ ]]></a>', '[0:0]={<a/>}'), (' <a> é </a> ', '{""}');
    INSERT INTO type_xml (d, pages) VALUES ('<a/>', '{}'), (NULL, NULL), ('<?xml version="1.0" encoding="ISO-8859-1"?><a/>', '[0:1]={"<?xml version=\"1.0\" encoding=\"UTF-8\"?><b/>",NULL}');
  $x$;
EXCEPTION WHEN feature_not_supported THEN
  RAISE NOTICE 'this server is built without xml';
END $$;

-- identifiers and networks, bits
CREATE TABLE type_uuid (v uuid PRIMARY KEY, list uuid[]);
INSERT INTO type_uuid VALUES ('00000000-0000-0000-0000-000000000000', '{}'), ('ffffffff-ffff-ffff-ffff-ffffffffffff', '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,NULL}'), ('{A0EEBC999C0B4EF8BB6D6BB9BD380A11}', NULL);
CREATE TABLE type_network (id serial PRIMARY KEY, i inet, c cidr, m macaddr, m8 macaddr8, il inet[], cl cidr[], ml macaddr[], m8l macaddr8[]);
INSERT INTO type_network (i, c, m, m8, il, cl, ml, m8l) VALUES ('192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '{192.168.0.1/24,::1,NULL}', '{10.0.0.0/8,::/0}', '{08:00:2b:01:02:03}', '{08:00:2b:01:02:03:04:05}'),
  ('10.0.0.1', '0.0.0.0/0', 'ffffffffffff', 'ffffffffffffffff', '{}', '{}', '{}', '{}'), ('::1/128', '::1/128', '000000000000', '0000000000000000', NULL, NULL, NULL, NULL), ('10.1.2.3/8', '2001:db8::/32', NULL, NULL, NULL, NULL, NULL, NULL), ('::ffff:1.2.3.4/96', '::ffff:1.2.3.0/120', NULL, NULL, NULL, NULL, NULL, NULL), ('1.2.3.4/32', '1.2.3.4/32', NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE type_bit (id serial PRIMARY KEY, one bit, four bit(4), v varbit, limited varbit(9), list varbit[], fours bit(4)[]);
INSERT INTO type_bit (one, four, v, limited, list, fours) VALUES (B'0', B'0001', B'', B'0001', '{0,"",00,NULL}', '{0001,1000}'), (B'1', B'1000', B'0001', B'', '{}', '{}'), (NULL, B'0000', repeat('01', 33)::varbit, NULL, '[0:0]={01}', NULL), (NULL, NULL, repeat('0', 65)::varbit, NULL, NULL, NULL);

-- ranges, of PostgreSQL and of the schema
CREATE TYPE float_range AS RANGE (SUBTYPE = double precision, SUBTYPE_DIFF = float8mi);
CREATE TYPE "Text range" AS RANGE (SUBTYPE = text, COLLATION = "C", SUBTYPE_OPCLASS = text_pattern_ops);
CREATE TYPE net_range AS RANGE (SUBTYPE = inet, MULTIRANGE_TYPE_NAME = "nets of all");
CREATE TABLE type_range (id serial PRIMARY KEY, i4 int4range, i8 int8range, n numrange, d daterange, ts tsrange, tz tstzrange, f float_range, t "Text range", net net_range, list numrange[], fs float_range[]);
INSERT INTO type_range (i4, i8, n, d, ts, tz, f, t, net, list, fs) VALUES ('empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', '{empty,"[1,2)",NULL}', '{"[1,2]"}'), ('(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '{}', '{}'),
  ('[1,5)', '[1,5]', '[1.10,1.1]', '[2024-01-01,infinity]', '[-infinity,infinity)', '["2024-01-01 00:00+02",)', '[-0,NaN]', '["a b","c,""d"]', '[10.0.0.1,10.0.0.9]', NULL, NULL), ('[1,1]', '(,5]', '(-Infinity,Infinity)', '[,2024-01-01)', '[2024-01-01,2024-01-02]', '(-infinity,"infinity"]', '(1e-320,)', '["",""]', NULL, NULL, NULL),
  ('[-2147483648,2147483647)', '[-9223372036854775808,)', '[NaN,NaN]', '(0044-03-15 BC,)', NULL, NULL, NULL, '[\\,é]', NULL, NULL, NULL);
CREATE TABLE type_multirange (id serial PRIMARY KEY, i4 int4multirange, i8 int8multirange, n nummultirange, d datemultirange, ts tsmultirange, tz tstzmultirange, f float_multirange, net "nets of all", list int4multirange[]);
INSERT INTO type_multirange (i4, i8, n, d, ts, tz, f, net, list) VALUES ('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{"{}","{[1,2)}",NULL}'), ('{[1,2),[5,6)}', '{(,1),[5,)}', '{[1.10,2],(3,4)}', '{[infinity,]}', '{[2024-01-01,2024-02-01]}', '{(,)}', '{[1,2],[3,4]}', '{[1.1.1.1,1.1.1.9]}', '{}');

-- geometry, text search, the server's own
CREATE TABLE type_geometry (id serial PRIMARY KEY, p point, l line, s lseg, b box, o path, g polygon, c circle, ps point[], bs box[], os path[]);
INSERT INTO type_geometry (p, l, s, b, o, g, c, ps, bs, os) VALUES ('(-0,1e-300)', '{1,-1,0}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),1.5>', '{"(1,2)",NULL}', '{(1,1),(0,0);(2,2),(1,1)}', '{"[(0,0)]"}'), ('(NaN,Infinity)', '{0,-1,0.1}', '[(1,1),(0,0)]', '(0,1),(1,0)', '((0,0),(1,1))', '((0,0))', '<(1e300,0),0>', '{}', '{}', '{}'), ('(0.1,0.30000000000000004)', NULL, '[(0,0),(0,0)]', '(Infinity,1),(0,-Infinity)', '((1,2))', '((0.1,-0))', '<(NaN,0),1>', NULL, NULL, NULL);
CREATE TABLE type_search (id serial PRIMARY KEY, v tsvector, q tsquery, vs tsvector[], qs tsquery[]);
INSERT INTO type_search (v, q, vs, qs) VALUES ('''a'':1A,3 ''b''''c'':2', '''a b'' & !c <-> d:*AB', '{"''a'':1","",NULL}', '{"''a'' & ''b''"}'), ('', '', '{}', '{}'), (to_tsvector('english', 'The quick foxes, it''s'), phraseto_tsquery('english', 'quick foxes') || '!x'::tsquery, NULL, NULL), ('''\\'' '' '':16383D', '''\\'' <3> ''y''', NULL, NULL), (NULL, NULL, NULL, NULL);
CREATE TABLE type_server (id serial PRIMARY KEY, lsn pg_lsn, t tid, snap pg_snapshot, old txid_snapshot, cursor refcursor, acl aclitem, ov oidvector, iv int2vector, lsns pg_lsn[], tids tid[], acls aclitem[]);
INSERT INTO type_server (lsn, t, snap, old, cursor, acl, ov, iv, lsns, tids, acls) VALUES ('16/B374D848', '(0,1)', '10:20:10,14,15', '10:20:10,14,15', 'my cursor', NULL, '1 2 4294967295', '1 -2', '{0/0,FFFFFFFF/FFFFFFFF}', '{"(4294967295,65535)"}', '{}'), ('0/0', '(4294967295,65535)', '1:1:', '1:1:', '', NULL, '', '', NULL, NULL, NULL);
INSERT INTO type_server (acl) SELECT makeaclitem(oid, oid, 'SELECT', true) FROM pg_roles WHERE rolname = current_user;
CREATE TABLE type_reg (id serial PRIMARY KEY, c regclass, t regtype, p regproc, f regprocedure, o regoper, o2 regoperator, n regnamespace, l regcollation, g regconfig, d regdictionary, cs regclass[]);
INSERT INTO type_reg (c, t, p, f, o, o2, n, l, g, d, cs) VALUES ('pg_class', 'timestamp with time zone', 'pg_backend_pid', 'sum(integer)', '||/', '+(integer,integer)', 'pg_catalog', '"C"', 'english', 'simple', '{pg_class,pg_type,NULL}'), ('0', 'text[]', '0', '0', '0', '0', '0', '0', '0', '0', '{}');

-- of extensions
CREATE TABLE type_extension (id serial PRIMARY KEY, h hstore, l ltree, lq lquery, lt ltxtquery, c cube, s seg, isbn isbn13, ean ean13, q query_int, o lo, hs hstore[], ls ltree[], cs cube[]);
INSERT INTO type_extension (h, l, lq, lt, c, s, isbn, ean, q, o, hs, ls, cs) VALUES ('', '', '*', 'a & b*', '(1,2),(3,4)', '1.50', '978-0-393-04002-9', '0220356483481', '1&(2|3)', 1, '{"a=>1",NULL}', '{a.b,NULL}', '{"(1)"}'), ('a=>NULL, "=>"=>"\"", ""=>""', 'Top.Science_1.x', 'a.*{1,2}.b@|c%', '!a | b%@', '(1e-300,-0)', '<1 .. 2', NULL, NULL, '!1', NULL, '{}', '{}', '{}'), ('"😀"=>"é", a=>NULL, A=>" "', 'a', NULL, NULL, '()', '1.0 .. ', NULL, NULL, NULL, NULL, NULL, NULL, NULL), (hstore('k', repeat('v"\', 4000)), NULL, NULL, NULL, '(NaN,Infinity)', '>5', NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- the schema's own: enums, domains, composites, and one inside the other
CREATE TYPE mood AS ENUM ('so so', 'glück,"', 'O''Hara', '\', '', 'NULL', '😀');
CREATE TYPE "Odd Name" AS ENUM ('a');
ALTER TYPE "Odd Name" ADD VALUE 'b' BEFORE 'a';
CREATE DOMAIN percent AS numeric(5,2) DEFAULT 12.5 CONSTRAINT "at most 100" CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN small_percent AS percent CHECK (VALUE < 50) CONSTRAINT "not 13" CHECK (VALUE <> 13);
CREATE DOMAIN given AS text NOT NULL CHECK (length(VALUE) > 0);
CREATE DOMAIN c_text AS text COLLATE "C";
CREATE DOMAIN four AS char(4);
CREATE DOMAIN yes AS boolean;
CREATE DOMAIN octets AS bytea;
CREATE DOMAIN big AS bigint;
CREATE DOMAIN moods AS mood[] CHECK (cardinality(VALUE) < 4);
CREATE DOMAIN prices AS numrange CHECK (NOT isempty(VALUE));
CREATE TYPE pair AS (a integer, "b c" text COLLATE "C");
CREATE TYPE nest AS (p pair, m mood, "list" pair[], d small_percent, r float_range, gone integer, j json, day timestamptz);
ALTER TYPE nest DROP ATTRIBUTE gone;
CREATE DOMAIN good_pair AS pair CHECK ((VALUE).a > 0);
CREATE TYPE pair_range AS RANGE (SUBTYPE = pair);
CREATE TYPE nothing AS ();
CREATE TABLE type_own (id serial PRIMARY KEY, m mood, o "Odd Name" DEFAULT 'a', p percent, s small_percent, g given, c c_text, f four, y yes, oc octets, bi big, ms moods, pr prices,
  pa pair, n nest, gp good_pair, rg pair_range, nt nothing, ml mood[], pl percent[], pal pair[], nl nest[], gpl good_pair[], fl four[], yl yes[], msl moods[], ocl octets[], default_of percent);
INSERT INTO type_own (m, p, s, g, c, f, y, oc, bi, ms, pr, pa, n, gp, rg, nt, ml, pl, pal, nl, gpl, fl, yl, msl, ocl) VALUES
  ('so so', 100, 49.99, 'x', '', 'a', true, '\x00', -9223372036854775808, '{"so so",NULL}', '[1,2]', '(,)', '("(1,x)",😀,"{""(1,\\""a b\\"")"",NULL}",1.5,"[1,2]","{""a"" : 1.10}",infinity)', '(1,"")', '["(1,a)","(2,b)")', '()', '{"so so","glück,\"",NULL,"NULL",""}', '{1,NULL}', '{"(,)","(1,\"a,\"\"b\\\\\")",NULL}', '{"(,,,,,,)",NULL}', '{"(1,)"}', '{a,"b c"}', '{t,f,NULL}', NULL, '{"\\x00"}'),
  ('glück,"', 0, 0, ' ', ' ', '', false, '', 0, '{}', '(,)', '(1,"")', '("(,)",,{},,empty,null,)', NULL, 'empty', NULL, '{}', '{}', '{}', '{}', NULL, '{}', '{}', NULL, '{}'),
  ('', NULL, NULL, E'\n', 'Ä', '    ', NULL, NULL, NULL, NULL, NULL, '(2147483647,"( ,\\"")")', NULL, '(7,NULL)', '(,)', NULL, '[0:1]={"","\\"}', '[-1:-1]={1}', '{{"(1,a)"},{NULL}}', NULL, NULL, '[2:2]={x}', NULL, ARRAY['{"so so"}']::moods[], NULL);
INSERT INTO type_own (m, g, n) VALUES ('😀', '"', NULL), ('NULL', ',', '(,,,,,,)'), ('O''Hara', '\', NULL), ('\', '\N', NULL);
INSERT INTO type_own (g, p) VALUES ('x', NULL);
