INSERT INTO ab_tests
SELECT pg_temp.digest(n, 'ab_tests.id')::uuid,
  CASE WHEN n % 40 = 0 THEN NULL ELSE 'test-' || n END,
  jsonb_build_object('A', 'red', 'B', 'green', 'n', n),
  ARRAY[0.50, 0.5 - n % 5 / 10.0],
  tstzrange(start, CASE WHEN n % 3 > 0 THEN start + interval '14 days' END, CASE WHEN n % 2 = 0 THEN '[)' ELSE '(]' END),
  pg_temp.pick(n, 'ab_tests.p_value', 1000000)::double precision / 999983,
  ('{"visits": ' || n * 101 || ', "lift": 0.10,  "lift": 0.1}')::json,
  pg_temp.one_of(n, 'ab_tests.winner', ARRAY['A','B',NULL]),
  start,
  CASE WHEN n % 3 > 0 THEN start + interval '14 days' END,
  pg_temp.digest(n, 'ab_tests.salt')
FROM (SELECT n, pg_temp.moment(n, 'ab_tests.start') AT TIME ZONE 'UTC' AS start FROM generate_series({first}::bigint, {last}) AS n OFFSET 0) AS drawn;
