-- How rows are drawn: every value is a hash of the row's number, what it is for, and the seed.
-- No random(), no clock: the same seed and scale give the same rows on every server.
-- Each function is one expression, so that the planner writes it into the INSERT that calls it.

CREATE FUNCTION pg_temp.draw(n bigint, what text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT hashint8extended(n, hashtextextended(what, {seed})) & 9223372036854775807 $$;

CREATE FUNCTION pg_temp.pick(n bigint, what text, below bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (hashint8extended(n, hashtextextended(what, {seed})) & 9223372036854775807) % below $$;

CREATE FUNCTION pg_temp.one_of(n bigint, what text, choices text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT choices[1 + (hashint8extended(n, hashtextextended(what, {seed})) & 9223372036854775807) % cardinality(choices)] $$;

CREATE FUNCTION pg_temp.digest(n bigint, what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT md5(what || '/{seed}/' || n) $$;

-- The past of the shop: minutes since its first day, with many ties.
CREATE FUNCTION pg_temp.moment(n bigint, what text) RETURNS timestamp LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT timestamp '2016-02-29 23:59:59.999999'
        + ((hashint8extended(n, hashtextextended(what, {seed})) & 9223372036854775807) % 4500000) * interval '1 minute' $$;

CREATE FUNCTION pg_temp.sentence(n bigint, what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT pg_temp.one_of(n, what, ARRAY[
  'The collar is softer than it looks and survived a swim in salt water.', 'Arrived a day early, the box was wet but the bowl inside was fine.',
  'Mein Hund zieht jetzt weniger, größer bestellen!', 'Très bonne qualité, mais la couleur « sable » est plutôt grise.', 'Muy contenta con el envío; ¿tendrán talla XS?',
  '犬がとても喜んでいます。また買います。', 'الطوق ممتاز والكلب سعيد', 'הרצועה חזקה מאוד', 'Fits a 30 kg dog, 5" wide, 100 % cotton \ polyester.',
  'Line one' || chr(13) || chr(10) || 'line two' || chr(10) || 'line three', 'Best leash ever 🐕‍🦺🔥, would buy again, "truly".', 'ok', 'No stars for the zipper; it broke in week two.',
  'She said: "it''s fine", so we kept it', 'Für Welpen; nicht für Doggen. Preis: 12,50 €', 'Returned it: smells of plastic. Refund came within 3 days.  ']) $$;

CREATE FUNCTION pg_temp.person(n bigint, what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT pg_temp.one_of(n, what, ARRAY['Ann','Ben','Carla','José','Zoë','Łukasz','Søren','Nguyễn','محمد','נועה','美咲','Иван',
  'Mary-Jane','D''Angelo','ANNA','ben ','Ωμέγα','Ágnes','Chloé','Tim','Olu','Priya','Mehmet','Fritz']) $$;

CREATE FUNCTION pg_temp.family(n bigint, what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT pg_temp.one_of(n, what, ARRAY['Smith','O''Brien','García','Müller','Nguyễn','van der Berg','Kowalski','Öztürk','Sato','Cohen','Haddad','Иванова',
  'de la Cruz','Smith-Jones','MÜLLER','Jensen','Rossi','Silva','Kim','Okafor']) $$;

-- Text as money: what every form, importer and theme wrote into the same column over the years.
CREATE FUNCTION pg_temp.price_text(n bigint, what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE pg_temp.pick(n, what, 25) WHEN 0 THEN '$1,234.50' WHEN 1 THEN '1.234,50' WHEN 2 THEN 'Free' WHEN 3 THEN '' WHEN 4 THEN NULL WHEN 5 THEN '12,5'
   ELSE (pg_temp.pick(n, what || '.cents', 20000) / 100.0)::numeric(10,2)::text END $$;

CREATE FUNCTION pg_temp.agent(n bigint, what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT pg_temp.one_of(n, what, ARRAY[
  'Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36',
  'Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0', 'Googlebot/2.1 (+http://www.google.com/bot.html)', '', NULL, 'curl/8.4.0']) $$;

CREATE FUNCTION pg_temp.address(n bigint, what text) RETURNS inet LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE pg_temp.pick(n, what, 20) WHEN 0 THEN NULL WHEN 1 THEN inet '2001:db8::/64' + pg_temp.pick(n, what, 1000000)
   ELSE inet '10.0.0.0' + pg_temp.pick(n, what, 16000000) END $$;

-- Ids that other tables point at are functions of the row's number.
CREATE FUNCTION pg_temp.customer_id(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE n % 10 WHEN 3 THEN md5('customers/{seed}/' || n)::uuid::text WHEN 7 THEN (700000000000 + n)::text
   ELSE 'cust_' || lpad(n::text, greatest(5, length(n::text)), '0') END $$;

CREATE FUNCTION pg_temp.order_id(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE n % 10 WHEN 4 THEN md5('orders/{seed}/' || n)::uuid::text WHEN 9 THEN (450000000000 + n)::text ELSE 'ord_' || n END $$;

CREATE FUNCTION pg_temp.creator_id(n bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE n % 7 WHEN 2 THEN md5('creators/{seed}/' || n)::uuid::text ELSE 'creator_' || n END $$;

CREATE FUNCTION pg_temp.project_id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT md5('creator_projects/{seed}/' || n)::uuid $$;

-- A document that does not compress: what it costs on the disk is what it costs on the wire.
CREATE FUNCTION pg_temp.noise(what text, bytes int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT left(string_agg(md5(what || '/{seed}/' || i), '' ORDER BY i), bytes) FROM generate_series(1, bytes / 32 + 1) AS i $$;
