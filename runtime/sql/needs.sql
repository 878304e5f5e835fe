-- What defaults, constraints and indexes of the tables of the first schema on the search_path rely on: extensions
-- (of operator classes, functions, collations), and what somebody made and nobody moves (functions, operators,
-- operator classes, text search configurations), each with the definition that calls it. Partitions count to their
-- table for extensions; what their own definitions call, a rehearsal in the target tells.
WITH part AS (
    SELECT 'pg_attrdef'::regclass AS classid, d.oid AS objid, d.adrelid AS relid,
           format('the %s of "%s"', CASE WHEN a.attgenerated = '' THEN 'default' ELSE 'expression' END, a.attname) AS what
    FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, k.conrelid, format('the constraint "%s"', k.conname)
    FROM pg_constraint k WHERE k.conrelid <> 0
    UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid, i.indrelid, format('the %s "%s"', CASE WHEN EXISTS (
               SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x'))
           THEN 'constraint' ELSE 'index' END, x.relname)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, c.oid, 'its way of partitioning'
    FROM pg_class c WHERE c.relkind IN ('r', 'p')
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, a.attrelid, format('the type of "%s"', a.attname)
    FROM pg_constraint k JOIN pg_attribute a ON a.atttypid = k.contypid AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT DISTINCT c.oid::bigint AS oid,
       e.extname::text AS extension,
       part.what AS definition,
       CASE WHEN e.oid IS NULL THEN pg_describe_object(d.refclassid, d.refobjid, 0) END AS calls
FROM part
JOIN pg_class own ON own.oid = part.relid
JOIN pg_class c ON c.oid = coalesce(pg_partition_root(own.oid), own.oid)
JOIN pg_depend d ON d.classid = part.classid AND d.objid = part.objid
LEFT JOIN pg_depend x ON x.classid = d.refclassid AND x.objid = d.refobjid AND x.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = x.refobjid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p')
  AND (e.oid IS NOT NULL
       OR NOT own.relispartition AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass,
                           'pg_ts_config'::regclass, 'pg_ts_dict'::regclass)
          AND d.refobjid >= 16384  -- not PostgreSQL's own
          AND NOT EXISTS (  -- constructors of range types come with the type
              SELECT FROM pg_depend i WHERE i.classid = d.refclassid AND i.objid = d.refobjid AND i.deptype = 'i'
                                        AND i.refclassid = 'pg_type'::regclass))
ORDER BY 1, 2, 3, 4;
