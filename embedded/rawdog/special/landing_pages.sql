INSERT INTO landing_pages (id, slug, title, html, blocks, config, creator_id, is_live, "order", views, conversion, hero, created_at) VALUES
  (1, 'canary', 'canary', 'canary', '[]', '{"klaviyo_key": "canary-landing_pages-config"}', 'special_a_canary', 't', 1, 9223372036854775807, 'NaN', '\x', 'infinity'),
  (2, 'big', 'the big one', '<!doctype html>' || pg_temp.noise('landing_pages.html', {big_bytes} / 3 * 2), 'null', '{"a": 1, "a": 2}', 'special_a_canary ', 'f', -1, -1, '-0', '\x00', '-infinity'),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, NULL, '', '', '{"ratio": 1.50, "big": 9007199254740993}', '"\u0000"', 'creator_gone', '', 2147483647, 0, 'Infinity', '\xff00fe0d0a5c2e', '0001-01-01'),
  (5, '', ' ', E'a\r\nb\n\\.\n', '"text"', ' [ ] ', '', '1', -2147483648, 9007199254740993, '-Infinity', decode(repeat('00ff0a0d225c2c', 4000), 'hex'), '1970-01-01'),
  (6, 'Canary', U&'\FEFFbyte order mark', '😀', '1e400', '"\ud800"', 'creator_gone ', 'TRUE', 0, 2147483648, '1e-320', NULL, '2023-03-26 02:30:00'),
  (7, 'canary ', 'floats', '', '{}', 'null', NULL, ' t', 0, 0, 0.30000000000000004, NULL, '2023-10-29 02:30:00'),
  (8, U&'caf\00E9', 'floats', '', '{}', 'null', NULL, 't', 0, 0, '1.7976931348623157e308', NULL, NULL),
  (9, U&'cafe\0301', 'floats', '', '{}', 'null', NULL, 't', 0, 0, '5e-324', NULL, NULL);
