-- Orphans: their orders were deleted before anybody thought of a key.
INSERT INTO line_items (id, order_id, product_id, title, quantity, price, unit_price, total_cents, properties) VALUES
  (1, 'special_canary', 1, 'engraved', 1, '12.34', 12.34, 1234, '[{"name": "Engraving", "value": "canary-line_items-properties"}]'),
  (2, 'ord_deleted_in_2017', 1, 'orphan', 1, '$1,234.50', 1234.50, 123450, NULL),
  (3, 'ord_deleted_in_2017', 900000001, 'orphan of both', -1, '1.234,50', -1234.50, -123450, 'null'),
  (4, '', NULL, 'orphan of nothing', 0, 'Free', 0.00, 0, '{"a": 1, "a": 2}'),
  (5, NULL, NULL, 'no order', 2147483647, '', 99999999.99, 2147483647, '"\u0000"'),
  (6, 'special_canary ', 2, 'almost an order', NULL, NULL, 'NaN', -2147483648, '  { "b" : 1.10 } '),
  (7, 'trailing ', 3, 'trailing blank', 1, '12,5', -99999999.99, NULL, '[]'),
  (8, 'bestellung_ß_🐕', 4, E'CRLF\r\n', 1, ' 12.34 ', 0.10, 10, '"\ud800"');
INSERT INTO line_items (id, order_id, discount_allocations, "position", created_at) VALUES
  (9, 'special_test', 'null', 32767, 'infinity'), (10, 'special_test', '{"amount": 1.10}', -32768, '-infinity'), (11, 'special_test', '[]', 0, '0001-01-01'), (12, 'special_test', NULL, NULL, NULL);
