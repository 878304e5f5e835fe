-- The same in one schema, by PostgreSQL's own ALTER: what must stand in the target.
ALTER INDEX b.orders_pkey RENAME TO b_orders_pkey;
ALTER INDEX b.orders_m RENAME TO b_orders_m;
ALTER SEQUENCE b.orders_id_seq RENAME TO b_orders_id_seq;
ALTER TABLE b.orders RENAME TO b_orders;
ALTER TABLE b.animal RENAME TO b_animal;
ALTER TABLE b.parts RENAME TO b_parts;
ALTER TYPE b.mood RENAME TO "user";
ALTER TYPE b.span RENAME TO b_span;
ALTER TYPE b.span_multirange RENAME TO "B Multi";
ALTER INDEX "Sales Dept".orders_pkey RENAME TO "Sales Dept_orders_pkey";
ALTER SEQUENCE "Sales Dept".orders_id_seq RENAME TO "Sales Dept_orders_id_seq";
ALTER TABLE "Sales Dept".orders RENAME TO "Sales Dept_orders";
ALTER TABLE "Sales Dept".orders_m RENAME TO "Sales.Dept_orders_m";
ALTER TABLE "Sales Dept".parts RENAME TO "Sales Dept_parts";
ALTER SEQUENCE "Sales Dept".shared RENAME TO "it's shared";
ALTER DOMAIN "Sales Dept".code RENAME TO "Sales Dept_code";
ALTER TABLE "Sales Dept".only_here RENAME TO "Sales Dept_only_here";
ALTER TABLE not_looked_into.parts RENAME TO not_looked_into_parts;
ALTER TABLE plain RENAME TO "plain renamed";
ALTER INDEX b.parts_pkey RENAME TO "b parts pkey";
ALTER INDEX "Sales Dept".parts_pkey RENAME TO "Sales Dept_parts_pkey";
ALTER INDEX not_looked_into.parts_pkey RENAME TO not_looked_into_parts_pkey;
DO $$
DECLARE thing record;
BEGIN
  FOR thing IN SELECT c.oid::regclass AS name, n.nspname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('b', 'Sales Dept', 'not_looked_into') AND c.relkind IN ('r', 'p') LOOP
    EXECUTE format('ALTER TABLE %s SET SCHEMA public', thing.name);
  END LOOP;
  FOR thing IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('b', 'Sales Dept') AND c.relkind = 'S' LOOP
    EXECUTE format('ALTER SEQUENCE %s SET SCHEMA public', thing.name);
  END LOOP;
  FOR thing IN SELECT t.oid::regtype AS name, t.typtype FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE n.nspname IN ('b', 'Sales Dept') AND t.typtype IN ('e', 'd', 'c', 'r') AND coalesce(c.relkind, 'c') = 'c' LOOP
    EXECUTE format('ALTER %s %s SET SCHEMA public', CASE thing.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, thing.name);
  END LOOP;
  FOR thing IN SELECT t.oid::regtype AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname IN ('b', 'Sales Dept') AND t.typtype = 'm' LOOP
    EXECUTE format('ALTER TYPE %s SET SCHEMA public', thing.name);
  END LOOP;
END $$;
