-- Columns named like those that a table has by itself, and like ours.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('s', 'id int, k int, "$sign" int, "$count" int, "$group" int, "$1" int');
CALL stream('r', 'id int, k int, "$weight" int');

CALL keep('filtered', 'SELECT id AS ctid, k AS xmin, "$sign", "$count" AS "$hash" FROM s WHERE "$sign" > 2');
CALL keep('counted', 'SELECT k AS xmin, count(*) AS xmax, sum("$sign") AS "$k1", max(id) AS tableoid, min(id) AS "$_1" FROM s GROUP BY k');
CALL keep('shown', 'SELECT k AS cmin, count(*) AS "$shown" FROM s GROUP BY k HAVING count(*) > 2');
CALL keep('recomputed', 'SELECT k AS "$group", count(DISTINCT id) AS "$count", array_agg("$1" ORDER BY id) AS "$closes" FROM s GROUP BY k');
CALL keep('joined', 'SELECT s.id AS "$sign", s."$sign" AS "$weight", r."$weight" AS ctid FROM s JOIN r ON s.k = r.k AND s."$group" <> r."$weight"');
CALL keep('lefts', 'SELECT s.id AS "$count", s."$count" AS "$group", r.id AS "$hash", r."$weight" AS xmin FROM s LEFT JOIN r USING (k)');
CALL keep('windowed', 'SELECT k AS xmin, id AS "$group", sum("$sign") OVER (PARTITION BY k ORDER BY id) AS ctid FROM s');
CALL keep('topped', 'SELECT id AS xmin, "$count" AS "$tid" FROM s ORDER BY "$count", id LIMIT 5');
CALL keep('unioned', 'SELECT id AS xmin, "$sign" AS "$sign" FROM s UNION ALL SELECT id, "$weight" FROM r');
CALL keep('distincts', 'SELECT DISTINCT k AS ctid, "$sign" % 2 AS "$sign" FROM s');
-- inside
CALL keep('inside', 'SELECT q."$sign" AS a, count(*) AS n FROM (SELECT k AS "$sign", count(*) AS ctid FROM s GROUP BY k) q WHERE ctid > 1 GROUP BY 1');
CALL keep('inside_join', 'SELECT q."$sign", q.ctid, p."$sign" AS b FROM (SELECT k, count(*) AS "$sign", max(id) AS ctid FROM s GROUP BY k) q LEFT JOIN (SELECT k, sum(id) AS "$sign" FROM r GROUP BY k) p USING (k)');
CALL keep('with_queries', 'WITH "$leaf_1" AS (SELECT 2 AS "$1"), "$edge" AS (SELECT k, id AS "$1" FROM s) SELECT e."$1" AS "$edge", r.id, l."$1" FROM "$edge" e JOIN r USING (k) CROSS JOIN "$leaf_1" l');
-- above
CALL keep('above', 'SELECT xmin, xmax AS "$sign", "$_1" FROM counted WHERE xmax > 2');
CALL keep('above_all', 'SELECT sum("$k1") AS "$k1", count(*) AS cmax FROM counted');
CALL keep('above_join', 'SELECT c.xmin, f.ctid, f."$hash" FROM counted c LEFT JOIN filtered f ON f.xmin = c.xmin');

CALL feed('s', 'SELECT i, pick(i, 1, 6), pick(i, 2, 9), pick(i, 3, 4), pick(i, 4, 5), i FROM generate_series(1, 40) i');
CALL feed('r', 'SELECT i, pick(i, 5, 6), pick(i, 6, 9) FROM generate_series(1, 20) i');
SELECT * FROM compare();
CALL feed('s', 'SELECT i, pick(i, 1, 6), pick(i, 2, 9), pick(i, 3, 4), pick(i, 4, 5), i FROM generate_series(41, 60) i');
CALL feed('r', 'SELECT i, pick(i, 5, 6), pick(i, 6, 9) FROM generate_series(21, 30) i');
SELECT * FROM compare();
SELECT streaming.reset('above'), streaming.reset('unioned');
SELECT * FROM compare() WHERE view IN ('above', 'unioned');
SELECT xmin, xmax, tableoid FROM counted ORDER BY xmin LIMIT 2;
SELECT pg_get_viewdef('counted') ~ '"\$_1" AS xmin' AS renamed;

-- indexes of these
CREATE INDEX by_max ON counted (xmax);
CREATE INDEX by_sum ON counted ((xmax + "$k1"));
SELECT name FROM streaming.indexes WHERE view = 'counted'::regclass ORDER BY name;
DROP INDEX by_max, by_sum;
-- renamed later
ALTER VIEW counted RENAME COLUMN xmax TO ctid;
ALTER VIEW counted RENAME COLUMN "$k1" TO xmax;
CALL feed('s', 'SELECT 1, 1, 100, 1, 1, 1');
SELECT streaming.drain('counted');
SELECT xmin, xmax, ctid FROM counted WHERE xmin = 1;

-- sinks of the user's
CREATE TABLE sums ("$sign" int, "$hash" bigint, "$surplus" int, UNIQUE NULLS NOT DISTINCT ("$sign"));
CREATE TABLE copies ("$sign" int, "$copy" int);
CREATE VIEW to_sums WITH (streaming.trigger = manual, streaming.sink = 'sums') AS SELECT k AS "$sign", count(*) AS "$hash", max(id) AS "$surplus" FROM s GROUP BY k;
CREATE VIEW to_copies WITH (streaming.trigger = manual, streaming.sink = 'copies', streaming.output_mode = complete) AS SELECT k AS "$sign", "$sign" AS "$copy" FROM s;
CALL feed('s', 'SELECT i, pick(i, 1, 6), pick(i, 2, 9), pick(i, 3, 4), pick(i, 4, 5), i FROM generate_series(61, 80) i');
SELECT streaming.drain('to_sums'), streaming.drain('to_copies');
SELECT count(*), sum("$hash"), max("$surplus") FROM sums;
SELECT count(*), sum("$copy") FROM copies;
INSERT INTO copies VALUES (1, 100);
UPDATE sums SET "$hash" = 0;
CALL feed('s', 'SELECT i, pick(i, 1, 6), pick(i, 2, 9), pick(i, 3, 4), pick(i, 4, 5), i FROM generate_series(81, 100) i');
SELECT streaming.drain('to_sums'), streaming.drain('to_copies');
SELECT count(*), sum("$copy") FROM copies;
SELECT count(*), max("$surplus") FROM sums;
-- a table has no such columns of the user's
CREATE VIEW to_sums_too WITH (streaming.sink = 'sums') AS SELECT k AS ctid, count(*) AS "$hash" FROM s GROUP BY k;
CREATE FUNCTION take(batch regclass, batch_id bigint) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN EXECUTE format('INSERT INTO copies SELECT "$sign", -1 FROM %s', batch); END $$;
CREATE VIEW to_function WITH (streaming.trigger = manual, streaming.foreach_batch = 'take') AS SELECT id AS ctid FROM s;
CREATE VIEW to_function WITH (streaming.trigger = manual, streaming.foreach_batch = 'take') AS SELECT id AS "$sign" FROM s;
CREATE FUNCTION take_row(r record) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN INSERT INTO copies VALUES (r.ctid, -2); END $$;
CREATE VIEW to_rows WITH (streaming.trigger = manual, streaming.foreach = 'take_row') AS SELECT id AS ctid, k AS "$sign" FROM s;
CALL feed('s', 'SELECT i, 1, 1, 1, 1, 1 FROM generate_series(101, 102) i');
SELECT streaming.drain('to_function'), streaming.drain('to_rows');
SELECT * FROM copies WHERE "$copy" < 0 AND "$sign" > 100 ORDER BY 1, 2;

\set include :source '/sql/include/done.sql'
\i :include
