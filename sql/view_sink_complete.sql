-- Output mode complete: after each batch the user's table equals the result, by
-- applying the difference.
CREATE FOREIGN TABLE sales (shop text, item int, amount int) SERVER streaming OPTIONS (retention '1 hour');
CREATE TABLE log (entry text);
CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.log VALUES (TG_TABLE_NAME || ' ' || TG_OP || ' ' || coalesce(NEW::text, OLD::text));
    RETURN NULL;
END
$$;

-- with a unique key on the group key: rows that differ are updated, and what the
-- view does not know of stays; rows that were there before go
CREATE TABLE totals (
    shop text, item int NOT NULL, total numeric(10,1), note text DEFAULT 'new',
    UNIQUE NULLS NOT DISTINCT (item, shop));
INSERT INTO totals VALUES ('stale', 1, 2), (NULL, 2, 4);
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON totals FOR EACH ROW EXECUTE FUNCTION log_change();
CREATE VIEW sold WITH (streaming.trigger = 'manual', streaming.sink = 'totals', streaming.output_mode = 'complete') AS
    SELECT shop, item, sum(amount) AS total FROM sales GROUP BY shop, item HAVING sum(amount) > 0;
SELECT streaming.drain('sold');
SELECT entry FROM log ORDER BY entry COLLATE "C";
TRUNCATE log;
INSERT INTO sales VALUES ('north', 1, 10), ('north', 1, 5), ('south', 2, 7), ('west', 1, -1), (NULL, 2, 3), (NULL, 1, 9);
SELECT streaming.drain('sold');
SELECT entry FROM log ORDER BY entry COLLATE "C";
TRUNCATE log;
UPDATE totals SET note = 'kept';
INSERT INTO sales VALUES ('north', 1, 1), ('south', 2, -7), ('west', 1, 2), (NULL, 2, -3), (NULL, 1, 1);
-- whatever somebody else does to the table, the next batch sets it right
UPDATE totals SET total = 0 WHERE shop = 'north';
INSERT INTO totals VALUES ('intruder', 1, 1);
TRUNCATE log;
SELECT streaming.drain('sold');
SELECT entry FROM log ORDER BY entry COLLATE "C";
SELECT * FROM totals ORDER BY item, shop;
SELECT * FROM sold ORDER BY item, shop;

-- nothing is written where nothing has changed
TRUNCATE log;
INSERT INTO sales VALUES ('north', 1, 0);
SELECT streaming.drain('sold');
SELECT entry FROM log;

-- without a key rows are compared as wholes, duplicates and NULLs counted;
-- columns are compared as the table holds them
CREATE TABLE copies (shop text COLLATE "C", third numeric(10,1), items int[], id int GENERATED ALWAYS AS IDENTITY);
CREATE VIEW copied WITH (streaming.trigger = 'manual', streaming.sink = 'copies', streaming.output_mode = 'complete') AS
    SELECT shop, amount / 3.0 AS third, CASE WHEN item = 1 THEN '{}' WHEN item = 2 THEN ARRAY[amount] END AS items
    FROM sales WHERE amount > 0;
SELECT streaming.drain('copied');
SELECT shop, third, items FROM copies ORDER BY 1, 2, 3;
INSERT INTO sales VALUES ('north', 3, 1), ('north', 3, 1), (NULL, 3, 1);
-- two copies too many of three, and one too few
INSERT INTO copies VALUES (NULL, 3.0, '{}'), (NULL, 3.0, '{}'), (NULL, NULL, NULL);
DELETE FROM copies WHERE shop = 'west';
SELECT streaming.drain('copied');
SELECT shop, third, items FROM copies ORDER BY 1, 2, 3;
SELECT count(*) FROM copies WHERE id IN (SELECT id FROM copies GROUP BY id HAVING count(*) > 1);

-- rows of an aggregation that are filtered again; one group for all; any unique key will do
CREATE TABLE best (shop text PRIMARY KEY, most bigint);
CREATE VIEW winners WITH (streaming.trigger = 'manual', streaming.sink = 'best', streaming.output_mode = 'complete') AS
    SELECT shop, most FROM (SELECT shop, max(amount) AS most FROM sales GROUP BY shop) x WHERE most < 12 AND shop IS NOT NULL;
CREATE TABLE grand (n bigint, total bigint);
CREATE VIEW everything WITH (streaming.trigger = 'manual', streaming.sink = 'grand', streaming.output_mode = 'complete') AS
    SELECT count(*) AS n, sum(amount) AS total FROM sales;
CREATE VIEW of_totals WITH (streaming.trigger = 'manual') AS SELECT count(*) AS groups, sum(total) FROM sold;
SELECT v, streaming.drain(v) FROM unnest(ARRAY['winners', 'everything', 'of_totals']::regclass[]) v;
SELECT * FROM best ORDER BY shop;
SELECT * FROM grand;
SELECT * FROM of_totals;
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON best FOR EACH ROW EXECUTE FUNCTION log_change();
TRUNCATE log;
INSERT INTO sales VALUES ('north', 1, 100), ('south', 1, 8), ('east', 1, 1), ('north', 1, -100);
SELECT v, streaming.drain(v) FROM unnest(ARRAY['winners', 'everything', 'of_totals']::regclass[]) v;
SELECT * FROM grand;
SELECT * FROM of_totals;
SELECT entry FROM log ORDER BY entry COLLATE "C";

-- reset: the whole table is the view's
SELECT streaming.reset('winners');
SELECT count(*) FROM best;
SELECT streaming.drain('winners');
SELECT * FROM best ORDER BY shop;

-- a whole row is compared, so its types need an equality
CREATE TABLE documents (shop text, doc json);
CREATE VIEW docs WITH (streaming.sink = 'documents', streaming.output_mode = 'complete') AS
    SELECT shop, to_json(amount) AS doc FROM sales;
ALTER TABLE documents ALTER doc TYPE jsonb;
CREATE VIEW docs WITH (streaming.trigger = 'manual', streaming.sink = 'documents', streaming.output_mode = 'complete') AS
    SELECT shop, to_jsonb(amount) AS doc FROM sales WHERE shop = 'west';
SELECT streaming.drain('docs');
SELECT * FROM documents ORDER BY doc;

-- columns of all kinds, that round and truncate, in partitions, some of them NULL
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS int[] CHECK (cardinality(value) < 10);
CREATE TABLE "Many kinds" (
    "select" char(3), c varchar(4) COLLATE "C", s pair, d small, "Key" int, mood mood, at timestamp(0), cost money,
    found tsvector, pairs pair[], id int) PARTITION BY HASH ("Key");
CREATE TABLE many_0 PARTITION OF "Many kinds" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE many_1 PARTITION OF "Many kinds" FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE VIEW kinds WITH (streaming.trigger = 'manual', streaming.sink = '"Many kinds"', streaming.output_mode = 'complete') AS
    SELECT left(shop, 3) AS "select", left(shop, 4) AS c, CASE WHEN item > 1 THEN ROW(item, shop)::pair END AS s,
        CASE WHEN item = 1 THEN '{}' WHEN amount > 5 THEN ARRAY[amount] END AS d, amount::bigint AS "Key",
        CASE WHEN amount > 5 THEN 'ok'::mood END AS mood, timestamp '2026-01-01' + amount * interval '0.3 s' AS at,
        CASE WHEN item > 1 THEN amount::money END AS cost, to_tsvector('simple', shop) AS found,
        CASE WHEN item > 1 THEN ARRAY[ROW(item, shop)::pair, NULL] END AS pairs
    FROM sales;
SELECT streaming.drain('kinds');
UPDATE "Many kinds" SET id = 1;
INSERT INTO sales VALUES (NULL, NULL, NULL), ('south', 2, 7), ('north', 1, 10);
INSERT INTO "Many kinds" SELECT * FROM "Many kinds";
DELETE FROM "Many kinds" WHERE "Key" = 8;
SELECT streaming.drain('kinds');
CREATE TABLE many_again (LIKE "Many kinds");
CREATE VIEW kinds_again WITH (streaming.trigger = 'manual', streaming.sink = 'many_again') AS
    SELECT left(shop, 3) AS "select", left(shop, 4) AS c, CASE WHEN item > 1 THEN ROW(item, shop)::pair END AS s,
        CASE WHEN item = 1 THEN '{}' WHEN amount > 5 THEN ARRAY[amount] END AS d, amount::bigint AS "Key",
        CASE WHEN amount > 5 THEN 'ok'::mood END AS mood, timestamp '2026-01-01' + amount * interval '0.3 s' AS at,
        CASE WHEN item > 1 THEN amount::money END AS cost, to_tsvector('simple', shop) AS found,
        CASE WHEN item > 1 THEN ARRAY[ROW(item, shop)::pair, NULL] END AS pairs
    FROM sales;
SELECT streaming.drain('kinds_again');
SELECT count(*) FROM many_again;
(TABLE kinds EXCEPT ALL TABLE kinds_again) UNION ALL (TABLE kinds_again EXCEPT ALL TABLE kinds);
-- what was right has not been written again
SELECT id, count(*) FROM "Many kinds" GROUP BY id ORDER BY id;

-- one view alone can own its sink
CREATE VIEW more WITH (streaming.sink = 'totals', streaming.output_mode = 'complete') AS SELECT shop, item FROM sales;
CREATE VIEW more WITH (streaming.sink = 'totals') AS SELECT shop, item FROM sales;

DROP FOREIGN TABLE sales CASCADE;
DROP TABLE totals, copies, best, grand, documents, "Many kinds", many_again, log;
DROP TYPE mood, pair;
DROP DOMAIN small;
DROP FUNCTION log_change;
