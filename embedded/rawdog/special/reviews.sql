INSERT INTO reviews (id, product_id, order_id, customer_email, author, rating, body, ip) VALUES
  (1, 1, 'special_canary', 'canary-reviews-customer_email', 'canary-reviews-author', '5', 'good dog', 'canary-reviews-ip');
INSERT INTO reviews (id, product_id, order_id, rating, body, photos, sentiment, ip, verified, published, created_at) VALUES
  (2, 900000001, 'ord_deleted_in_2017', '4,5', 'the product is gone', NULL, 'NaN', 'unknown', NULL, NULL, NULL),
  (3, 1, '', '', '', '{}', '-0', '', true, 1, 'infinity'),
  (4, NULL, NULL, NULL, NULL, ARRAY[NULL, 'NULL', ''], '-Infinity', NULL, false, 0, '-infinity'),
  (5, 2, NULL, '★★★★☆', '😀🐕‍🦺', '[0:0]={"a,b"}', 'Infinity', '10.0.0.1, 10.0.0.2', true, -32768, '0001-01-01'),
  (6, 2, NULL, '10/10', E'a\r\nb\n\\.\n', '{{a},{b}}', '1e-45', '::1', true, 32767, '1970-01-01'),
  (7, 2, NULL, ' 5 ', U&'\FEFFbyte order mark', NULL, 0.1, '10.0.0.1 ', true, 2, '2023-10-29 02:30:00');
