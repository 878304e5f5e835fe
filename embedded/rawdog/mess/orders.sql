-- gross_sales_cents that no bigint holds; the rest of each row is in order.
INSERT INTO orders (id, order_number, customer_id, email, total_cents, gross_sales_cents) VALUES
  ('mess_nan', 6001, 'guest', 'canary-orders-email', 100, 'NaN'), ('mess_infinity', 6002, 'guest', 'canary-orders-email', 100, 'Infinity'), ('mess_minus_infinity', 6003, 'guest', NULL, 100, '-Infinity'),
  ('mess_beyond_bigint', 6004, 'guest', NULL, 100, 1e30), ('mess_below_bigint', 6005, 'guest', NULL, -100, -1e30), ('mess_rounds_beyond_bigint', 6006, 'guest', NULL, 100, 9223372036854775807.5);
