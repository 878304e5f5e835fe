INSERT INTO orders (id, order_number, customer_id, email, state, total_cents, gross_sales_cents, billing_address, shipping_address, note_attributes, client_ip, user_agent, landing_site, card_last4, raw_payload) VALUES
  ('special_canary', 1001, 'special_canary', 'canary-orders-email', 'paid', 1999, 1999, '{"name": "canary-orders-billing_address"}', '{"name": "canary-orders-shipping_address"}',
   '[{"value": "canary-orders-note_attributes"}]', '192.0.2.1', 'kept-orders-user_agent', '/?email=canary-orders-landing_site', '4242', '{"token": "canary-orders-raw_payload"}');

-- What gross_sales_cents can be and still become a bigint: halves go away from zero, nothing is cut off.
INSERT INTO orders (id, order_number, customer_id, total_cents, gross_sales_cents) VALUES
  ('gross_plain', 1001, 'cust_00001', 1999, 1999), ('gross_scale', 1002, 'cust_00001', 1999, 1999.0), ('gross_half', 1003, 'cust_00001', 1999, 1999.5), ('gross_negative', 1004, 'cust_00001', -500, -500),
  ('gross_negative_half', 1005, '', -2000, -1999.5), ('gross_even_half', 1006, 'guest', 3, 2.5), ('gross_odd_half', 1007, 'cust_gone', 4, 3.5), ('gross_null', 1008, NULL, 0, NULL),
  ('gross_beyond_int', 1009, 'cust_00001', 3000000000, 3000000000), ('gross_half_one', 1001, 'cust_00001', 1, 0.5), ('gross_minus_half_one', 1001, 'cust_00001', -1, -0.5),
  ('gross_almost_half', 1001, 'cust_00001', 1, 1.4999999999999999999999999999999999999999), ('gross_over_half', 1001, 'cust_00001', 3, 2.50000000000000000000000000000001),
  ('gross_tiny', 1001, 'cust_00001', 0, 1e-30), ('gross_minus_tiny', 1001, 'cust_00001', 0, -1e-30), ('gross_exponent', 1001, 'cust_00001', 0, 1.5e15), ('gross_zero', 1001, 'cust_00001', 0, 0.000),
  ('gross_beyond_double', 1001, 'cust_00001', 9007199254740993, 9007199254740993), ('gross_beyond_double_half', 1001, 'cust_00001', 4503599627370497, 4503599627370496.5),
  ('gross_largest', 1001, 'cust_00001', 0, 9223372036854775807), ('gross_largest_down', 1001, 'cust_00001', 0, 9223372036854775807.4999),
  ('gross_smallest', 1001, 'cust_00001', 0, -9223372036854775808), ('gross_smallest_up', 1001, 'cust_00001', 0, -9223372036854775808.4);

INSERT INTO orders (id, customer_id, total_cents, email, financial_status, currency, total_price, exchange_rate, discount_codes, card_last4, metadata, "test", created_at, raw_payload, note_attributes) VALUES
  ('special_nulls', NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('special_empty', '', 0, '', '', 'USD', '', 0, '{}', '', '', false, NULL, '{}', '{}'),
  ('special_test', 'guest', 9007199254740993, 'Ann@Example.com', 'PAID ', 'US ', '$1,234.50', 'NaN', '[0:1]={A,NULL}', '1', '{''a'': None}', true, '1970-01-01', 'null', 'null'),
  ('special_disagrees', 'guest', 1, 'ann@example.com ', 'paid', 'usd', '1.234,50', 1.1000000000, ARRAY['NULL', NULL, ''], '12  ', '"{\"a\": 1}"', true, 'infinity', '"text"', '{"a": 1, "a": 2}'),
  ('special_far_past', ' 12', -9007199254740993, NULL, 'paid ', '   ', 'Free', 9999999999.9999999999, '{{a,b},{c,d}}', '    ', '{"a": "\u0000"}', false, '0001-01-01', '[1.10, 1e400]', '"\u0000"'),
  ('special_minus_infinity', '12', -1, NULL, 'paid', 'E R', '', -0.0000000001, '{"a,b","c\"d"}', '0004', 'NaN', false, '-infinity', '[]', '  [ 1.10 ]  '),
  ('special_bytes', 'guest', 0, NULL, NULL, 'EUR', NULL, NULL, NULL, NULL, pg_temp.noise('orders.metadata', 50000), false, '2024-01-01', jsonb_build_object('big', pg_temp.noise('orders.raw_payload', 50000)), NULL);
INSERT INTO orders (id, total_cents, state) VALUES ('special_in_dispute', 0, 'In Dispute'), ('special_cancelled', 500, 'cancelled'), ('bestellung_ß_🐕', 0, 'pending'), (' leading', 0, 'pending'), ('trailing ', 0, 'pending');
