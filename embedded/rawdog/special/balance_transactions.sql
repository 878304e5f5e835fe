INSERT INTO balance_transactions (id, creator_id, order_id, kind, amount_cents, amount, currency, fee_cents, running_balance_cents, available_on, idempotency_key, reverses, metadata, created_at) OVERRIDING SYSTEM VALUE VALUES
  (1, 'special_a_canary', 'special_canary', 'commission', 9007199254740993, '90071992547409.93', 'USD', 0, 9223372036854775807, 'infinity', 'idem-1', NULL, '{"a": 1, "a": 2}', 'infinity'),
  (2, 'special_a_canary', 'special_canary', 'commission', 9007199254740993, '$1,234.50', 'US', 2147483647, -9223372036854775808, '-infinity', NULL, 1, '"\u0000"', '-infinity'),
  (3, 'special_forward', 'ord_deleted_in_2017', 'reversal', -2147483649, '1.234,50', 'usd', -2147483648, NULL, '0001-01-01', NULL, 900000001, 'null', '0001-01-01 00:00:00+00'),
  (4, NULL, NULL, 'bonus', 0, '', '   ', NULL, 0, '1970-01-01', '', NULL, ' { "rate" : 0.10 } ', '1970-01-01 00:00:00.999+00'),
  (5, 'special_self', '', '', 1, NULL, NULL, NULL, NULL, NULL, ' ', 5, '"\ud800"', '2023-10-29 02:30:00.0005+02'),
  (6, 'special_self', '', NULL, -1, 'Free', '', NULL, NULL, '0044-03-15 BC', 'IDEM-1', NULL, NULL, NULL);
