INSERT INTO withdrawal_requests
SELECT 1000 + n,
  CASE WHEN n % 200 = 0 THEN NULL ELSE pg_temp.creator_id(creator) END,
  cents,
  cents / 100.0,
  pg_temp.one_of(n, 'withdrawal_requests.method', ARRAY['paypal','ach','SEPA','wise']),
  jsonb_build_object('iban', 'FR' || lpad(n::text, 20, '0'), 'holder', pg_temp.person(n, 'withdrawal_requests.holder')),
  pg_temp.one_of(n, 'withdrawal_requests.status', ARRAY['requested','approved','paid','Paid ','rejected']),
  CASE WHEN n % 2 = 0 THEN lpad((pg_temp.pick(n, 'withdrawal_requests.otp', 1000000))::text, 6, '0') END,
  CASE WHEN n % 3 = 0 THEN 'finance' || n % 5 || '@example.com' END,
  pg_temp.address(n, 'withdrawal_requests.ip'),
  CASE WHEN n % 2 = 1 THEN 'po_' || pg_temp.digest(n, 'withdrawal_requests.ref') END,
  pg_temp.moment(n, 'withdrawal_requests.requested_at'),
  CASE WHEN n % 4 > 0 THEN (pg_temp.moment(n, 'withdrawal_requests.requested_at') + interval '3 days') AT TIME ZONE 'UTC' END
FROM (
  SELECT n, 1 + pg_temp.pick(n, 'withdrawal_requests.creator', {creators}) AS creator, 1000 + pg_temp.pick(n, 'withdrawal_requests.cents', 500000)::int AS cents
  FROM generate_series({first}::bigint, {last}) AS n
  OFFSET 0
) AS drawn;
