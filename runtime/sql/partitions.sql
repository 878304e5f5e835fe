-- Partitions of the tables of the first schema on the search_path, at any depth, each after what it hangs on.
SELECT root.oid::bigint AS oid,
       (SELECT n.nspname::text FROM pg_namespace n WHERE n.oid = c.relnamespace) AS schema,
       c.relname::text AS name,
       (SELECT n.nspname::text FROM pg_namespace n WHERE n.oid = above.relnamespace) AS parent_schema,
       above.relname::text AS parent,
       pg_get_expr(c.relpartbound, c.oid) AS bound,
       pg_get_partkeydef(c.oid) AS partition_by
FROM pg_class root
CROSS JOIN LATERAL pg_partition_tree(root.oid) AS tree
JOIN pg_class c ON c.oid = tree.relid
JOIN pg_class above ON above.oid = tree.parentrelid
WHERE root.relnamespace = quote_ident(current_schema())::regnamespace AND root.relkind = 'p' AND NOT root.relispartition
  AND tree.level > 0
ORDER BY root.oid, tree.level, c.relname;
