-- Columns of the tables of the first schema on the search_path, in their order.
-- A sequence is the one that the column draws from, its own or a shared one; else the one it owns.
-- Values of xml, and of domains over it, are read by a cast: their output function leaves the encoding out.
WITH RECURSIVE holding AS (
    SELECT 'xml'::regtype::oid AS oid, 'text' AS read_as
    UNION
    SELECT t.oid, CASE WHEN t.typtype = 'd' THEN h.read_as ELSE 'text[]' END
    FROM holding h JOIN pg_type t ON t.typtype = 'd' AND t.typbasetype = h.oid
                                  OR t.typcategory = 'A' AND t.typelem = h.oid AND h.read_as = 'text'
)
SELECT a.attrelid::bigint AS oid,
       a.attname::text AS name,
       a.atttypid::bigint AS type_oid,
       (SELECT h.read_as FROM holding h WHERE h.oid = a.atttypid) AS read_as,
       format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AND NOT EXISTS (  -- one that was never validated may not hold
           SELECT FROM pg_constraint k
           WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND NOT k.convalidated
       ) AS not_null,
       (SELECT k.conname::text FROM pg_constraint k  -- PostgreSQL 18 has names for them
        WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND k.convalidated
          AND k.conname <> c.relname || '_' || a.attname || '_not_null') AS not_null_name,
       pg_get_expr(d.adbin, d.adrelid) AS expression,
       a.attgenerated::text AS generated,
       a.attidentity::text AS identity,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation,
       sequence.name AS sequence,
       sequence.schema AS sequence_schema,
       sequence.is_own AS owns_sequence,
       (SELECT format('AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s', format_type(q.seqtypid, NULL),
                      q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END)
        FROM pg_sequence q WHERE q.seqrelid = sequence.oid) AS sequence_options
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN LATERAL (
    SELECT s.oid, s.relname::text AS name, (SELECT n.nspname::text FROM pg_namespace n WHERE n.oid = s.relnamespace) AS schema, true AS is_own,
           a.attidentity <> '' OR EXISTS (SELECT FROM pg_depend u WHERE u.classid = 'pg_attrdef'::regclass AND u.objid = d.oid AND u.refobjid = s.oid) AS is_drawn
    FROM pg_depend p JOIN pg_class s ON s.oid = p.objid AND s.relkind = 'S'
    WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass
      AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype IN ('a', 'i')
    UNION ALL
    SELECT s.oid, s.relname::text, (SELECT n.nspname::text FROM pg_namespace n WHERE n.oid = s.relnamespace), false, true
    FROM pg_depend p JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
    WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
    ORDER BY is_drawn DESC, is_own DESC
    LIMIT 1
) AS sequence ON true
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum;
