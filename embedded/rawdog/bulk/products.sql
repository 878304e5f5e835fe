INSERT INTO products (id, shopify_gid, handle, title, body_html, price, compare_at_price, cost_cents, weight_grams, options, images, variants, tags,
  inventory_quantity, status, "desc", published_at, created_at, updated_at)
SELECT 1000 + n,
  'gid://shopify/Product/' || 7000000000 + n,
  'leash-' || n,
  pg_temp.one_of(n, 'products.title', ARRAY['Leash','Collar','Bowl','Dog bed','Hunde-Mantel','首輪','Harness™','Chew toy']) || ' ' || n,
  '<div class="desc">' || repeat('<p>' || pg_temp.sentence(n, 'products.body') || '</p>', 3 + pg_temp.pick(n, 'products.paragraphs', 12)::int)
    || CASE WHEN n % 20 = 0 THEN '<img src="data:image/png;base64,' || encode(decode(repeat(pg_temp.digest(n, 'products.image'), 60), 'hex'), 'base64') || '">' ELSE '' END || '</div>',
  pg_temp.price_text(n, 'products.price'),
  CASE n % 6 WHEN 0 THEN NULL WHEN 1 THEN 19.90 WHEN 2 THEN 19.9 WHEN 3 THEN 20 ELSE pg_temp.pick(n, 'products.compare', 900000) / 1000.0 END,
  pg_temp.pick(n, 'products.cost', 9000)::int,
  pg_temp.pick(n, 'products.weight', 90000)::real / 7,
  ('[ {"name":"Size",  "values":["S","M",' || n % 3 || '.10]} ]')::json,
  jsonb_build_array(jsonb_build_object('src', 'https://cdn.example.com/' || n || '.jpg', 'w', 1.50)),
  ARRAY[jsonb_build_object('sku', 'SKU-' || n, 'price', '12.30'), CASE WHEN n % 3 = 0 THEN NULL ELSE jsonb_build_object('sku', 'SKU-' || n || '-B') END],
  CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '{}'::text[] WHEN 2 THEN ARRAY['dog', NULL, 'NULL'] ELSE ARRAY['dog', 'a,b', 'say "hi"'] END,
  pg_temp.pick(n, 'products.inventory', 500)::int - 20,
  pg_temp.one_of(n, 'products.status', ARRAY['active','ACTIVE ','draft','archived']),
  CASE WHEN n % 4 = 0 THEN NULL ELSE pg_temp.sentence(n, 'products.desc') END,
  CASE WHEN n % 7 = 0 THEN NULL ELSE pg_temp.moment(n, 'products.published_at') AT TIME ZONE 'UTC' END,
  pg_temp.moment(n, 'products.created_at'),
  timestamptz '2024-04-01 00:00:00+00' + n * interval '11.000003 s'
FROM generate_series({first}::bigint, {last}) AS n;
