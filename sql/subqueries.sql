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
-- windows of rows that are no input's, whose columns have the numbers of those that are
CALL keep('in_window', 'SELECT i, most FROM (SELECT i, (SELECT max(x) FROM a WHERE a.k = v.i) AS most, row_number() OVER (PARTITION BY v.g ORDER BY v.i) AS r FROM (VALUES (0, 1), (1, 1), (2, 2)) v (i, g)) q WHERE r <= 2');
CALL keep('in_window_texts', 'SELECT i, most FROM (SELECT i, (SELECT max(x) FROM a WHERE a.k = v.i) AS most, rank() OVER (PARTITION BY v.g ORDER BY v.i) AS r FROM (VALUES (0, ''a''), (1, ''a''), (2, ''b'')) v (i, g)) q WHERE r <= 2');
CREATE TABLE key_names (k int PRIMARY KEY, name text);
INSERT INTO key_names SELECT i, 'name ' || i % 3 FROM generate_series(0, 5) i;
CALL keep('in_named_groups', 'SELECT g.name, g.n, g.least FROM (SELECT l.name, count(*) AS n, (SELECT l.k + 1) AS least FROM a JOIN live.key_names l USING (k) GROUP BY l.k) g');
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

-- over tables, above an aggregation
CREATE TABLE names (k int PRIMARY KEY, name text);
INSERT INTO names SELECT i, 'name ' || i FROM generate_series(0, 4) i;
CALL keep('named', 'SELECT k, count(*) AS n, (SELECT name FROM names WHERE names.k = a.k) AS name FROM a GROUP BY k');
CALL keep('named_most', 'SELECT max(x) AS most, (SELECT max(name) FROM names WHERE names.k <= max(x)) AS name FROM a');
CALL keep('more_than', 'SELECT k FROM a GROUP BY k HAVING count(*) > (SELECT min(k) + 2 FROM names) AND sum(x) > 1');
CALL keep('by_name', 'SELECT (SELECT name FROM names WHERE names.k = a.k) AS name, count(*) AS n, (SELECT count(*) FROM names) AS names FROM a GROUP BY 1');
CALL keep('of_names', 'SELECT k, count((SELECT name FROM names WHERE names.k = a.x)) AS n FROM a GROUP BY k');
CALL keep('sets_named', 'SELECT k, x, grouping(k) AS g, count(*) AS n, (SELECT name FROM names WHERE names.k = a.k) AS name FROM a GROUP BY ROLLUP (k, x)');
CALL keep('any_name', 'SELECT k, count(*) AS n, EXISTS (SELECT FROM names WHERE names.k = max(a.x)) AS some FROM a GROUP BY k HAVING k IN (SELECT k FROM names)');
CALL keep('ranked', 'SELECT k, rank() OVER (ORDER BY (SELECT name FROM names WHERE names.k = a.k), k) AS r FROM a GROUP BY k');
CALL keep('within', 'SELECT k FROM a GROUP BY k HAVING sum((SELECT count(*) FROM b WHERE b.k = a.k)) > 2 OR count(*) > (SELECT max(k) FROM names)');
CALL keep('both', 'SELECT k, (SELECT name FROM names WHERE names.k = a.k) AS name, (SELECT count(*) FROM b WHERE b.k = a.k) AS n FROM a GROUP BY k');
SELECT * FROM compare() WHERE view ~ 'name|than|ranked|both|within';
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(33, 40) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(29, 34) i');
SELECT * FROM compare();
-- a group sees the table as it is when it is touched
UPDATE names SET name = 'other ' || k WHERE k < 3;
CALL feed('a', 'SELECT i, 1, pick(i, 2, 5) FROM generate_series(41, 42) i');
SELECT streaming.drain('named');
SELECT * FROM named ORDER BY k;
SELECT * FROM plan('named');

SELECT * FROM plan('of_all');
SELECT * FROM plan('of_key');
SELECT * FROM plan('in_having');
SELECT * FROM plan('in_function');

\set include :source '/sql/include/done.sql'
\i :include
