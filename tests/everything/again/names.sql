-- What happens to names.sql between the generations.
DELETE FROM "Mixed Case"; INSERT INTO "Mixed Case" VALUES (2, 'a', 'b'), (1, NULL, 'c');  -- a swap of unique values
UPDATE "quo""te's" SET "%s" = '%s', "e\f" = '\\';
UPDATE "a-b" SET a_b = -1; UPDATE "a b" SET "a b" = -1; UPDATE "a.b" SET "a.b" = -1; DELETE FROM "A B"; INSERT INTO a_b VALUES (6);
UPDATE "emoji 🦊" SET "🦊" = 2;
UPDATE "new
line" SET "--" = '--', "/*" = '*/';
UPDATE "select" SET "null" = 'x', "table" = 3 - "from";
UPDATE ours SET o = 'o', "offset" = 'x', excluded = excluded + 10;
UPDATE s SET u = 3 - s; UPDATE o SET o2 = 'y'; UPDATE excluded SET excluded2 = 4; DELETE FROM ".."; UPDATE control SET n = 'z';
UPDATE "typed" SET m = '', p = ROW(2, ''); INSERT INTO "typed" DEFAULT VALUES;
INSERT INTO "sixty three bytes ééééééééééééééééééééééééééééééééééééé, ee" DEFAULT VALUES;
DELETE FROM "100% %s" WHERE "%" = 3; UPDATE "100% %s" SET "%s" = 2;
