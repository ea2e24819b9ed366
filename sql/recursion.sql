-- WITH RECURSIVE over streams: rows that come add what they derive.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
-- as the workers have it: what recursions cost is guessed much too high
SET jit = off;
CALL stream('e', 'src int, dst int, w int');
CALL stream('start', 'node int');
CALL stream('named', 'src text, dst text');
CALL stream('part', 'whole text, part text, n int');
-- followed, and not
CREATE TABLE live.road (a int, b int);
CREATE TABLE live.closed (node int);

-- how often a row of the recursion has met an edge
CREATE SEQUENCE met;
CREATE FUNCTION meets(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('live.met'); RETURN true; END $$;

CALL keep('closure', 'WITH RECURSIVE t (a, b) AS (SELECT src, dst FROM e UNION SELECT t.a, e.dst FROM t JOIN e ON e.src = t.b) SELECT * FROM t');
CALL keep('reached', 'WITH RECURSIVE r (node) AS (SELECT node FROM start UNION SELECT e.dst FROM r, e WHERE e.src = r.node AND live.meets(r.node, e.dst)) SELECT node FROM r');
CALL keep('from_one', 'WITH RECURSIVE r (node) AS (VALUES (1) UNION SELECT e.dst FROM r JOIN e ON e.src = r.node) SELECT count(*) AS n, max(node) AS far, sum(node) AS s FROM r');
CALL keep('texts', 'WITH RECURSIVE r AS (SELECT src, dst FROM named UNION SELECT r.src, n.dst FROM r JOIN named n ON n.src = r.dst) SELECT src, count(*) AS n FROM r GROUP BY src');
-- each derivation counts
CALL keep('parts', 'WITH RECURSIVE p (whole, part, n) AS (SELECT whole, part, n FROM part WHERE whole = ''car'' UNION ALL SELECT q.whole, q.part, q.n * p.n FROM p JOIN part q ON q.whole = p.part) SELECT part, sum(n) AS n FROM p GROUP BY part');
CALL keep('steps', 'WITH RECURSIVE r (node, depth, path) AS (SELECT node, 0, ARRAY[node] FROM start UNION ALL SELECT e.dst, depth + 1, path || e.dst FROM r JOIN e ON e.src = r.node WHERE depth < 4 AND e.dst <> ALL (path)) SELECT node, depth, path FROM r');
-- without an input of its own; several, by different columns; none that is equal
CALL keep('series', 'WITH RECURSIVE r AS (SELECT node, node AS i FROM start UNION ALL SELECT node, i - 1 FROM r WHERE i > 0 AND i < 9) SELECT * FROM r');
CALL keep('two_hops', 'WITH RECURSIVE r (node) AS (SELECT node FROM start UNION SELECT f.dst FROM r JOIN e ON e.src = r.node JOIN e f ON f.src = e.dst) SELECT node FROM r');
CALL keep('hops', 'WITH RECURSIVE r (node) AS (SELECT node FROM start UNION SELECT h.dst FROM r JOIN (SELECT e.src, f.dst FROM e JOIN e f ON f.src = e.dst) h ON h.src = r.node) SELECT node FROM r');
CALL keep('wider', 'WITH RECURSIVE r (lo, hi) AS (SELECT src, src + 2 FROM e WHERE src < 3 UNION SELECT least(e.src, r.lo), greatest(r.hi, e.dst) FROM r JOIN e ON e.src BETWEEN r.lo AND r.hi) SELECT * FROM r');
CALL keep('both_ends', 'WITH RECURSIVE r (a, b) AS (SELECT src, dst FROM e WHERE w > 3 UNION SELECT e.src, f.dst FROM r JOIN e ON e.dst = r.a JOIN e f ON f.src = r.b) SELECT a, count(*) AS n FROM r GROUP BY a');
-- several branches, rows that are aggregated, and the recursion named twice
CALL keep('branches', 'WITH RECURSIVE r (node, n) AS (SELECT node, 1 FROM start UNION SELECT src, 2 FROM e WHERE w = 1 UNION SELECT e.dst, r.n FROM r JOIN e ON e.src = r.node) SELECT node, n FROM r');
CALL keep('of_groups', 'WITH RECURSIVE g AS (SELECT src, max(dst) AS dst FROM e GROUP BY src), r (node) AS (SELECT node FROM start UNION SELECT g.dst FROM r JOIN g ON g.src = r.node) SELECT node FROM r');
CALL keep('twice', 'WITH RECURSIVE t (a, b) AS (SELECT src, dst FROM e UNION SELECT t.a, e.dst FROM t JOIN e ON e.src = t.b) SELECT x.a, x.b FROM t x JOIN t y ON x.a = y.b AND x.b = y.a');
CALL keep('not_reached', 'WITH RECURSIVE r (node) AS (SELECT node FROM start UNION SELECT e.dst FROM r JOIN e ON e.src = r.node) SELECT DISTINCT e.src FROM e WHERE NOT EXISTS (SELECT FROM r WHERE r.node = e.src)');
CALL keep('of_view', 'WITH RECURSIVE r (node) AS (SELECT b FROM closure WHERE a = 1 UNION SELECT e.dst FROM r JOIN e ON e.src = r.node) SELECT node FROM r');
-- rows that disappear
CALL keep('roads', 'WITH RECURSIVE r (node) AS (SELECT node FROM start UNION SELECT b FROM r JOIN live.road ON a = node) SELECT node FROM r', ', streaming.follow = ''live.road''');
CALL keep('from_road', 'WITH RECURSIVE r (node) AS (VALUES (1) UNION SELECT b FROM r JOIN live.road ON a = node) SELECT node FROM r', ', streaming.follow = ''live.road''');
CALL keep('road_lengths', 'WITH RECURSIVE r (node, n) AS (SELECT node, 0 FROM start UNION ALL SELECT b, n + 1 FROM r JOIN live.road ON a = node WHERE n < 3) SELECT node, n, count(*) AS ways FROM r GROUP BY node, n', ', streaming.follow = ''live.road''');
-- computed anew: a table that is not followed, what is not monotone, and what no table holds
CALL keep('open', 'WITH RECURSIVE r (node) AS (SELECT node FROM start UNION SELECT e.dst FROM r JOIN e ON e.src = r.node LEFT JOIN live.closed c ON c.node = e.dst WHERE c.node IS NULL) SELECT node FROM r');
CALL keep('shortest', 'WITH RECURSIVE r (node, d) AS (SELECT node, 0 FROM start UNION SELECT node, d FROM (SELECT e.dst AS node, r.d + 1 AS d, min(r.d + 1) OVER (PARTITION BY e.dst) AS least FROM r JOIN e ON e.src = r.node WHERE d < 5) s WHERE d = least) SELECT node, min(d) AS d FROM r GROUP BY node');
CALL keep('numbers', 'WITH RECURSIVE r (x) AS (SELECT node::numeric FROM start UNION SELECT x / 2 FROM r WHERE x > 1) SELECT x FROM r');
CALL keep('cycles', 'WITH RECURSIVE r (node) AS (SELECT node FROM start UNION ALL SELECT e.dst FROM r JOIN e ON e.src = r.node) CYCLE node SET is_cycle USING path SELECT node, is_cycle FROM r');
CALL keep('depth_first', 'WITH RECURSIVE r (node, depth) AS (SELECT node, 0 FROM start UNION ALL SELECT e.dst, depth + 1 FROM r JOIN e ON e.src = r.node WHERE depth < 3) SEARCH DEPTH FIRST BY node SET o SELECT node, depth FROM r');
CALL keep('first_ones', 'WITH RECURSIVE r (n) AS (SELECT node FROM start UNION ALL SELECT n + 1 FROM r) SELECT count(*) AS n FROM (SELECT n FROM r LIMIT 50) q');
-- where nothing goes, rows of a recursion but appear
CREATE TABLE live.found (node int, n int);
CREATE VIEW finds WITH (streaming.trigger = manual, streaming.output_mode = append, streaming.sink = 'live.found') AS
	WITH RECURSIVE r (node, n) AS (SELECT node, 0 FROM start UNION SELECT e.dst, 1 FROM r JOIN e ON e.src = r.node) SELECT node, n FROM r WHERE n = 1;
CREATE VIEW batch.finds AS WITH RECURSIVE r (node, n) AS (SELECT node, 0 FROM batch.start UNION SELECT e.dst, 1 FROM r JOIN batch.e ON e.src = r.node) SELECT node, n FROM r WHERE n = 1;
CALL keep('appended', 'WITH RECURSIVE r (a, b) AS (SELECT whole, part FROM part UNION ALL SELECT r.a, p.part FROM r JOIN part p ON p.whole = r.b) SELECT * FROM r', ', streaming.output_mode = append');
CALL keep('above', 'SELECT a, count(*) AS n FROM appended GROUP BY a');
CREATE VIEW refused WITH (streaming.trigger = manual, streaming.output_mode = append, streaming.follow = 'live.road') AS
	WITH RECURSIVE r (node) AS (SELECT node FROM start UNION SELECT b FROM r JOIN live.road ON a = node) SELECT node FROM r;
SELECT * FROM compare();

SELECT * FROM plan('closure');
SELECT * FROM plan('parts');
SELECT * FROM plan('finds');
SELECT line FROM plan('two_hops') line WHERE line ~ 'Rows|Cost';
SELECT line FROM plan('hops') line WHERE line ~ 'Stage|Rows|Cost';
SELECT line FROM plan('from_road') line WHERE line ~ 'Cost|Bounded';
SELECT view, method FROM streaming.views v, LATERAL (SELECT string_agg(trim(line), ', ') AS method
	FROM streaming.explain(v.view) line WHERE line ~ 'Method: recursive|Cost: whole input$') m ORDER BY view::text;
\a\t
SELECT regexp_replace(line, '(result|state|rows)_\d+', '\1_N', 'g') FROM streaming.explain('reached') line WHERE line ~ 'Join|Step';
\a\t

CALL feed('start', 'VALUES (1), (4)');
CALL feed('e', 'VALUES (1, 2, 1), (2, 3, 2), (3, 1, 3), (4, 5, 4), (7, 8, 5), (5, NULL, 6)');
CALL feed('named', 'VALUES (''a'', ''b''), (''b'', ''c''), (repeat(''long '', 1000), ''a'')');
CALL feed('part', 'VALUES (''car'', ''wheel'', 4), (''wheel'', ''bolt'', 5), (''car'', ''bolt'', 10)');
INSERT INTO live.road VALUES (1, 2), (2, 3), (4, 5);
SELECT * FROM compare();
-- the same once more, an edge that closes a cycle, and one that joins two parts
CALL feed('e', 'VALUES (1, 2, 1), (5, 4, 1), (3, 7, 1), (8, 1, 4)');
CALL feed('named', 'VALUES (''c'', ''a''), (''c'', repeat(''long '', 1000)), (''d'', NULL)');
CALL feed('part', 'VALUES (''bolt'', ''thread'', 1), (''bolt'', ''thread'', 1), (''wheel'', ''rim'', 1)');
CALL feed('start', 'VALUES (4), (9), (NULL)');
INSERT INTO live.road VALUES (3, 4), (5, 1), (5, 1);
INSERT INTO live.closed VALUES (7);
SELECT * FROM compare();
-- rows that go, and one that goes and comes in one batch
DELETE FROM live.road WHERE a = 2;
UPDATE live.road SET a = a WHERE a = 1;
SELECT * FROM compare();
UPDATE live.road SET a = 2 WHERE a = 4;
INSERT INTO live.road VALUES (2, 6), (6, 6);
SELECT * FROM compare();
UPDATE live.road SET b = b;
SELECT * FROM compare();
DELETE FROM live.road;
CALL feed('e', 'SELECT i % 11, i % 13, i FROM generate_series(0, 40, 3) i');
SELECT * FROM compare();

-- a batch costs what is new: of a chain, a loop at its end meets itself alone
CREATE FUNCTION cost(OUT met bigint, OUT input_rows bigint, OUT output_rows bigint) LANGUAGE plpgsql AS $$
DECLARE
	before bigint := nextval('live.met');
BEGIN
	PERFORM streaming.drain('live.reached');
	met := nextval('live.met') - before - 1;
	SELECT o.input_rows, o.output_rows INTO input_rows, output_rows FROM streaming.stat_operators o WHERE view = 'live.reached'::regclass AND stage = 1;
END $$;
SELECT * FROM cost();
CALL feed('e', 'SELECT i, i + 1, i FROM generate_series(1001, 2000) i');
SELECT * FROM cost();
CALL feed('e', 'VALUES (9, 1001, 0)');
SELECT * FROM cost();
CALL feed('e', 'VALUES (2001, 2002, 0)');
SELECT * FROM cost();
CALL feed('e', 'VALUES (2002, 1001, 0)');
SELECT * FROM cost();
CALL feed('start', 'VALUES (2002), (2003)');
SELECT * FROM cost();
SELECT count(*), count(DISTINCT node) FROM reached;

-- an endless one goes on until it is cancelled
CREATE VIEW endless WITH (streaming.trigger = manual) AS
	WITH RECURSIVE r (n, k) AS (SELECT node, 1 FROM start WHERE node > 2002 UNION ALL SELECT n, 1 - k FROM r WHERE n > 2003) SELECT count(*) FROM r;
SELECT streaming.drain('endless');
INSERT INTO start VALUES (5000);
SET statement_timeout = '1s';
SELECT streaming.drain('endless');
RESET statement_timeout;
SELECT * FROM endless;
DROP VIEW endless;

\set ECHO none
\set include :source '/sql/include/done.sql'
\i :include
