-- Subqueries that are values, in every place that has them.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric');
CALL stream('b', 'id int, k int, y int');

CALL keep('of_all', 'SELECT id, (SELECT avg(y) FROM b)::numeric(9, 3) AS mean FROM a');
CALL keep('of_key', 'SELECT id, (SELECT max(y) FROM b WHERE b.k = a.k) AS most FROM a');
CALL keep('counted_in', 'SELECT id, (SELECT count(*) FROM b WHERE b.k = a.k) AS n FROM a');
CALL keep('compared', 'SELECT id FROM a WHERE x > (SELECT avg(y) FROM b WHERE b.k = a.k)');
CALL keep('in_having', 'SELECT k, count(*) AS n FROM a GROUP BY k HAVING count(*) > (SELECT count(*) / 6 FROM b)');
CALL keep('in_list_of_groups', 'SELECT k, count(*) AS n, (SELECT count(*) FROM b WHERE b.k = a.k) AS in_b FROM a GROUP BY k');
CALL keep('above_groups', 'SELECT k, n FROM (SELECT k, count(*) AS n FROM a GROUP BY k) g WHERE n > (SELECT avg(m) FROM (SELECT count(*) AS m FROM b GROUP BY k) h)');
CALL keep('as_array', 'SELECT k, ARRAY(SELECT y FROM b WHERE b.k = g.k ORDER BY y) AS ys FROM (SELECT DISTINCT k FROM a) g');
CALL keep('in_case', 'SELECT id, CASE WHEN x > 2 THEN (SELECT min(y) FROM b WHERE b.k = a.k) ELSE -1 END AS y FROM a');
CALL keep('in_on', 'SELECT a.id, b.id AS with FROM a JOIN b ON a.k = b.k AND b.y >= (SELECT max(y) FROM b same WHERE same.k = b.k)');
CALL keep('in_function', 'SELECT i FROM generate_series(1, (SELECT max(y) FROM b)) i');
CALL keep('in_values', 'SELECT * FROM (VALUES (1, (SELECT count(*) FROM a)), (2, (SELECT count(*) FROM b))) v (i, n)');
CALL keep('nested', 'SELECT id FROM a WHERE k IN (SELECT k FROM b WHERE y > (SELECT avg(x) FROM a inner_a WHERE inner_a.k = b.k))');

CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
SELECT * FROM compare();
-- rows that are there already, and others
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(20, 32) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
SELECT * FROM compare();

SELECT * FROM plan('of_all');
SELECT * FROM plan('of_key');
SELECT * FROM plan('in_having');
SELECT * FROM plan('in_function');

\set include :source '/sql/include/done.sql'
\i :include
