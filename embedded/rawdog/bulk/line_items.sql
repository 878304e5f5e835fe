INSERT INTO line_items
SELECT 1000 + n,
  CASE n % 300 WHEN 0 THEN 'ord_gone_' || n WHEN 1 THEN NULL ELSE pg_temp.order_id("order") END,
  CASE n % 50 WHEN 0 THEN 900000000 + n WHEN 1 THEN NULL ELSE 1000 + product END,
  CASE WHEN n % 9 = 0 THEN NULL ELSE 'SKU-' || product END,
  pg_temp.one_of(n, 'line_items.title', ARRAY['Leash','Collar','Bowl ','Dog bed','Hunde-Mantel','首輪','Harness™','Chew toy 🦴']) || ' ' || product,
  quantity,
  pg_temp.price_text(n, 'line_items.price'),
  cents / 100.0,
  CASE WHEN n % 40 = 0 THEN -quantity * cents ELSE quantity * cents END,
  CASE n % 6 WHEN 0 THEN '[]'::jsonb WHEN 1 THEN jsonb_build_array(jsonb_build_object('amount', 1.10, 'code', 'RUFF' || n % 50)) END,
  CASE WHEN n % 15 = 0 THEN ('[{"name":"Engraving","value":"' || pg_temp.person(n, 'line_items.engraving') || ' ' || n || '"}]')::json END,
  (n % 4)::smallint,
  pg_temp.moment("order", 'orders.created_at')
FROM (
  SELECT n, 1 + n * {orders} / {line_items} % {orders} AS "order", 1 + pg_temp.pick(n, 'line_items.product', {products}) AS product,
    1 + pg_temp.pick(n, 'line_items.quantity', 4)::int AS quantity, 100 + pg_temp.pick(n, 'line_items.cents', 9900)::int AS cents
  FROM generate_series({first}::bigint, {last}) AS n
  OFFSET 0
) AS drawn;
