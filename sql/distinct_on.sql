-- DISTINCT ON: the first row of each key, in the order of the query.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric, t text');

CALL keep('negative', 'SELECT DISTINCT -2.5::numeric AS c, - 1::int AS d, k FROM a');
CALL keep('highest', 'SELECT DISTINCT ON (k) k, id, x FROM a ORDER BY k, x DESC, id, t');
CALL keep('latest', 'SELECT DISTINCT ON (k, t) k, t, id, x FROM a WHERE x IS NOT NULL ORDER BY k, t, id DESC, x');
CALL keep('of_expression', 'SELECT DISTINCT ON (k % 2) id, x FROM a ORDER BY k % 2, x NULLS FIRST, id, t');
CALL keep('of_constant', 'SELECT DISTINCT ON (0 * id) max(x) AS x FROM a GROUP BY id ORDER BY 0 * id, x DESC NULLS LAST');
CALL keep('of_groups', 'SELECT DISTINCT ON (n) count(*) AS n, k FROM a GROUP BY k ORDER BY n, k');
CALL keep('three', 'SELECT DISTINCT ON (k) k, id FROM a ORDER BY k, id DESC, t LIMIT 3');
CALL keep('counted', 'SELECT x, count(*) AS n FROM (SELECT DISTINCT ON (k) k, x FROM a ORDER BY k, x DESC, id, t) f GROUP BY x');

CALL feed('a', 'SELECT i, pick(i, 1, 5), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(1, 25) i');
SELECT * FROM compare();
-- the groups that are there, and others
CALL feed('a', 'SELECT i, pick(i, 1, 8), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(20, 45) i');
SELECT * FROM compare();
CALL feed('a', 'SELECT i, 7, -1, NULL FROM generate_series(46, 47) i');
SELECT * FROM compare();

SELECT * FROM highest;
SELECT * FROM plan('highest');
SELECT * FROM plan('of_expression');
SELECT * FROM plan('three');
SELECT * FROM plan('counted');

\set include :source '/sql/include/done.sql'
\i :include
