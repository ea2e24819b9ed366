-- Aggregates over rows that disappear, kept by weights; min and max by the order of the
-- values; DISTINCT by which values there are.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('s', 'v int, id int, k int, j smallint, i bigint, n numeric, m numeric(8,2), t text, at timestamptz, b bool');

-- the latest row of each id: a new one takes the one before back
CALL keep('latest', 'SELECT DISTINCT ON (id) * FROM s ORDER BY id, v DESC');

CALL keep('counts', 'SELECT k, count(*) AS n, count(t) AS t, count(*) FILTER (WHERE b) AS b FROM latest GROUP BY k');
CALL keep('sums', 'SELECT k, sum(j) AS j, sum(k) AS k2, sum(i) AS i, sum(n) AS n, sum(m) AS m, sum(id) FILTER (WHERE b) AS id FROM latest GROUP BY k');
CALL keep('averages', 'SELECT k, avg(j) AS j, avg(id) AS id, avg(i) AS i, avg(n) AS n, avg(m) FILTER (WHERE b) AS m FROM latest GROUP BY k');
CALL keep('bools', 'SELECT k, bool_and(b) AS a, bool_or(b) AS o, every(j > 1) FILTER (WHERE b) AS e FROM latest GROUP BY k');
CALL keep('ends', 'SELECT k, min(id) AS i1, max(id) AS i2, min(at) AS a1, max(at) AS a2, max(m) FILTER (WHERE b) AS m FROM latest GROUP BY k');
CALL keep('distinct_ones', 'SELECT k, count(DISTINCT j) AS j, count(DISTINCT t) FILTER (WHERE b) AS t, sum(DISTINCT i) AS i, avg(DISTINCT m) AS m, max(DISTINCT j) AS x, count(*) AS n FROM latest GROUP BY k');
CALL keep('whole', 'SELECT count(*) AS n, sum(i) AS i, avg(n) AS a, min(j) AS j, count(DISTINCT t) AS t FROM latest');
CALL keep('shown', 'SELECT k, sum(i) / count(*) AS i, max(j) - min(j) AS j FROM latest GROUP BY k HAVING count(*) > 2 AND max(id) % 2 = 0');
CALL keep('groups', 'SELECT DISTINCT k, b FROM latest');
CALL keep('over_groups', 'SELECT n, count(*) AS of, max(k) AS k, count(DISTINCT t) AS t FROM counts GROUP BY n');
CALL keep('mixed', 'SELECT k, stddev(j::float8) AS j, count(*) AS n FROM latest GROUP BY k');

-- rows that only appear
CALL keep('new_distinct', 'SELECT k, count(DISTINCT t) AS t, count(DISTINCT t) FILTER (WHERE b) AS tb, count(DISTINCT j) FILTER (WHERE NOT b) AS j, sum(DISTINCT i) AS i, max(t) AS m, count(*) AS n FROM s GROUP BY k');
CALL keep('only_distinct', 'SELECT k, count(DISTINCT t) AS t FROM s GROUP BY k');
CALL keep('one_distinct', 'SELECT count(DISTINCT t) FILTER (WHERE b) AS t FROM s');
CALL keep('expressions', 'SELECT k % 2 AS k, count(DISTINCT 10 / j) FILTER (WHERE j <> 0) AS j, count(DISTINCT lower(t)) + 1 AS t FROM s GROUP BY k % 2 HAVING count(DISTINCT id) > 1');
CALL keep('filtered', 'SELECT k, count(DISTINCT t) FILTER (WHERE b) AS t, count(DISTINCT k) FILTER (WHERE NOT b) AS k2, sum(DISTINCT 10 / j) FILTER (WHERE j > 1) AS j, sum(DISTINCT 10 / j) FILTER (WHERE j > 3) AS j3 FROM s GROUP BY k');
CALL keep('one_group', 'SELECT count(DISTINCT t) AS t, count(DISTINCT t) FILTER (WHERE b) AS tb, count(DISTINCT j) FILTER (WHERE NOT b) AS j FROM s');
CALL keep('twice', 'SELECT t, sum(n) AS n FROM (SELECT k, count(DISTINCT t) AS t, count(*) AS n FROM s GROUP BY k) g GROUP BY t');


-- domains that do not take every value, rows, collations, arrays, and keys that are equal but not the same
CREATE DOMAIN positive AS int NOT NULL CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CALL stream('c', 'v int, id int, d positive, w pair, l text COLLATE "C", c text COLLATE nocase, a int[], f numeric');
CALL keep('last', 'SELECT DISTINCT ON (id) * FROM c ORDER BY id, v DESC');
CALL keep('new_types', 'SELECT count(DISTINCT d) AS d, count(DISTINCT d) FILTER (WHERE id > 1) AS e, count(DISTINCT w) AS w, count(DISTINCT c) AS c, count(DISTINCT l) AS l, count(DISTINCT a) AS a, count(DISTINCT f) AS f, count(DISTINCT c COLLATE "C") AS cc FROM c');
CALL keep('types', 'SELECT min(d) AS m, max(d) AS x, sum(d) AS s, count(DISTINCT d) AS d, count(DISTINCT w) AS w, count(w) AS nw, count(DISTINCT c) AS c, count(DISTINCT c) FILTER (WHERE id > 1) AS d2, count(DISTINCT a) AS a, count(DISTINCT f) AS f FROM last');
CALL keep('equal_keys', 'SELECT lower(c) AS c, f::int AS f, count(*) AS n, count(DISTINCT f) AS df, max(id) AS id FROM last GROUP BY c, f');

CREATE FUNCTION made(first int, last int, seed int) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT i, pick(i, %3$s, 12), pick(i, %3$s + 1, 4), pick(i, %3$s + 2, 5)::smallint, pick(i, %3$s + 3, 9) * 1000000000000, '
		'(pick(i, %3$s + 4, 5) || repeat(''0'', pick(i, %3$s + 5, 3)))::numeric / 10 ^ pick(i, %3$s + 6, 4), pick(i, %3$s + 7, 400) / 100.0, '
		'chr(97 + pick(i, %3$s + 8, 6)), timestamptz ''2024-01-01 00:00+00'' + pick(i, %3$s + 9, 20) * interval ''1 hour'', pick(i, %3$s + 10, 2) = 1 '
		'FROM generate_series(%1$s, %2$s) i', first, last, seed)
$$;
SELECT * FROM compare();
CALL feed('s', made(1, 30, 1));
SELECT * FROM compare();
CALL feed('s', made(31, 45, 2));
CALL feed('s', made(46, 46, 3));
SELECT * FROM compare();
-- what a number cannot take back
CALL feed('s', $$VALUES (101, 1, 1, 1, 1, 'NaN', 1, 'a', 'infinity', true), (102, 2, 1, 1, 1, 'Infinity', 1, 'a', '-infinity', true), (103, 3, 2, 1, 1, '-Infinity', 1, 'a', NULL, NULL), (104, 4, 1, 1, 1, 1.00000, 1, 'a', NULL, NULL)$$);
SELECT * FROM compare();
CALL feed('s', $$VALUES (105, 1, 2, 1, 1, 2, 1, 'a', '2024-01-01 00:00+00', true), (106, 2, 2, 1, 1, 3, 1, 'a', '2024-02-01 00:00+00', false)$$);
SELECT * FROM compare();
CALL feed('s', $$SELECT 200 + i, i, 7, 1, 1, 1.5, 1, 'z', '2024-03-01 00:00+00'::timestamptz, true FROM generate_series(0, 11) i$$);
SELECT * FROM compare();
CALL feed('s', made(300, 343, 4));
SELECT * FROM compare();

CALL feed('c', $$VALUES (1, 1, 1, ROW(1, NULL)::pair, 'a', 'A', '{1}'::int[], 1.0), (2, 1, 1, NULL, 'a', 'a', '{1}', 1.00), (3, 2, 2, ROW(NULL, NULL), 'b', 'B', '{1,NULL}', 2), (4, 3, 3, ROW(1, NULL), 'A', 'a', NULL, NULL)$$);
SELECT * FROM compare();
CALL feed('c', $$VALUES (5, 1, 7, ROW(1, 'x')::pair, 'a', 'b', '{1}'::int[], 2.00), (6, 2, 1, ROW(1, 'x'), NULL, NULL, '{2}', 1.000), (7, 4, 3, NULL, 'A', 'A', NULL, 1)$$);
SELECT * FROM compare();
CALL feed('c', $$VALUES (8, 3, 1, ROW(1, 'x')::pair, 'a', 'b', '{1}'::int[], 2.00), (9, 4, 1, ROW(1, 'x'), NULL, 'B', '{2}', 2.0)$$);
SELECT * FROM compare();

SELECT * FROM plan('averages');
SELECT * FROM plan('ends');
SELECT * FROM plan('distinct_ones');
SELECT * FROM plan('mixed');
SELECT * FROM plan('new_distinct');
SELECT * FROM plan('only_distinct');
SELECT * FROM plan('filtered');

\set include :source '/sql/include/done.sql'
\i :include
