-- What defaults, constraints and indexes of the tables of the first schema on the search_path rely on:
-- extensions (operator classes, functions, collations) and functions that somebody made.
WITH part AS (
    SELECT 'pg_attrdef'::regclass AS classid, d.oid AS objid, d.adrelid AS relid FROM pg_attrdef d
    UNION ALL SELECT 'pg_constraint'::regclass, k.oid, k.conrelid FROM pg_constraint k WHERE k.conrelid <> 0
    UNION ALL SELECT 'pg_class'::regclass, i.indexrelid, i.indrelid FROM pg_index i
    UNION ALL SELECT 'pg_class'::regclass, c.oid, c.oid FROM pg_class c WHERE c.relkind IN ('r', 'p')
)
SELECT DISTINCT part.relid::bigint AS oid,
       e.extname::text AS extension,
       CASE WHEN e.oid IS NULL THEN p.oid::regprocedure::text END AS function
FROM part
JOIN pg_class c ON c.oid = part.relid
JOIN pg_depend d ON d.classid = part.classid AND d.objid = part.objid
LEFT JOIN pg_depend x ON x.classid = d.refclassid AND x.objid = d.refobjid AND x.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = x.refobjid
LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND (e.oid IS NOT NULL OR p.oid IS NOT NULL)
ORDER BY 1, 2, 3;
