-- What PostgreSQL has of its own with one of these names.
WITH asked AS (SELECT name FROM unnest(ARRAY[]::text[]) AS name)
SELECT 'relation' AS space, name FROM asked JOIN pg_class c ON c.relname = name AND c.relnamespace = 'pg_catalog'::regnamespace
UNION ALL
SELECT 'type in SQL', name FROM asked JOIN pg_type t ON t.typname = name AND t.typnamespace = 'pg_catalog'::regnamespace
UNION ALL
SELECT DISTINCT 'collation', name FROM asked JOIN pg_collation l ON l.collname = name AND l.collnamespace = 'pg_catalog'::regnamespace
ORDER BY 1, 2;
