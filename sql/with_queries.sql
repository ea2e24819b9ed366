-- WITH queries over streams, also recursive ones.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric');
CALL stream('b', 'id int, k int, y int');

CALL keep('once', 'WITH g AS (SELECT k, count(*) AS n FROM a GROUP BY k) SELECT * FROM g WHERE n > 1');
CALL keep('twice', 'WITH g AS (SELECT k, count(*) AS n FROM a GROUP BY k) SELECT g.k, g.n, h.k AS same FROM g JOIN g h ON g.n = h.n AND g.k < h.k');
CALL keep('over_another', 'WITH p AS (SELECT k, x FROM a WHERE x > 1), q AS MATERIALIZED (SELECT k, sum(x) AS x FROM p GROUP BY k) SELECT k, x, y FROM q JOIN b USING (k)');
CALL keep('in_subquery', 'SELECT id FROM b WHERE k IN (WITH p AS (SELECT k FROM a WHERE x > 2) SELECT k FROM p)');
CALL keep('of_values', 'WITH v (k, name) AS (VALUES (1, ''one''), (2, ''two'')) SELECT name, count(*) AS n FROM a JOIN v USING (k) GROUP BY name');
CALL keep('not_named', 'WITH p AS (SELECT k FROM a) SELECT k, y FROM b');
CALL keep('not_named_below', 'SELECT id FROM b WHERE k IN (WITH p AS (SELECT k FROM a), q AS (SELECT k FROM p) SELECT v.k FROM (VALUES (1), (2)) v (k))');
CALL keep('reached', 'WITH RECURSIVE r (k) AS (SELECT k FROM a WHERE id = 1 UNION SELECT b.y FROM b JOIN r USING (k)) SELECT k FROM r');
CALL keep('steps', 'WITH RECURSIVE r (k, depth) AS (SELECT k, 0 FROM a WHERE x = 2 UNION ALL SELECT b.y, depth + 1 FROM b JOIN r USING (k) WHERE depth < 2) SELECT k, depth, count(*) AS n FROM r GROUP BY k, depth');
CALL keep('series', 'WITH RECURSIVE r AS (SELECT id, k AS i FROM a WHERE id < 9 UNION ALL SELECT id, i - 1 FROM r WHERE i > 0) SELECT * FROM r');

CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
SELECT * FROM compare();
-- rows that are there already, and others
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(20, 32) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
SELECT * FROM compare();

SELECT * FROM plan('twice');
SELECT * FROM plan('over_another');
SELECT * FROM plan('reached');

-- the only stream is in a WITH query that nothing names
CREATE VIEW none WITH (streaming.trigger = 'manual') AS
	WITH p AS (SELECT k FROM a) SELECT v.k, generate_series(1, v.k) FROM (VALUES (1), (2)) v (k);

\set include :source '/sql/include/done.sql'
\i :include
