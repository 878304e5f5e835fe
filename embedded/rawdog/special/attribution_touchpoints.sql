-- The same row three times, and rows that differ in one thing: there is no key to tell them apart.
INSERT INTO attribution_touchpoints (visitor_id, session_id, order_id, customer_id, touched_at, url, referrer, utm, gclid, ip, user_agent, geo, weight, raw)
SELECT '00000000-0000-0000-0000-000000000001', 'kept-attribution_touchpoints-session_id', 'special_canary', 'special_canary', '2024-01-01 00:00:00.001', 'https://shop.example.com/?email=canary-attribution_touchpoints-url',
  'https://mail.example.com/?to=canary-attribution_touchpoints-referrer', '{"source": "mail", "w": 1.10}', 'canary-attribution_touchpoints-gclid', '192.0.2.1', 'kept-attribution_touchpoints-user_agent',
  '(52.5,13.4)', 1, '{"email": "canary-attribution_touchpoints-raw"}'
FROM generate_series(1, 3);
INSERT INTO attribution_touchpoints SELECT FROM generate_series(1, 2); -- all NULL, twice
INSERT INTO attribution_touchpoints (visitor_id, session_id, touched_at, url, geo, weight, raw, utm, ip) VALUES
  ('00000000-0000-0000-0000-000000000002', '', 'infinity', '', '(-0,0)', '-0', '{"v": 1, "v": 2}', 'null', '::1'),
  ('00000000-0000-0000-0000-000000000002', '', 'infinity', '', '(0,0)', '0', '{"v": 1, "v": 2}', 'null', '::1'),
  ('00000000-0000-0000-0000-000000000002', NULL, '-infinity', NULL, '(NaN,Infinity)', 'NaN', '"\u0000"', '{}', '10.1.2.3/8'),
  ('00000000-0000-0000-0000-000000000002', ' ', '0001-01-01', E'a\r\n', '(-Infinity,1e-320)', '-Infinity', ' null ', '"text"', '2001:db8::/32'),
  ('ffffffff-ffff-ffff-ffff-ffffffffffff', '\N', '0044-03-15 12:00:00 BC', '\.', '(0.1,0.30000000000000004)', 'Infinity', '"\ud800"', '[1e400]', '0.0.0.0/0');
