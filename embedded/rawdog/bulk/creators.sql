-- Referrals stay within a thousand, which is never cut by a chunk: the key on itself is checked when the statement ends.
INSERT INTO creators
SELECT pg_temp.creator_id(n),
  'creator' || n || '@Example.com',
  '@paws_' || n,
  pg_temp.person(n, 'creators.display_name') || ' & ' || pg_temp.one_of(n, 'creators.dog', ARRAY['Rex','Luna 🐩','Búho','ポチ']),
  CASE WHEN n % 3 = 0 THEN '+1 555 ' || n END,
  CASE n % 12 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN ' 12,5 % ' WHEN 3 THEN '0.15' WHEN 4 THEN '15%' WHEN 5 THEN '15.0' WHEN 6 THEN '150' ELSE (5 + n % 30)::text END,
  'RUFF' || n,
  CASE WHEN n % 3 = 0 AND referrer <> n THEN pg_temp.creator_id(referrer) END,
  CASE WHEN n % 2 = 0 THEN 'IGQ' || pg_temp.digest(n, 'creators.instagram') || pg_temp.digest(n, 'instagram') END,
  CASE WHEN n % 3 = 0 THEN 'rft.' || pg_temp.digest(n, 'creators.tiktok') END,
  CASE WHEN n % 2 = 0 THEN jsonb_build_object('youtube', jsonb_build_object('access_token', 'ya29.' || pg_temp.digest(n, 'creators.oauth'), 'scopes', jsonb_build_array('read', n % 3))) END,
  1700000000000 + n * 977,
  CASE WHEN n % 4 > 0 THEN jsonb_build_object('iban', 'DE' || lpad(n::text, 20, '0'), 'routing', lpad((n * 7)::text, 9, '0')) END,
  CASE WHEN n % 5 = 0 THEN 'pay' || n || '@example.com' END,
  CASE WHEN n % 2 = 0 THEN lpad((n % 1000)::text, 3, '0') || '-12-' || lpad((n % 10000)::text, 4, '0') END,
  CASE WHEN n % 10 = 0 THEN convert_to('%PDF-1.4' || chr(10), 'UTF8') || decode(repeat(pg_temp.digest(n, 'creators.w9'), 100), 'hex') END,
  (pg_temp.pick(n, 'creators.earnings', 9000000)::numeric / 100 - 500)::money,
  pg_temp.pick(n, 'creators.balance', 900000) - 10000,
  ('{"followers": ' || n * 13 || ',  "rate": 1.10, "tags": ["dog","dog"]}')::json,
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN tstzrange(signed AT TIME ZONE 'UTC', NULL) ELSE tstzrange(signed AT TIME ZONE 'UTC', (signed + interval '1 year') AT TIME ZONE 'UTC') END,
  pg_temp.one_of(n, 'creators.status', ARRAY['active','ACTIVE ','paused','']),
  signed,
  timestamptz '2024-03-01 00:00:00+00' + n * interval '13.000011 s',
  CASE WHEN n % 45 = 0 THEN 1 ELSE 0 END
FROM (
  SELECT n, least({creators}, (n - 1) / 1000 * 1000 + 1 + pg_temp.pick(n, 'creators.referrer', 1000)) AS referrer, pg_temp.moment(n, 'creators.created_at') AS signed
  FROM generate_series({first}::bigint, {last}) AS n
  OFFSET 0
) AS drawn;
