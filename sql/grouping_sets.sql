-- GROUPING SETS, ROLLUP and CUBE: an aggregation for each set.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric, t text');

CALL keep('rolled', 'SELECT k, t, count(*) AS n, sum(x) AS x, grouping(k, t) AS g FROM a GROUP BY ROLLUP (k, t)');
CALL keep('cubed', 'SELECT k, t, sum(x) AS x FROM a GROUP BY CUBE (k, t) HAVING count(*) > 1');
CALL keep('sets', 'SELECT k, t, x > 3 AS high, count(*) AS n FROM a GROUP BY GROUPING SETS ((k, t), (x > 3), (k), ())');
CALL keep('same_twice', 'SELECT k, count(*) AS n FROM a GROUP BY GROUPING SETS ((k), (k), ())');
CALL keep('once', 'SELECT k, count(*) AS n FROM a GROUP BY DISTINCT ROLLUP (k), ROLLUP (k)');
CALL keep('product', 'SELECT k, t, count(*) AS n FROM a GROUP BY k, ROLLUP (t)');
CALL keep('labelled', 'SELECT CASE grouping(k) WHEN 0 THEN k::text ELSE ''all'' END AS k, coalesce(max(t), ''none'') AS t FROM a GROUP BY ROLLUP (k)');
CALL keep('plain', 'SELECT k, grouping(k) AS g, count(*) AS n FROM a GROUP BY k');
CALL keep('not_combinable', 'SELECT k, count(DISTINCT t) AS n FROM a GROUP BY ROLLUP (k)');
CALL keep('largest', 'SELECT k, t, count(*) AS n FROM a GROUP BY CUBE (k, t) ORDER BY n DESC, k, t LIMIT 3');
CALL keep('total_of_none', 'SELECT t, grouping(t) AS g FROM (SELECT k, t FROM a WHERE k > 1000 ORDER BY k LIMIT 4) b GROUP BY ROLLUP (t)');
CALL keep('grand_total', 'SELECT count(*) AS n FROM a GROUP BY GROUPING SETS ((), ())');
-- no row has come
SELECT * FROM compare();

CALL feed('a', 'SELECT i, pick(i, 1, 5), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(1, 25) i');
SELECT * FROM compare();
-- the groups that are there, and others
CALL feed('a', 'SELECT i, pick(i, 1, 8), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(20, 45) i');
SELECT * FROM compare();
CALL feed('a', 'SELECT i, 7, -1, NULL FROM generate_series(46, 47) i');
SELECT * FROM compare();

SELECT * FROM plan('rolled');
SELECT * FROM plan('plain');
SELECT * FROM plan('not_combinable');

\set include :source '/sql/include/done.sql'
\i :include
