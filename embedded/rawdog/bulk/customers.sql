INSERT INTO customers
SELECT pg_temp.customer_id(n),
  CASE WHEN n % 9 = 0 THEN NULL ELSE 6000000000000 + n END,
  CASE n % 40 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'Ann' || n / 7 || '@Example.com' WHEN 3 THEN 'ann' || n / 7 || '@example.com '
    WHEN 4 THEN 'dog+tag' || n || '@example.org' WHEN 5 THEN 'jörg' || n || '@müller.example' ELSE 'user' || n || '@example.com' END,
  CASE pg_temp.pick(n, 'customers.phone', 6) WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN '(555) 010-' || n % 10000 ELSE '+1555' || lpad((n % 10000000)::text, 7, '0') END,
  pg_temp.person(n, 'customers.first_name'),
  pg_temp.family(n, 'customers.last_name'),
  CASE WHEN n % 5 = 0 THEN NULL ELSE jsonb_build_object('address1', pg_temp.pick(n, 'street', 900) || ' Bark St', 'city', pg_temp.one_of(n, 'city', ARRAY['Berlin','München','São Paulo','京都','New York']),
    'zip', lpad(pg_temp.pick(n, 'zip', 100000)::text, 5, '0'), 'default', true) END,
  CASE n % 8 WHEN 0 THEN '' WHEN 1 THEN NULL WHEN 2 THEN '[{''zip'': ''' || n || ''', ''default'': True}]' WHEN 3 THEN '"[{\"zip\": \"' || n || '\"}]"'
    ELSE '[{"zip": "' || n || '", "city": "Köln"}]' END,
  pg_temp.one_of(n, 'customers.accepts', ARRAY['true','false','1','0','yes','TRUE','',NULL]),
  pg_temp.price_text(n, 'customers.total_spent'),
  pg_temp.pick(n, 'customers.orders_count', 12)::int,
  pg_temp.one_of(n, 'customers.tags', ARRAY['', NULL, 'vip', 'vip, wholesale', 'Wholesale,VIP ', 'newsletter']),
  CASE WHEN n % 6 = 0 THEN pg_temp.sentence(n, 'customers.note') END,
  CASE WHEN n % 10 = 1 THEN NULL ELSE '$2b$12$' || substr(pg_temp.digest(n, 'customers.password_hash'), 1, 22) || pg_temp.digest(n, 'hash') END,
  CASE WHEN n % 4 = 0 THEN 'shpat_' || pg_temp.digest(n, 'customers.storefront') END,
  CASE WHEN n % 3 = 0 THEN date '1940-01-01' + pg_temp.pick(n, 'customers.birthday', 24000)::int END,
  pg_temp.address(n, 'customers.last_ip'),
  CASE WHEN n % 50 = 0 THEN NULL ELSE pg_temp.moment(n, 'customers.created_at') END,
  timestamptz '2024-05-01 00:00:00+00' + n * interval '7.000001 s',
  CASE WHEN n % 60 = 0 THEN timestamptz '2024-01-01 00:00:00+00' + n * interval '1 min' END
FROM generate_series({first}::bigint, {last}) AS n;
