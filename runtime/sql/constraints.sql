-- Constraints of the tables of the first schema on the search_path; those that partitions inherit left out.
SELECT k.conrelid::bigint AS oid,
       CASE k.contype WHEN 'n' THEN 'c' ELSE k.contype END::text AS kind,  -- a NOT NULL that was never validated is a check
       k.conname::text AS name,
       ARRAY(
           SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS place(attnum, number)
           JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = place.attnum ORDER BY place.number
       ) AS columns,
       pg_get_constraintdef(k.oid, k.contype = 'x') AS definition,  -- exclusions are printed as indexes are (pretty)
       k.convalidated AS is_validated,
       k.condeferrable AS is_deferrable,
       parent.relname::text AS parent,
       parent_schema.nspname::text AS parent_schema,
       ARRAY(
           SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS place(attnum, number)
           JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = place.attnum ORDER BY place.number
       ) AS parent_columns
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
LEFT JOIN pg_class parent ON parent.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)  -- rows of a partition come with its table
LEFT JOIN pg_namespace parent_schema ON parent_schema.oid = parent.relnamespace
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND (k.contype IN ('p', 'u', 'f', 'c', 'x') OR k.contype = 'n' AND NOT k.convalidated) AND k.conparentid = 0
ORDER BY k.conrelid, k.conname;
