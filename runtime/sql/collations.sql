-- Collations that somebody made in the first schema on the search_path, as what follows CREATE COLLATION name.
SELECT c.collname::text AS name,
       format('(provider = %s, %s, deterministic = %s%s)',
              CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
              CASE WHEN c.collprovider = 'c' THEN format('lc_collate = %L, lc_ctype = %L', c.collcollate, c.collctype)
                   ELSE format('locale = %L', coalesce(made.facts ->> 'colllocale', made.facts ->> 'colliculocale', c.collcollate)) END,
              CASE WHEN c.collisdeterministic THEN 'true' ELSE 'false' END,
              CASE WHEN made.facts ->> 'collicurules' IS NULL THEN '' ELSE format(', rules = %L', made.facts ->> 'collicurules') END) AS definition
FROM pg_collation c CROSS JOIN LATERAL (SELECT to_jsonb(c)) AS made(facts)  -- columns have other names in each version
WHERE c.collnamespace = quote_ident(current_schema())::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_collation'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.collname;
