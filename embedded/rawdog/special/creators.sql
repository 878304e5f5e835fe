-- special_forward and special_ring_* point at rows that come after them, or at each other, or at themselves.
INSERT INTO creators (id, email, handle, display_name, phone, commission_percent, referred_by, instagram_access_token, tiktok_refresh_token, oauth, payout_details, paypal_email, tax_id, w9_pdf, status) VALUES
  ('special_a_canary', 'canary-creators-email', '@canary', 'canary-creators-display_name', 'canary-creators-phone', '15', 'special_forward', 'canary-creators-instagram_access_token', 'canary-creators-tiktok_refresh_token',
   '{"youtube": {"access_token": "canary-creators-oauth"}}', '{"iban": "canary-creators-payout_details"}', 'canary-creators-paypal_email', 'canary-creators-tax_id', 'canary-creators-w9_pdf', 'active'),
  ('special_forward', 'Ann@Example.com', '@Ann', '', '', '15%', 'special_zz_last', '', '', '{}', '{}', '', '', '', 'ACTIVE '),
  ('special_ring_1', 'ann@example.com', '@ann', ' ', ' ', '0.15', 'special_ring_2', NULL, NULL, 'null', 'null', NULL, NULL, '\x00', 'active'),
  ('special_ring_2', 'ANN@EXAMPLE.COM', '@ANN', 'Zoë', NULL, ' 12,5 % ', 'special_ring_1', NULL, NULL, '"text"', '[]', NULL, NULL, '\x5c780a0d22272c00ff', 'active '),
  ('special_self', NULL, NULL, U&'Zoe\0308', NULL, '15.0', 'special_self', NULL, NULL, NULL, NULL, NULL, NULL, NULL, ''),
  ('special_zz_last', '', '', E'CRLF\r\n', E'\t', '150', NULL, NULL, NULL, '{"a": 1.10, "b": 1e400}', NULL, NULL, NULL, NULL, NULL);
-- Every way to write a share that can still be read as one; 0.15 is 0.15 percent.
INSERT INTO creators (id, commission_percent) VALUES ('percent_empty', ''), ('percent_blank', '  '), ('percent_null', NULL), ('percent_zero', '0'), ('percent_one', '1'), ('percent_comma', '12,5'), ('percent_sign', '12.5 %');
INSERT INTO creators (id, token_expires_ms, lifetime_earnings, balance_cents, social, contract_period, created_at, updated_at, is_deleted) VALUES
  ('special_most', 9223372036854775807, '92233720368547758.07', 9223372036854775807, '{"a": 1, "a": 2,  "b":1.10}', '[2020-01-01 00:00:00+00,infinity)', 'infinity', 'infinity', 32767),
  ('special_least', -9223372036854775808, '-92233720368547758.08', -9007199254740993, '"\u0000"', '[-infinity,2020-01-01 00:00:00+00]', '-infinity', '-infinity', -32768),
  ('special_unbounded', 0, '-1234.50', NULL, '"\ud800"', '(,)', '0001-01-01', '0044-03-15 00:00:00+00 BC', 1),
  ('special_void', NULL, '0', 0, 'null', 'empty', '1970-01-01', '1970-01-01 00:00:00+00', NULL),
  ('special_moment', NULL, NULL, -1, '  []  ', '[2023-10-29 00:30:00+00,2023-10-29 00:30:00+00]', NULL, NULL, 2);
