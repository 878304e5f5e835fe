INSERT INTO blog_posts
SELECT 1000 + n,
  'post-' || n % 900,
  pg_temp.sentence(n, 'blog_posts.title'),
  '# Heading' || chr(10) || repeat(pg_temp.sentence(n, 'blog_posts.content') || chr(10) || chr(10), 10 + (n % 30)::int),
  repeat('<p>' || pg_temp.sentence(n, 'blog_posts.content') || '</p>', 10 + (n % 30)::int)
    || CASE WHEN n % 5 = 0 THEN '<img src="data:image/png;base64,' || encode(decode(repeat(pg_temp.digest(n, 'blog_posts.image'), 300), 'hex'), 'base64') || '">' ELSE '' END,
  'editor' || n % 7 || '@example.com',
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}'::text[] ELSE ARRAY['dogs', 'how to', 'Größe'] END,
  jsonb_build_object('words', 100 + n, 'seo', jsonb_build_object('score', 0.70)),
  (n % 20) * interval '1 minute' + interval '0.5 s',
  pg_temp.one_of(n, 'blog_posts.status', ARRAY['published','draft','Published ']),
  CASE WHEN n % 6 > 0 THEN pg_temp.moment(n, 'blog_posts.published_at') AT TIME ZONE 'UTC' END,
  pg_temp.moment(n, 'blog_posts.created_at')
FROM generate_series({first}::bigint, {last}) AS n;
