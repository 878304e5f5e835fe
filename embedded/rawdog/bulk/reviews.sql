INSERT INTO reviews
SELECT 1000 + n,
  CASE WHEN n % 70 = 0 THEN 900000000 + n ELSE 1000 + product END,
  CASE WHEN n % 3 = 0 THEN pg_temp.order_id("order") END,
  CASE n % 20 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'user' || n || '@example.com' END,
  pg_temp.person(n, 'reviews.author') || ' ' || left(pg_temp.family(n, 'reviews.family'), 1) || '.',
  pg_temp.one_of(n, 'reviews.rating', ARRAY['5','5','4','4.5','4,5','★★★★☆','1','', NULL, '10/10']),
  pg_temp.sentence(n, 'reviews.body') || ' ' || pg_temp.sentence(n, 'reviews.more'),
  CASE n % 6 WHEN 0 THEN ARRAY['https://cdn.example.com/r/' || n || '.jpg', NULL] WHEN 1 THEN '{}'::text[] END,
  (pg_temp.pick(n, 'reviews.sentiment', 2000) - 1000)::real / 1000,
  CASE n % 5 WHEN 0 THEN 'unknown' WHEN 1 THEN NULL WHEN 2 THEN '10.0.0.' || n % 256 || ', 172.16.0.1' ELSE '10.1.' || n % 200 || '.7' END,
  CASE n % 3 WHEN 0 THEN true WHEN 1 THEN false END,
  (n % 3)::smallint,
  pg_temp.moment(n, 'reviews.created_at'),
  CASE WHEN n % 80 = 0 THEN pg_temp.moment(n, 'reviews.deleted_at') END
FROM (
  SELECT n, 1 + pg_temp.pick(n, 'reviews.product', {products}) AS product, 1 + pg_temp.pick(n, 'reviews.order', {orders}) AS "order"
  FROM generate_series({first}::bigint, {last}) AS n
  OFFSET 0
) AS drawn;
