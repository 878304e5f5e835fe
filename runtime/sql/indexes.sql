-- Indexes that back no constraint, of the tables of the first schema on the search_path.
SELECT i.indrelid::bigint AS oid,
       x.relname::text AS name,
       CASE WHEN i.indisvalid THEN replace(pg_get_indexdef(i.indexrelid, 0, true), ' ON ONLY ', ' ON ')  -- else some partitions lack it
            ELSE pg_get_indexdef(i.indexrelid, 0, true) END AS definition,
       i.indisunique AS is_unique,
       i.indpred IS NOT NULL AS is_partial,
       CASE WHEN 0 = ANY (i.indkey::int2[]) THEN ARRAY[]::text[] ELSE ARRAY(
           SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS place(attnum, number)
           JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = place.attnum
           WHERE place.number <= i.indnkeyatts ORDER BY place.number
       ) END AS columns
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_class x ON x.oid = i.indexrelid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND i.indislive AND (i.indisvalid OR x.relkind = 'I')
  AND NOT EXISTS (
      SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
  )
ORDER BY i.indrelid, x.relname;
