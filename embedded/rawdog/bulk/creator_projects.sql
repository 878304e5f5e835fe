INSERT INTO creator_projects
SELECT pg_temp.project_id(n),
  pg_temp.creator_id(creator),
  CASE n % 10 WHEN 1 THEN pg_temp.project_id(parent) WHEN 2 THEN pg_temp.project_id(least({creator_projects}, n + 1 + n % 7)) END,
  CASE WHEN n % 25 = 0 THEN NULL ELSE pg_temp.one_of(n, 'creator_projects.title', ARRAY['Spring reel','Unboxing','Été 🐕','Giveaway ']) || ' ' || n END,
  '<h1>Brief</h1>' || repeat('<p>' || pg_temp.sentence(n, 'creator_projects.brief') || '</p>', 1 + (n % 8)::int),
  ('[{"kind":"reel","due":' || n % 30 || '},{"kind":"story",  "due":null}]')::json,
  pg_temp.price_text(n, 'creator_projects.budget'),
  pg_temp.pick(n, 'creator_projects.fee', 1000)::real / 30,
  CASE WHEN n % 4 > 0 THEN date '2022-01-01' + (n % 1500)::int END,
  CASE n % 5 WHEN 0 THEN interval '1 mon' WHEN 1 THEN interval '3 days 04:05:06.78' WHEN 2 THEN interval '24:00:00' WHEN 3 THEN interval '-1 mons +1 day' END,
  CASE n % 3 WHEN 0 THEN '["https://files.example.com/' || n || '.mp4?X-Signature=' || pg_temp.digest(n, 'creator_projects.files') || '"]' WHEN 1 THEN '' END,
  pg_temp.one_of(n, 'creator_projects.status', ARRAY['open','done','DONE ','cancelled']),
  CASE WHEN n % 6 > 0 THEN pg_temp.moment(n, 'creator_projects.started_at') END,
  pg_temp.moment(n, 'creator_projects.created_at') AT TIME ZONE 'UTC'
FROM (
  SELECT n, 1 + pg_temp.pick(n, 'creator_projects.creator', {creators}) AS creator, 1 + pg_temp.pick(n, 'creator_projects.parent', {creator_projects}) AS parent
  FROM generate_series({first}::bigint, {last}) AS n
  OFFSET 0
) AS drawn;
