INSERT INTO balance_transactions OVERRIDING SYSTEM VALUE
SELECT 1000 + n,
  CASE WHEN n % 90 = 0 THEN NULL ELSE pg_temp.creator_id(creator) END,
  CASE n % 8 WHEN 0 THEN 'ord_gone_' || n WHEN 1 THEN NULL ELSE pg_temp.order_id("order") END,
  pg_temp.one_of(n, 'balance_transactions.kind', ARRAY['commission','commission','bonus','payout','reversal']),
  cents,
  pg_temp.price_text(n, 'balance_transactions.amount'),
  pg_temp.one_of(n, 'balance_transactions.currency', ARRAY['USD','EUR','US','usd']),
  (abs(cents) / 30)::int,
  pg_temp.pick(n, 'balance_transactions.running', 5000000000) - 100000,
  date '2021-06-01' + (n % 1400)::int,
  CASE WHEN n % 3 = 0 THEN NULL ELSE 'idem-' || pg_temp.digest(n, 'balance_transactions.idempotency') END,
  CASE WHEN n % 17 = 0 THEN 1000 + n / 2 END,
  CASE n % 4 WHEN 0 THEN '{"a":1, "a":2}'::json WHEN 1 THEN 'null'::json WHEN 2 THEN ('{"rate": 0.10, "n": ' || n || '}')::json END,
  pg_temp.moment(n, 'balance_transactions.created_at') AT TIME ZONE 'UTC'
FROM (
  SELECT n, 1 + pg_temp.pick(n, 'balance_transactions.creator', {creators}) AS creator, 1 + pg_temp.pick(n, 'balance_transactions.order', {orders}) AS "order",
    pg_temp.pick(n, 'balance_transactions.cents', 9000000) - 200000 AS cents
  FROM generate_series({first}::bigint, {last}) AS n
  OFFSET 0
) AS drawn;
