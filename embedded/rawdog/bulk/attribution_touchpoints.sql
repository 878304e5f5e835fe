-- The pixel fired twice now and then: every fiftieth row is the one before it again.
INSERT INTO attribution_touchpoints
SELECT pg_temp.digest(visitor, 'attribution_touchpoints.visitor')::uuid,
  'sess_' || substr(pg_temp.digest(n, 'attribution_touchpoints.session'), 1, 16),
  CASE WHEN n % 6 = 0 THEN pg_temp.order_id("order") END,
  CASE n % 5 WHEN 0 THEN pg_temp.customer_id(customer) WHEN 1 THEN '' END,
  pg_temp.moment(n, 'attribution_touchpoints.touched_at') + (n % 1000) * interval '1 ms',
  'https://shop.example.com/products/leash-' || n % 1000 || '?email=user' || customer || '%40example.com',
  pg_temp.one_of(n, 'attribution_touchpoints.referrer', ARRAY['https://www.google.com/','https://l.instagram.com/?u=abc','','android-app://com.tiktok/',NULL]),
  CASE WHEN n % 3 > 0 THEN jsonb_build_object('source', pg_temp.one_of(n, 'utm', ARRAY['google','ig','tt']), 'medium', 'cpc', 'w', 1.0) END,
  CASE WHEN n % 4 = 0 THEN 'Cj0K' || pg_temp.digest(n, 'attribution_touchpoints.gclid') END,
  pg_temp.address(n, 'attribution_touchpoints.ip'),
  pg_temp.agent(n, 'attribution_touchpoints.user_agent'),
  CASE WHEN n % 2 = 0 THEN point(pg_temp.pick(n, 'lon', 360000)::float8 / 1000 - 180, pg_temp.pick(n, 'lat', 180000)::float8 / 1000 - 90) END,
  pg_temp.pick(n, 'attribution_touchpoints.weight', 1000)::real / 1000,
  CASE WHEN n % 3 = 0 THEN ('{"v": ' || n % 7 || ', "v": "again",  "t": 1.10}')::json END
FROM (
  SELECT n, 1 + pg_temp.pick(n, 'visitor', 1 + {attribution_touchpoints} / 4) AS visitor, 1 + pg_temp.pick(n, 'attribution_touchpoints.order', {orders}) AS "order",
    1 + pg_temp.pick(n, 'attribution_touchpoints.customer', {customers}) AS customer
  FROM (SELECT CASE WHEN i % 50 = 0 THEN i - 1 ELSE i END AS n FROM generate_series({first}::bigint, {last}) AS i) AS fired
  OFFSET 0
) AS drawn;
