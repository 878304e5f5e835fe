INSERT INTO landing_pages
SELECT 1000 + n,
  CASE WHEN n % 15 = 0 THEN NULL ELSE 'page-' || n END,
  pg_temp.sentence(n, 'landing_pages.title'),
  '<!doctype html>' || repeat('<section>' || pg_temp.sentence(n, 'landing_pages.html') || pg_temp.digest(n, 'landing_pages.html') || '</section>' || chr(13) || chr(10), 20 + (n % 200)::int),
  jsonb_build_array(jsonb_build_object('kind', 'hero', 'ratio', 1.50), jsonb_build_object('kind', 'grid', 'columns', n % 5)),
  ('{"klaviyo_key": "pk_' || pg_temp.digest(n, 'landing_pages.config') || '",  "theme": "dark"}')::json,
  CASE WHEN n % 3 = 0 THEN pg_temp.creator_id(creator) || CASE WHEN n % 12 = 0 THEN ' ' ELSE '' END END,
  pg_temp.one_of(n, 'landing_pages.is_live', ARRAY['t','f','true','1','',NULL]),
  (n % 30)::int,
  pg_temp.pick(n, 'landing_pages.views', 3000000000),
  CASE WHEN n % 10 = 0 THEN 'NaN' ELSE pg_temp.pick(n, 'landing_pages.conversion', 1000000)::double precision / 3000000 END,
  CASE WHEN n % 4 = 0 THEN decode(repeat(pg_temp.digest(n, 'landing_pages.hero'), 200), 'hex') END,
  pg_temp.moment(n, 'landing_pages.created_at'),
  timestamptz '2024-02-01 00:00:00+00' + n * interval '17.000013 s'
FROM (
  SELECT n, 1 + pg_temp.pick(n, 'landing_pages.creator', {creators}) AS creator FROM generate_series({first}::bigint, {last}) AS n OFFSET 0
) AS drawn;
