INSERT INTO blog_posts (id, slug, title, content_md, content_html, author_email, tags, meta, reading_time, status, published_at, created_at) VALUES
  (1, 'canary', 'canary', 'canary', 'canary', 'canary-blog_posts-author_email', '{}', '{"a": 1.10}', '1 mon', 'Published ', 'infinity', 'infinity'),
  (2, 'canary', '', '', '', '', '[0:1]={a,NULL}', 'null', '-1 mons +1 day', 'published', '-infinity', '-infinity'),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, '', E'CRLF\r\n', E'a\r\n\\.\r\nb', U&'\FEFF<p>byte order mark</p>', 'Ann@Example.com', ARRAY['NULL', NULL, '', 'a,b', 'c"d', '\'], '{"a": 1, "a": 2}', '24:00:00', '', '0001-01-01 00:00:00+00', '0001-01-01'),
  (5, 'é', '👩‍👩‍👧‍👦', 'الكلب', '<img src="data:image/png;base64,' || pg_temp.noise('blog_posts.content_html', 50000) || '">', 'jörg@müller.example', '{{a,b},{c,d}}', '[1e400]', '1 year 2 mons 3 days 04:05:06.78', 'draft', '0044-03-15 00:00:00+00 BC', '0044-03-15 BC'),
  (6, U&'e\0301', ' ', '\N', '\.', ' ', ARRAY[E'a\nb'], '"text"', '1 day -00:00:01', ' ', '294276-12-31 23:59:59.999999+00', '294276-12-31 23:59:59.999999'),
  (7, 'x', 'x', 'x', 'x', 'x', '{}', '{}', '178000000 years', 'x', '1970-01-01 00:00:00+00', '1970-01-01'),
  (8, 'x', 'x', 'x', 'x', 'x', '{}', '{}', '-00:00:00.000001', 'x', '2023-10-29 02:30:00+02', '2023-10-29 02:30:00');
