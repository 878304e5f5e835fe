INSERT INTO products (id, title, "desc", compare_at_price, weight_grams, options, images, variants, tags, status, created_at) VALUES
  (1, 'all NULL', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2019-04-01 10:00:00'),
  (2, '', '', 'NaN', 'NaN', 'null', 'null', '{}', '{}', '', '2019-04-01 10:00:00'),
  (3, 'infinite', 'running dogs ran', 'Infinity', 'Infinity', '{"a": 1, "a": 2,  "b":1.10}', '{"a": 1, "a": 2}', '[0:1]={"{\"a\": 1}","null"}', '[0:1]={a,b}', 'active', '2019-04-01 10:00:00'),
  (4, 'minus', E'CRLF\r\nand trailing blanks  ', '-Infinity', '-Infinity', '"\u0000"', '[]', ARRAY[NULL, '{"sku": "a,b\"c"}']::jsonb[], ARRAY['NULL', NULL, 'null', ''], 'ACTIVE ', '2019-04-01 10:00:00'),
  (5, 'minus zero', 'a''b \ "quoted"', -0.00, '-0', '"\ud800"', '1.10', '{{1,2},{3,NULL}}', '{{a,b},{"c,d","e\"f"}}', 'active ', '2019-04-01 10:00:00'),
  (6, 'many digits', '犬 🐕 الكلب', 123456789012345678901234567890123456789012345678901234567890.12345678901234567890, '1e-45', ' {"k" : 1e400 } ', '9007199254740993', NULL, ARRAY[E'new\nline', E'tab\t', '\', '{}'], 'Active', '2019-04-01 10:00:00'),
  (7, 'small digits', 'the', 1e-30, '3.4028235e38', '[]', '"text"', NULL, ARRAY['é', U&'e\0301'], NULL, '2019-04-01 10:00:00'),
  (8, 'scales', 'scale', 1.10, 16777217, 'true', 'true', NULL, '[-2:-1]={x,y}', NULL, '2019-04-01 10:00:00'),
  (9, 'scales again', 'scale', 1.1000, 0.1, '{}', '{}', NULL, NULL, NULL, '2019-04-01 10:00:00'),
  (10, 'large exponent', 'scale', 1e100, 1.17549435e-38, '""', '""', NULL, NULL, NULL, '2019-04-01 10:00:00');
INSERT INTO products (id, title, price, cost_cents, inventory_quantity, published_at, created_at, body_html) VALUES
  (11, 'Free', 'Free', -1, -2147483648, 'infinity', NULL, ''),
  (12, 'Anglo', '$1,234.50', 2147483647, 2147483647, '-infinity', '1970-01-01', U&'\FEFF<p>byte order mark</p>'),
  (13, 'Continental', '1.234,50', 0, 0, '0001-01-01 00:00:00+00', 'infinity', '<img src="data:image/png;base64,' || pg_temp.noise('products.body_html', 50000) || '">'),
  (14, 'Plain', '12.34', NULL, NULL, NULL, '0001-01-01', E'\\.'),
  (15, 'Nothing', '', NULL, NULL, NULL, '-infinity', E'a\n\\.\nb');
