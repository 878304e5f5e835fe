-- What stands in the first schema on the search_path and is no table of its own: none of it is moved.
WITH mine AS (SELECT quote_ident(current_schema())::regnamespace::oid AS oid),
extension_objects AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')
SELECT kind, name
FROM (
    SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END AS kind,
           c.relname::text AS name, 'pg_class'::regclass AS classid, c.oid AS objid
    FROM pg_class c, mine WHERE c.relnamespace = mine.oid AND c.relkind IN ('v', 'm', 'f')
    UNION ALL
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
           p.proname::text, 'pg_proc'::regclass, p.oid
    FROM pg_proc p, mine WHERE p.pronamespace = mine.oid
      AND NOT EXISTS (  -- constructors of range types come with the type
          SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
    UNION ALL
    SELECT 'trigger', c.relname || '.' || t.tgname, 'pg_trigger'::regclass, t.oid
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid, mine
    WHERE c.relnamespace = mine.oid AND NOT t.tgisinternal AND t.tgparentid = 0
    UNION ALL
    SELECT 'row security policy', c.relname || '.' || p.polname, 'pg_policy'::regclass, p.oid
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid, mine WHERE c.relnamespace = mine.oid
    UNION ALL
    SELECT 'rule', c.relname || '.' || r.rulename, 'pg_rewrite'::regclass, r.oid
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class, mine
    WHERE c.relnamespace = mine.oid AND c.relkind IN ('r', 'p') AND r.rulename <> '_RETURN'
    UNION ALL
    SELECT 'extended statistics', s.stxname::text, 'pg_statistic_ext'::regclass, s.oid
    FROM pg_statistic_ext s, mine WHERE s.stxnamespace = mine.oid
    UNION ALL
    SELECT 'comment', c.relname || coalesce('.' || a.attname, ''), 'pg_description'::regclass, c.oid
    FROM pg_description d JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0, mine
    WHERE c.relnamespace = mine.oid AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT CASE WHEN c.reloftype <> 0 THEN 'tie of a table to its type' ELSE 'replica identity' END, c.relname::text, 'pg_class'::regclass, c.oid
    FROM pg_class c, mine
    WHERE c.relnamespace = mine.oid AND c.relkind IN ('r', 'p') AND (c.reloftype <> 0 OR c.relreplident IN ('f', 'n', 'i'))
    UNION ALL
    SELECT 'partition of a table elsewhere', c.relname::text, 'pg_class'::regclass, c.oid
    FROM pg_class c JOIN pg_class root ON root.oid = pg_partition_root(c.oid), mine
    WHERE c.relnamespace = mine.oid AND c.relkind IN ('r', 'p', 'f') AND c.relispartition AND root.relnamespace <> mine.oid
    UNION ALL
    SELECT 'publication', p.pubname::text, 'pg_publication'::regclass, p.oid
    FROM pg_publication p, mine
    WHERE p.puballtables OR EXISTS (
        SELECT FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid WHERE r.prpubid = p.oid AND c.relnamespace = mine.oid)
    UNION ALL
    SELECT 'sequence of no column', c.relname::text, 'pg_class'::regclass, c.oid
    FROM pg_class c, mine
    WHERE c.relnamespace = mine.oid AND c.relkind = 'S' AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_attrdef'::regclass)
      AND NOT EXISTS (  -- one that is owned goes with its column, unless that draws from another
        SELECT FROM pg_depend d LEFT JOIN pg_attrdef a ON a.adrelid = d.refobjid AND a.adnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND NOT EXISTS (
            SELECT FROM pg_depend u JOIN pg_class s ON s.oid = u.refobjid AND s.relkind = 'S'
            WHERE u.classid = 'pg_attrdef'::regclass AND u.objid = a.oid AND u.refclassid = 'pg_class'::regclass))
) AS thing
WHERE NOT EXISTS (SELECT FROM extension_objects e WHERE e.classid = thing.classid AND e.objid = thing.objid)
UNION ALL
SELECT 'table of an extension', c.relname::text
FROM pg_class c JOIN extension_objects e ON e.classid = 'pg_class'::regclass AND e.objid = c.oid, mine
WHERE c.relnamespace = mine.oid AND c.relkind IN ('r', 'p')
ORDER BY kind, name;
