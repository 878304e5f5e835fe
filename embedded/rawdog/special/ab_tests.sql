INSERT INTO ab_tests (id, key, variants, traffic_split, window_, p_value, stats, winner, "start", "end", salt) VALUES
  ('00000000-0000-0000-0000-000000000001', 'canary', '{"A": 1.10}', ARRAY[0.50, NULL, 0.5], '[2020-01-01 00:00:00+00,infinity)', '1e-320', '{"a": 1, "a": 2}', 'A', '-infinity', 'infinity', 'canary-ab_tests-salt'),
  ('00000000-0000-0000-0000-000000000002', NULL, 'null', '{NaN,Infinity,-Infinity}', '(,)', 'NaN', '"\u0000"', '', '0001-01-01 00:00:00+00', NULL, ''),
  ('00000000-0000-0000-0000-000000000003', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('00000000-0000-0000-0000-000000000004', '', '[]', '{}', 'empty', '5e-324', ' { "lift" : 1.10 } ', 'A ', 'infinity', '-infinity', ' '),
  ('00000000-0000-0000-0000-000000000005', ' ', '"text"', '[0:1]={0.1,1.10}', '[-infinity,infinity]', '-0', '"\ud800"', 'a', '0044-03-15 00:00:00+00 BC', NULL, 'é'),
  ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'Canary', '{}', '{{0.5,0.5},{1,0}}', '(2020-01-01 00:00:00+00,2020-01-01 00:00:00.000001+00]', 'Infinity', 'null', 'B', NULL, NULL, U&'e\0301');
