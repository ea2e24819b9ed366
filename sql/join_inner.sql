-- Inner joins of streams: rows that come meet those that are kept.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric');
CALL stream('b', 'id int, k int, y int');
CREATE TABLE names (k int PRIMARY KEY, name text);
INSERT INTO names VALUES (1, 'one'), (2, 'two'), (5, 'five');

CALL keep('equal', 'SELECT a.id, b.id AS with, x + y AS sum FROM a JOIN b USING (k)');
CALL keep('two_keys', 'SELECT a.id, b.id AS with FROM a JOIN b ON a.k = b.k AND a.x = b.y');
CALL keep('same_stream', 'SELECT p.id, q.id AS with FROM a p JOIN a q ON p.k = q.k AND p.id < q.id');
CALL keep('three', 'SELECT a.id, b.id AS b, c.id AS c FROM a, b, a AS c WHERE a.k = b.k AND c.x = b.y');
CALL keep('less', 'SELECT a.id, b.id AS with FROM a JOIN b ON a.id < b.y');
CALL keep('every', 'SELECT a.k, b.k AS bk FROM a CROSS JOIN b WHERE a.x > 3 AND b.y > 3');
CALL keep('counted', 'SELECT k, count(*) AS n, sum(x) AS x FROM a JOIN b USING (k) GROUP BY k');
CALL keep('with_table', 'SELECT name, a.id, b.id AS with FROM a JOIN b USING (k) JOIN names USING (k)');
CALL keep('by_table', 'SELECT name, a.id, b.id AS with FROM a JOIN names ON names.k = a.k JOIN b ON b.k = names.k');
CALL keep('of_counts', 'SELECT name, n, b.id AS with FROM (SELECT k, count(*) AS n FROM a GROUP BY k) q JOIN b USING (k) JOIN names USING (k)');
CALL keep('three_with', 'SELECT name, count(*) AS n FROM a, b, a AS c, names WHERE a.k = b.k AND c.x = b.y AND names.k = c.k GROUP BY name');
CALL keep('same_rows', 'SELECT DISTINCT a.k, b.y FROM a JOIN b USING (k)');

CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
SELECT * FROM compare();
-- rows that are there already, and others
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(20, 32) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
SELECT * FROM compare();

SELECT * FROM plan('equal');
SELECT * FROM plan('three');
SELECT * FROM plan('less');
SELECT * FROM plan('counted');
SELECT * FROM plan('with_table');
SELECT * FROM plan('three_with') WHERE plan ~ 'Stage|Cost';
-- what both equal of the table they have in common
SELECT * FROM plan('by_table');
-- counts change, and so do rows of the join with the table
SELECT * FROM plan('of_counts') WHERE plan ~ 'Stage';

-- by more than the table's equality says, and by nothing that tells pairs of the inputs
CREATE COLLATION alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CALL keep('collated', 'SELECT a.id, b.id AS with FROM a JOIN names n ON n.name COLLATE alike = CASE a.k WHEN 1 THEN ''one'' ELSE ''two'' END JOIN b ON n.name COLLATE alike = CASE b.k WHEN 1 THEN ''ONE'' ELSE ''TWO'' END');
CALL keep('through', 'SELECT a.id, b.id AS with FROM a JOIN names n ON n.k = a.k JOIN names m ON m.k = n.k JOIN b ON b.k = m.k');
CALL keep('bridged', 'SELECT a.id, b.id AS with FROM a JOIN names n ON n.k = a.k JOIN b ON b.k = length(n.name)');
SELECT * FROM compare() WHERE view IN ('collated', 'through', 'bridged');
SELECT * FROM plan('through') WHERE plan ~ 'Stage|partition:';
SELECT * FROM plan('bridged') WHERE plan ~ 'Stage|Cost';

-- a pair of rows meets the table when the second of them comes
CALL feed('a', 'VALUES (101, 1, 1)');
SELECT streaming.drain('with_table');
UPDATE names SET name = 'ONE' WHERE k = 1;
CALL feed('b', 'VALUES (101, 1, 1)');
SELECT streaming.drain('with_table');
SELECT name, count(*) FROM with_table WHERE 101 IN (id, "with") GROUP BY name ORDER BY name;

\set include :source '/sql/include/done.sql'
\i :include
