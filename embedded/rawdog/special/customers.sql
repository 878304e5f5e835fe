INSERT INTO customers (id, email, phone, first_name, last_name, default_address, addresses, note, password_hash, storefront_access_token, birthday, last_ip, created_at) VALUES
  ('special_canary', 'canary-customers-email', 'canary-customers-phone', 'canary-customers-first_name', 'canary-customers-last_name', '{"zip": "canary-customers-default_address"}',
   '[{"zip": "canary-customers-addresses"}]', 'canary-customers-note', 'canary-customers-password_hash', 'canary-customers-storefront_access_token', '1999-12-31', '192.0.2.1', '2024-01-01');

-- NULL is not '', and '' is not a blank.
INSERT INTO customers (id, orders_count) VALUES ('special_nulls', NULL);
INSERT INTO customers (id, email, phone, first_name, last_name, addresses, accepts_marketing, total_spent, tags, note, password_hash, storefront_access_token) VALUES
  ('special_empty', '', '', '', '', '', '', '', '', '', '', ''),
  ('special_blank', ' ', '  ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ');

-- Keys that only differ in what a careless comparison ignores.
INSERT INTO customers (id, email) VALUES
  ('12', 'Ann@Example.com'), (' 12', 'ann@example.com '), ('012', 'ann@example.com'), ('SPECIAL_CANARY', 'ann+dogs@example.com'), ('special_canary ', 'jörg@müller.example'),
  ('kunde_größe_🐶', ''), (U&'Jos\00E9', 'nfc@example.com'), (U&'Jose\0301', 'nfd@example.com'), ('quote''"comma,tab' || chr(9), 'user@xn--mller-kva.example'),
  ('00000000-0000-0000-0000-000000000000', NULL), ('\N', '\N'), ('\.', '\.'), ('NULL', 'NULL');

-- Text that a copy through files, lines or forms changes.
INSERT INTO customers (id, first_name, last_name, note) VALUES
  ('special_nfc', U&'Jos\00E9', U&'\00C5ngstr\00F6m', 'composed'),
  ('special_nfd', U&'Jose\0301', U&'A\030Angstro\0308m', 'decomposed'),
  ('special_rtl', 'محمد', U&'\200Fנועה\200E', U&'\202Eright to left\202C'),
  ('special_emoji', '👩‍👩‍👧‍👦', '🏴󠁧󠁢󠁳󠁣󠁴󠁿', U&'\+01F415\200D\+01F9BA astral, joined'),
  ('special_crlf', E'a\r\nb', E'a\nb', E'a\rb\r\n\n'),
  ('special_copy', '\N', '\.', E'before\n\\.\nafter'),
  ('special_csv', '"', '","', E'"quoted", "half'),
  ('special_bom', U&'\FEFFAnn', U&'\00A0', U&'zero\200Bwidth'),
  ('special_controls', E'\x01\x02', E'tab\there', E'vertical\x0Btab\x7F'),
  ('special_trailing', 'Ann ', 'Ann  ', E'Ann\t'),
  ('special_formula', '=1+1', '@SUM(A1)', '-2+3'),
  ('special_sealed', 'looks', 'encrypted', U&'\00FE\0001 looks sealed already');

-- JSON as text is text: what does not parse is copied too.
INSERT INTO customers (id, addresses, default_address) VALUES
  ('special_json_repr', '[{''zip'': ''04109'', ''default'': True, ''note'': None}]', 'null'),
  ('special_json_twice', '"[{\"zip\": \"04109\"}]"', '"text"'),
  ('special_json_cut', '[{"zip": "04109", "city": "Lei', '{}'),
  ('special_json_nul', '{"zip": "\u0000"}', '{"big": 9007199254740993, "price": 1.10, "deep": [[[[[[]]]]]]}'),
  ('special_json_twins', '{"zip": 1, "zip": 2}', '{"zip": 1, "zip": 2}'),
  ('special_json_nan', '{"zip": NaN, "lat": -Infinity}', '{"many": 1e400, "digits": 123456789012345678901234567890.123456789}');

-- The ends of time, of numbers and of networks. Sums over these columns pass 2^63.
INSERT INTO customers (id, birthday, created_at, updated_at, deleted_at, shopify_id, orders_count, last_ip) VALUES
  ('special_infinity', 'infinity', 'infinity', 'infinity', 'infinity', 9223372036854775807, 2147483647, '::1/128'),
  ('special_minus_infinity', '-infinity', '-infinity', '-infinity', '-infinity', -9223372036854775808, -2147483648, '10.1.2.3/8'),
  ('special_first_year', '0001-01-01', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00', NULL, 9007199254740993, 0, '0.0.0.0/0'),
  ('special_before_christ', '0044-03-15 BC', '0044-03-15 12:00:00.000001 BC', '4713-01-01 00:00:00+00 BC', NULL, 0, -1, 'fe80::1'),
  ('special_far', '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', NULL, 1, 1, '255.255.255.255'),
  ('special_epoch', '1970-01-01', '1970-01-01', '1970-01-01 00:00:00+00', NULL, NULL, NULL, '192.168.0.1/24'),
  ('special_clock_gap', '2023-03-26', '2023-03-26 02:30:00', '2023-03-26 02:30:00+02', NULL, NULL, NULL, NULL),
  ('special_clock_overlap', '2023-10-29', '2023-10-29 02:30:00', '2023-10-29 02:30:00+01', NULL, NULL, NULL, NULL);
