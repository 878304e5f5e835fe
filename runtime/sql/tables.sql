-- Tables of the first schema on the search_path, partitions counted to their root; those of extensions left out.
-- Rows are the planner's way of guessing: density of the last ANALYZE, else of the columns' widths, times the pages of now.
WITH heap AS (
    SELECT c.oid AS root, member.oid, member.reltuples, member.relpages,
           pg_relation_size(member.oid) / current_setting('block_size')::int AS pages,
           pg_table_size(member.oid) AS bytes
    FROM pg_class c
    CROSS JOIN LATERAL (
        SELECT tree.relid FROM pg_partition_tree(c.oid) AS tree WHERE c.relkind = 'p' AND tree.isleaf
        UNION ALL
        SELECT c.oid WHERE c.relkind = 'r'
    ) AS leaf(relid)
    JOIN pg_class member ON member.oid = leaf.relid AND member.relkind = 'r'
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
), width AS (
    SELECT attrelid, 28 + sum(CASE WHEN attlen > 0 THEN attlen ELSE 32 END) AS bytes
    FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped GROUP BY attrelid
), estimate AS (
    SELECT heap.root, sum(heap.bytes)::bigint AS bytes,
           sum(round(heap.pages * CASE
               WHEN heap.reltuples >= 0 AND heap.relpages > 0 THEN heap.reltuples / heap.relpages
               ELSE (current_setting('block_size')::int - 24) / coalesce(width.bytes, 28)
           END))::bigint AS rows
    FROM heap LEFT JOIN width ON width.attrelid = heap.root
    GROUP BY heap.root
)
SELECT c.oid::bigint AS oid,
       c.relname::text AS name,
       c.relkind = 'p' AS is_partitioned,
       pg_get_partkeydef(c.oid) AS partition_by,
       c.relpersistence = 'u' AS is_unlogged,
       coalesce(estimate.rows, 0) AS rows,
       coalesce(estimate.bytes, 0) AS bytes,
       has_table_privilege(c.oid, 'SELECT') AS is_readable,
       row_security_active(c.oid) AS hides_rows,
       ARRAY(
           SELECT part.relname::text FROM pg_partition_tree(c.oid) AS tree JOIN pg_class part ON part.oid = tree.relid
           WHERE c.relkind = 'p' AND part.relkind = 'f' ORDER BY part.relname
       ) AS foreign_parts,
       ARRAY(
           SELECT ARRAY[n.nspname::text, child.relname::text] FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
           JOIN pg_namespace n ON n.oid = child.relnamespace WHERE i.inhparent = c.oid AND c.relkind = 'r' ORDER BY child.relname
       ) AS children,
       ARRAY(
           SELECT ARRAY[n.nspname::text, above.relname::text] FROM pg_inherits i JOIN pg_class above ON above.oid = i.inhparent
           JOIN pg_namespace n ON n.oid = above.relnamespace WHERE i.inhrelid = c.oid ORDER BY i.inhseqno
       ) AS inherits
FROM pg_class c
LEFT JOIN estimate ON estimate.root = c.oid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
  AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT EXISTS (
      SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
ORDER BY c.relname;
