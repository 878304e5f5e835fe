-- Types outside pg_catalog, with the types each is made of; Python picks those that moved tables need.
SELECT t.oid::bigint AS oid,
       t.typname::text AS name,
       (SELECT multi.typname::text FROM pg_type multi WHERE multi.oid = span.rngmultitypid) AS multirange,
       n.nspname::text AS schema,
       CASE WHEN row_of.relkind <> 'c' THEN 'row of a table'
            WHEN t.typtype = 'b' AND t.typcategory = 'A' THEN 'array'
            ELSE CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite'
                                WHEN 'r' THEN CASE WHEN span.rngcanonical <> 0 OR EXISTS (  -- functions are not moved
                                         SELECT FROM pg_proc p WHERE p.oid = span.rngsubdiff AND p.pronamespace <> 'pg_catalog'::regnamespace)
                                         THEN 'range with functions' ELSE 'range' END
                                WHEN 'm' THEN 'multirange' ELSE 'base' END
       END AS kind,
       extension.extname::text AS extension,
       CASE t.typtype
           WHEN 'e' THEN (
               SELECT 'ENUM (' || coalesce(string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder), '') || ')'
               FROM pg_enum e WHERE e.enumtypid = t.oid)
           WHEN 'd' THEN concat_ws(' ',
               format_type(t.typbasetype, t.typtypmod),
               CASE WHEN t.typcollation <> base.typcollation THEN 'COLLATE ' || t.typcollation::regcollation::text END,
               CASE WHEN t.typdefaultbin IS NOT NULL THEN 'DEFAULT ' || pg_get_expr(t.typdefaultbin, 0) END,
               CASE WHEN t.typnotnull THEN 'NOT NULL' END,
               (SELECT string_agg(format('CONSTRAINT %I %s', k.conname, replace(pg_get_constraintdef(k.oid), ' NOT VALID', '')), ' ' ORDER BY k.conname)
                FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
           WHEN 'c' THEN (
               SELECT '(' || coalesce(string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                          CASE WHEN a.attcollation <> part.typcollation THEN 'COLLATE ' || a.attcollation::regcollation::text END),
                      ', ' ORDER BY a.attnum), '') || ')'
               FROM pg_attribute a JOIN pg_type part ON part.oid = a.atttypid
               WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
           WHEN 'r' THEN 'RANGE (' || concat_ws(', ',
               'SUBTYPE = ' || format_type(span.rngsubtype, NULL),
               CASE WHEN NOT operators.opcdefault THEN 'SUBTYPE_OPCLASS = ' || CASE WHEN pg_opclass_is_visible(operators.oid)
                   THEN quote_ident(operators.opcname) ELSE operators.opcnamespace::regnamespace || '.' || quote_ident(operators.opcname) END END,
               CASE WHEN span.rngcollation <> subtype.typcollation THEN 'COLLATION = ' || span.rngcollation::regcollation::text END,
               CASE WHEN span.rngsubdiff <> 0 THEN 'SUBTYPE_DIFF = ' || span.rngsubdiff::regproc::text END,
               (SELECT 'MULTIRANGE_TYPE_NAME = ' || quote_ident(multi.typname) FROM pg_type multi WHERE multi.oid = span.rngmultitypid)) || ')'
       END AS definition,
       EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c' AND NOT k.convalidated) AS is_doubtful,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
       ARRAY(
           SELECT needed.oid::bigint FROM (
               SELECT t.typelem AS oid WHERE t.typcategory = 'A' AND t.typelem <> 0
               UNION SELECT t.typbasetype WHERE t.typbasetype <> 0
               UNION SELECT span.rngsubtype WHERE span.rngsubtype IS NOT NULL
               UNION SELECT one.rngtypid FROM pg_range one WHERE one.rngmultitypid = t.oid
               UNION SELECT a.atttypid FROM pg_attribute a
                     WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
           ) AS needed ORDER BY needed.oid
       ) AS needs
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class row_of ON row_of.oid = t.typrelid
LEFT JOIN pg_range span ON span.rngtypid = t.oid
LEFT JOIN pg_type subtype ON subtype.oid = span.rngsubtype
LEFT JOIN pg_opclass operators ON operators.oid = span.rngsubopc
LEFT JOIN pg_type base ON base.oid = t.typbasetype
LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
LEFT JOIN pg_extension extension ON extension.oid = d.refobjid
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(temp|toast_temp)_'
ORDER BY n.nspname, t.typname;
