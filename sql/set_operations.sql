-- UNION, INTERSECT and EXCEPT, with and without ALL.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric');
CALL stream('b', 'id int, k int, y int');

CALL keep('both_all', 'SELECT k, id % 3 AS m FROM a UNION ALL SELECT k, y FROM b');
CALL keep('both', 'SELECT k, id % 3 AS m FROM a UNION SELECT k, y FROM b');
CALL keep('common', 'SELECT k FROM a INTERSECT SELECT k FROM b');
CALL keep('common_all', 'SELECT k FROM a INTERSECT ALL SELECT y FROM b');
CALL keep('less', 'SELECT id FROM a EXCEPT SELECT y FROM b');
CALL keep('less_all', 'SELECT k FROM a EXCEPT ALL SELECT k FROM b');
CALL keep('nested', '(SELECT k FROM a EXCEPT SELECT k FROM b WHERE y > 2) UNION ALL SELECT y FROM b');
-- columns of other types
CALL keep('types', 'SELECT x FROM a UNION SELECT y FROM b');
CALL keep('of_constants', 'SELECT k FROM a UNION VALUES (1), (77), (NULL)');
CALL keep('counted', 'SELECT k, count(*) AS n FROM (SELECT k FROM a UNION ALL SELECT k FROM b) z GROUP BY k');
CALL keep('of_groups', 'SELECT k, count(*) AS n FROM a GROUP BY k EXCEPT SELECT k, count(*) FROM b GROUP BY k');
CALL keep('limited', '(SELECT k FROM a ORDER BY k, id LIMIT 4) UNION ALL (SELECT k FROM b ORDER BY k DESC, id LIMIT 3)');

CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
SELECT * FROM compare();
-- rows that are there already, and others
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(20, 32) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
SELECT * FROM compare();

SELECT * FROM plan('both_all');
SELECT * FROM plan('both');
SELECT * FROM plan('less_all');
SELECT * FROM plan('nested');
SELECT * FROM plan('counted');

\set include :source '/sql/include/done.sql'
\i :include
