-- Outer joins: what is filled up is taken back when a match comes.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric');
CALL stream('b', 'id int, k int, y int');
CREATE TABLE names (k int PRIMARY KEY, name text);
INSERT INTO names VALUES (1, 'one'), (2, 'two'), (9, 'nine');

CALL keep('left_on', 'SELECT a.id, b.id AS with FROM a LEFT JOIN b ON a.k = b.k AND b.y > 2');
CALL keep('right_on', 'SELECT a.id, b.id AS with FROM a RIGHT JOIN b ON a.k = b.k AND b.y > 2');
CALL keep('full_using', 'SELECT k, a.id, b.id AS with FROM a FULL JOIN b USING (k)');
CALL keep('only_one_side', 'SELECT a.id, b.id AS with FROM a LEFT JOIN b ON a.k = b.k AND a.x > 2');
CALL keep('unmatched', 'SELECT a.id FROM a LEFT JOIN b USING (k) WHERE b.id IS NULL');
CALL keep('chain', 'SELECT a.id, b.id AS b, c.id AS c FROM a LEFT JOIN b ON a.k = b.k LEFT JOIN a c ON c.id = b.id');
CALL keep('less', 'SELECT a.id, b.id AS with FROM a LEFT JOIN b ON a.id < b.y');
CALL keep('counted', 'SELECT a.k, count(*) AS n, count(b.y) AS matches FROM a LEFT JOIN b ON a.k = b.k GROUP BY a.k');
-- a table on the side that keeps its rows
CALL keep('of_table', 'SELECT name, a.id FROM names LEFT JOIN a USING (k)');
CALL keep('full_with_table', 'SELECT name, a.id FROM a FULL JOIN names USING (k)');
-- keys that all have the same hash
CREATE FUNCTION point_hash(point) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT 1';
CREATE FUNCTION point_hash(point, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS 'SELECT 1::bigint';
CREATE OPERATOR CLASS same_hash DEFAULT FOR TYPE point USING hash AS
	OPERATOR 1 ~= (point, point), FUNCTION 1 point_hash(point), FUNCTION 2 point_hash(point, bigint);
CREATE TABLE places (at point, name text);
INSERT INTO places VALUES ('(1,1)', 'one'), ('(2,2)', 'two'), ('(3,3)', 'three'), (NULL, 'nowhere');
CALL stream('visits', 'id int, at point');
CALL keep('of_places', 'SELECT name, v.id FROM places p LEFT JOIN visits v ON v.at ~= p.at');
CALL keep('table_right', 'SELECT a.id, name, x FROM a RIGHT JOIN names n ON n.k = a.k AND a.x > 1 WHERE coalesce(a.id, 0) < 30');
CALL keep('table_of_view', 'SELECT name, l.with FROM left_on l FULL JOIN names ON l.id = names.k');
CALL keep('twice_filled', 'SELECT a.id, b.id AS b, c.id AS c FROM a LEFT JOIN b ON a.k = b.k LEFT JOIN b c ON a.k = c.k AND c.y = a.x');
CALL keep('beside', 'SELECT a.id, b.id AS b, c.id AS c FROM a LEFT JOIN b ON a.id = b.y, b c WHERE c.id = a.x AND EXISTS (SELECT FROM b WHERE b.k = a.k)');
CALL keep('over_views', 'SELECT l.id, f.with FROM left_on l FULL JOIN full_using f ON l.id = f.id AND l.with IS NOT DISTINCT FROM f.with');

CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
CALL feed('visits', $$VALUES (1, point '(1,1)'), (2, NULL), (3, point '(5,5)')$$);
SELECT * FROM compare();
-- rows that are there already, and others
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(20, 32) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
CALL feed('visits', $$VALUES (4, point '(2,2)'), (5, point '(1,1)')$$);
SELECT * FROM compare();

-- begun anew, with what the streams still have
SELECT streaming.reset('chain'), streaming.reset('full_using'), streaming.reset('of_table');
SELECT count(*) FROM full_using;
SELECT * FROM compare() WHERE view IN ('chain', 'full_using', 'of_table');

SELECT * FROM left_on WHERE id < 4 ORDER BY id, "with";
SELECT * FROM plan('left_on');
SELECT * FROM plan('full_using');
SELECT * FROM plan('chain');
SELECT * FROM plan('less');
SELECT * FROM plan('of_table');
SELECT * FROM plan('of_places');
SELECT * FROM plan('beside');

-- What comes of one key cancels out, while another key changes: the rows of a table stay as they are.
CREATE TABLE kept (k int);
INSERT INTO kept VALUES (0), (1), (2);
CREATE TABLE changing (k int, v int);
INSERT INTO changing VALUES (1, 5);
CREATE VIEW keeps WITH (streaming.trigger = 'manual', streaming.follow = 'changing') AS
    SELECT kept.k, changing.v FROM kept LEFT JOIN changing ON changing.k = kept.k;
CREATE VIEW keeps_full WITH (streaming.trigger = 'manual', streaming.follow = 'changing') AS
    SELECT kept.k, changing.k AS other FROM kept FULL JOIN changing ON changing.k = kept.k;
CREATE VIEW keeps_values WITH (streaming.trigger = 'manual', streaming.follow = 'changing') AS
    SELECT r.k, count(changing.k) AS n FROM (VALUES (0), (1), (2)) r(k) LEFT JOIN changing USING (k) GROUP BY r.k;
SELECT streaming.drain('keeps'), streaming.drain('keeps_full'), streaming.drain('keeps_values');
BEGIN;
DELETE FROM changing;
INSERT INTO changing VALUES (1, 5), (2, 6);
COMMIT;
INSERT INTO changing VALUES (0, 1);
DELETE FROM changing WHERE k = 0;
SELECT streaming.drain('keeps'), streaming.drain('keeps_full'), streaming.drain('keeps_values');
SELECT * FROM keeps ORDER BY k;
SELECT * FROM keeps_full ORDER BY k;
SELECT * FROM keeps_values ORDER BY k;
-- all that comes cancels out
INSERT INTO changing VALUES (0, 1);
DELETE FROM changing WHERE k = 0;
SELECT streaming.drain('keeps');
SELECT * FROM keeps ORDER BY k;
DROP TABLE kept, changing CASCADE;

\set include :source '/sql/include/done.sql'
\i :include
