-- EXISTS, IN, NOT EXISTS, NOT IN, ANY and ALL over streams.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric');
CALL stream('b', 'id int, k int, y int');

CALL keep('semi', 'SELECT id, k FROM a WHERE EXISTS (SELECT FROM b WHERE b.k = a.k AND b.y > 2)');
CALL keep('anti', 'SELECT id, k FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.k = a.k AND b.y > 2)');
CALL keep('within', 'SELECT id FROM a WHERE k IN (SELECT k FROM b WHERE y > 2)');
CALL keep('two_columns', 'SELECT id FROM a WHERE (k, x::int) IN (SELECT k, y FROM b)');
-- one NULL in b and nothing is left
CALL keep('not_within', 'SELECT id FROM a WHERE k NOT IN (SELECT k FROM b WHERE y > 3)');
CALL keep('not_within_known', 'SELECT id FROM a WHERE k NOT IN (SELECT k FROM b WHERE y > 3 AND k IS NOT NULL)');
CALL keep('within_neither', 'SELECT a.id FROM a JOIN b ON b.k = a.k WHERE a.x IS NOT NULL AND a.x NOT IN (SELECT q.x FROM a q WHERE q.x IS NOT NULL AND q.k = a.k AND q.id > a.id) AND a.id IS NOT NULL AND a.id NOT IN (SELECT q.id FROM b q WHERE q.id IS NOT NULL AND q.y = b.y)');
CALL keep('above_all', 'SELECT id FROM a WHERE id > ALL (SELECT y FROM b WHERE b.k = a.k AND y IS NOT NULL)');
CALL keep('above_any', 'SELECT id FROM a WHERE x < ANY (SELECT y FROM b)');
CALL keep('either', 'SELECT id FROM a WHERE x > 3 OR EXISTS (SELECT FROM b WHERE b.k = a.k)');
CALL keep('as_column', 'SELECT id, k IN (SELECT k FROM b) AS is_there FROM a');
CALL keep('in_itself', 'SELECT id FROM a WHERE NOT EXISTS (SELECT FROM a later WHERE later.k = a.k AND later.id > a.id)');
CALL keep('counted', 'SELECT k, count(*) AS n FROM a WHERE EXISTS (SELECT FROM b WHERE b.k = a.k) GROUP BY k');
CALL keep('both', 'SELECT id FROM a WHERE EXISTS (SELECT * FROM b WHERE b.k = a.k AND y > 1 LIMIT 1) AND NOT EXISTS (SELECT FROM b WHERE b.y = a.x AND b.k < 3)');
CALL keep('not_within_nulls', 'SELECT id FROM a WHERE k IS NOT NULL AND k NOT IN (SELECT k FROM b WHERE y > 3 AND k IS NOT NULL)');
CALL keep('at_all', 'SELECT id FROM a WHERE NOT EXISTS (SELECT FROM b WHERE y > 3 AND id > 17)');
CALL keep('joined', 'SELECT a.id, c.id AS with FROM a JOIN a c ON a.k = c.k WHERE NOT EXISTS (SELECT FROM b WHERE b.k = a.k AND b.y = c.x)');
CALL keep('over_views', 'SELECT id FROM anti WHERE k NOT IN (SELECT k FROM semi WHERE semi.k IS NOT DISTINCT FROM anti.k) OR id > 5 AND EXISTS (SELECT FROM b WHERE b.k = anti.k)');
CALL keep('over_two', 'SELECT p.id FROM semi p WHERE p.id > 1 AND NOT EXISTS (SELECT FROM anti q WHERE q.k = p.id) AND p.id <> ALL (SELECT q.k FROM anti q WHERE q.id = p.k)');

CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
SELECT * FROM compare();
-- rows that are there already, and others
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(20, 32) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
SELECT * FROM compare();

-- conditions on a subquery that reads the row outside
CREATE TABLE t (id int, k int);
INSERT INTO t SELECT i, i % 6 FROM generate_series(1, 12) i;
CALL keep('some_count', 'SELECT o.id FROM t o WHERE EXISTS (SELECT FROM (SELECT count(*) AS n FROM b WHERE b.k = o.k) q WHERE q.n > 5)');
CALL keep('within_latest', 'SELECT o.id FROM a o WHERE o.id NOT IN (SELECT q.id FROM (SELECT DISTINCT ON (b.y) b.y, b.id FROM b WHERE b.k = o.k ORDER BY b.y, b.id DESC) q WHERE q.y > 1 AND q.id IS NOT NULL)');
SELECT * FROM compare() WHERE view ~ 'some_count|latest';

SELECT * FROM plan('semi');
SELECT * FROM plan('anti');
SELECT * FROM plan('within');
SELECT * FROM plan('not_within');
SELECT * FROM plan('not_within_nulls');
SELECT * FROM plan('both');
SELECT * FROM plan('counted');

\set include :source '/sql/include/done.sql'
\i :include
