-- What partitions of the tables of the first schema on the search_path have otherwise than the table itself:
-- constraints, indexes, defaults, NOT NULL, being unlogged; and what the indexes that they inherit are called.
WITH part AS (
    SELECT root.oid AS root, c.oid, c.relname::text AS name, c.relkind, c.relpersistence
    FROM pg_class root
    CROSS JOIN LATERAL pg_partition_tree(root.oid) AS tree
    JOIN pg_class c ON c.oid = tree.relid
    WHERE root.relnamespace = quote_ident(current_schema())::regnamespace AND root.relkind = 'p' AND NOT root.relispartition
      AND tree.level > 0
), columns AS (
    SELECT part.root, part.oid, part.name AS partition, a.attname::text AS name, a.attgenerated <> '' AS is_generated,
           a.attnotnull AND NOT r.attnotnull AS is_required,
           pg_get_expr(own.adbin, own.adrelid) AS own, pg_get_expr(given.adbin, given.adrelid) AS given
    FROM part
    JOIN pg_attribute a ON a.attrelid = part.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
    JOIN pg_attribute r ON r.attrelid = part.root AND r.attname = a.attname AND NOT r.attisdropped
    LEFT JOIN pg_attrdef own ON own.adrelid = a.attrelid AND own.adnum = a.attnum
    LEFT JOIN pg_attrdef given ON given.adrelid = r.attrelid AND given.adnum = r.attnum
)
SELECT root::bigint AS oid, partition, schema.nspname::text AS schema, kind, own.name, definition, parent, parent_schema
FROM (
    SELECT part.root, part.oid, part.name AS partition, CASE k.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END AS kind,
           k.conname::text AS name, pg_get_constraintdef(k.oid, k.contype = 'x') AS definition, p.relname::text AS parent,
           (SELECT n.nspname::text FROM pg_namespace n WHERE n.oid = p.relnamespace) AS parent_schema
    FROM part JOIN pg_constraint k ON k.conrelid = part.oid LEFT JOIN pg_class p ON p.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)
    WHERE k.conparentid = 0 AND (k.contype IN ('p', 'u', 'x', 'f') OR k.contype = 'c' AND k.conislocal AND k.coninhcount = 0)
    UNION ALL
    SELECT part.root, part.oid, part.name, 'index', x.relname::text,
           CASE WHEN i.indisvalid THEN replace(pg_get_indexdef(x.oid, 0, true), ' ON ONLY ', ' ON ') ELSE pg_get_indexdef(x.oid, 0, true) END, NULL, NULL
    FROM part JOIN pg_index i ON i.indrelid = part.oid JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indislive AND (i.indisvalid OR x.relkind = 'I')
      AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = x.oid)
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT part.root, part.oid, part.name, 'index name', x.relname::text, NULL, above.relname::text,
           (SELECT n.nspname::text FROM pg_namespace n WHERE n.oid = above.relnamespace)
    FROM part JOIN pg_index i ON i.indrelid = part.oid JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_inherits h ON h.inhrelid = x.oid JOIN pg_class above ON above.oid = h.inhparent
    UNION ALL
    SELECT root, oid, partition, CASE WHEN is_generated THEN 'expression' ELSE 'default' END, name, own, NULL, NULL
    FROM columns WHERE own IS DISTINCT FROM given
    UNION ALL
    SELECT root, oid, partition, 'not null', name, NULL, NULL, NULL FROM columns WHERE is_required
    UNION ALL
    SELECT root, oid, name, 'unlogged', '', NULL, NULL, NULL FROM part WHERE relpersistence = 'u' AND relkind = 'r'
) AS own
JOIN pg_class c ON c.oid = own.oid
JOIN pg_namespace schema ON schema.oid = c.relnamespace
ORDER BY 1, 2, 4, 5;
