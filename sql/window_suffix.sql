-- Window functions that do not look ahead: what is behind the first row that comes or goes is
-- computed, and what was before is carried into it.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, at timestamptz, x int, l bigint, n numeric, t text, b bool');

-- carried as values
CALL keep('running', 'SELECT id, k, sum(x) OVER (PARTITION BY k ORDER BY id) AS s FROM a');
CALL keep('whole', 'SELECT id, sum(n) OVER (ORDER BY id) AS s FROM a');
CALL keep('hidden', 'SELECT x, round(sum(n) OVER (PARTITION BY k ORDER BY at, id), 1) AS s FROM a');
CALL keep('numbers', 'SELECT t, row_number() OVER w AS n, rank() OVER w AS r, dense_rank() OVER w AS d, count(*) OVER w AS c FROM a WINDOW w AS (PARTITION BY k ORDER BY at, id)');
CALL keep('peers', 'SELECT id, rank() OVER w AS r, dense_rank() OVER w AS d, sum(x) OVER w AS s, count(t) OVER w AS c FROM a WINDOW w AS (PARTITION BY k ORDER BY at, x)');
CALL keep('ranks', 'SELECT k, rank() OVER w AS r, dense_rank() OVER w AS d FROM a WINDOW w AS (PARTITION BY k ORDER BY at)');
CALL keep('averages', 'SELECT id, avg(x) OVER w AS x, avg(l) OVER w AS l, avg(n) OVER w AS n FROM a WINDOW w AS (PARTITION BY k ORDER BY at, id ROWS UNBOUNDED PRECEDING)');
CALL keep('ends', 'SELECT id, min(x) OVER w AS x, max(t) OVER w AS t, min(n) OVER w AS n, bool_and(b) OVER w AS a, bool_or(b) OVER w AS o, every(x > 2) OVER w AS e FROM a WINDOW w AS (PARTITION BY k ORDER BY at, id)');
CALL keep('firsts', 'SELECT id, first_value(t) OVER w AS f, last_value(x) OVER w AS l FROM a WINDOW w AS (PARTITION BY k, b ORDER BY at, id)');
CALL keep('frames', 'SELECT id, sum(x) OVER (w ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW) AS r, sum(l) OVER (w GROUPS UNBOUNDED PRECEDING EXCLUDE TIES) AS g, count(x) FILTER (WHERE b) OVER (w RANGE UNBOUNDED PRECEDING) AS c FROM a WINDOW w AS (PARTITION BY k ORDER BY at, id)');
CALL keep('down', 'SELECT id, sum(x) OVER (PARTITION BY k ORDER BY at DESC NULLS LAST, id) AS s, lag(id) OVER (PARTITION BY k ORDER BY at DESC NULLS LAST, id) AS l FROM a');
CALL keep('orders', 'SELECT id, sum(x) OVER (PARTITION BY k ORDER BY at, id) AS s, count(*) OVER (PARTITION BY k ORDER BY at, x, id DESC) AS c FROM a');
-- carried as rows
CALL keep('neighbours', 'SELECT id, k, lag(x) OVER w AS one, lag(t, 3, ''none'') OVER w AS three, l - lag(l, 2) OVER w AS change FROM a WINDOW w AS (PARTITION BY k ORDER BY at, id)');
CALL keep('moving', 'SELECT id, avg(x) OVER (w ROWS 2 PRECEDING) AS x, string_agg(t, '','') OVER (w ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING) AS t, sum(x::float8 / 3) OVER (w ROWS 4 PRECEDING) AS f FROM a WINDOW w AS (PARTITION BY k ORDER BY at, id)');
CALL keep('both', 'SELECT id, sum(x) OVER w AS s, x - lag(x, 2) OVER w AS l, row_number() OVER w AS n, max(x) OVER (w ROWS 1 PRECEDING) AS m FROM a WINDOW w AS (PARTITION BY k ORDER BY at, id)');
CALL keep('some', 'SELECT id, sum(x) OVER (PARTITION BY k ORDER BY id) AS s FROM a WHERE b');
-- of groups, which change, and over another view
CALL keep('of_groups', 'SELECT at, count(*) AS n, sum(count(*)) OVER (ORDER BY at) AS s, lag(count(*)) OVER (ORDER BY at) AS l FROM a GROUP BY at');
CALL keep('of_latest', 'SELECT id, k, sum(x) OVER (PARTITION BY k ORDER BY id) AS s, row_number() OVER (PARTITION BY k ORDER BY id) AS n FROM (SELECT DISTINCT ON (id % 20) * FROM a ORDER BY id % 20, id DESC) l');
CALL keep('of_hidden', 'SELECT s, count(*) AS n, min(x) AS x FROM hidden GROUP BY s');
CALL keep('above', 'SELECT k, count(*) AS n, max(s) AS m, sum(n) AS t FROM of_latest GROUP BY k');

CREATE FUNCTION made(first int, last int, ahead int, seed int) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT i, pick(i, %4$s, 3), timestamptz ''2026-01-01 00:00+00'' + (i / 2 + pick(i, %4$s + 1, %3$s)) * interval ''1 hour'', pick(i, %4$s + 2, 9) - 4, pick(i, %4$s + 3, 9) * 3000000000, '
		'pick(i, %4$s + 4, 500) / 10.0, chr(97 + pick(i, %4$s + 5, 5)), pick(i, %4$s + 6, 2) = 1 FROM generate_series(%1$s, %2$s) i', first, last, ahead, seed)
$$;
SELECT * FROM compare();
CALL feed('a', made(1, 40, 4, 1));
SELECT * FROM compare();
-- at the end, in the middle, before all
CALL feed('a', made(60, 75, 1, 2));
SELECT * FROM compare();
CALL feed('a', made(30, 45, 9, 3));
CALL feed('a', made(76, 80, 1, 2));
SELECT * FROM compare();
CALL feed('a', $$VALUES (-1, 1, '2020-01-01 00:00+00'::timestamptz, 1, 1::bigint, 1.000, 'f', false), (-2, 9, '2020-01-01 00:00+00', 1, 1, 'NaN', NULL, NULL)$$);
SELECT * FROM compare();
-- without a place in the order
CALL feed('a', $$VALUES (90, 1, NULL::timestamptz, 5, 5::bigint, 5, 'n', true), (91, NULL, NULL, 5, 5, 5, 'n', true), (92, NULL, '2026-01-01 00:00+00', 5, 5, 5, 'n', true), (93, 9, NULL, 5, 5, 5, 'n', true)$$);
SELECT * FROM compare();
CALL feed('a', $$VALUES (94, 1, NULL::timestamptz, 6, 6::bigint, 6, 'm', true), (95, 1, 'infinity', NULL, NULL, NULL, NULL, NULL), (96, 77, NULL, 1, 1, 1, 'q', false)$$);
CALL feed('a', $$VALUES (97, NULL, NULL::timestamptz, 7, 7::bigint, 7, 'm', true)$$);
SELECT * FROM compare();
-- rows that are there already
CALL feed('a', made(1, 1, 4, 1));
CALL feed('a', made(2, 3, 4, 1));
CALL feed('a', $$VALUES (90, 1, NULL::timestamptz, 5, 5::bigint, 5, 'n', true)$$);
SELECT * FROM compare();
CALL feed('a', made(98, 140, 3, 4));
SELECT * FROM compare();

SELECT * FROM plan('running');
SELECT * FROM plan('whole');
SELECT * FROM plan('hidden');
SELECT * FROM plan('neighbours');
SELECT * FROM plan('down');
-- what looks ahead, or has no first key in common
CALL keep('ahead', 'SELECT id, lead(x) OVER (PARTITION BY k ORDER BY at, id) AS l FROM a');
CALL keep('shares', 'SELECT id, cume_dist() OVER (PARTITION BY k ORDER BY at) AS c FROM a');
CALL keep('nulls_first', 'SELECT id, sum(x) OVER (PARTITION BY k ORDER BY at DESC, id) AS s FROM a');
CALL keep('floats', 'SELECT id, sum(x::float8) OVER (PARTITION BY k ORDER BY at, id) AS s FROM a');
CALL keep('two_keys', 'SELECT id, sum(x) OVER (PARTITION BY k ORDER BY at, id) AS s, sum(x) OVER (PARTITION BY k ORDER BY id, at) AS c FROM a');
SELECT v, line FROM unnest(ARRAY['ahead', 'shares', 'nulls_first', 'floats', 'two_keys']) v, plan(v::regclass) line WHERE line ~ 'Method|Cost';
SELECT * FROM compare() WHERE view IN ('ahead', 'shares', 'nulls_first', 'floats', 'two_keys');

-- names, and keys that are equal but not the same
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CALL stream('odd', '"a,b" int, "$x" bigint, "$group" text COLLATE nocase, f numeric, o numeric(6,2)');
CALL keep('names', 'SELECT "a,b" AS "c,d", sum("$x") OVER (PARTITION BY "$group" ORDER BY "a,b") AS "$s" FROM odd');
CALL keep('equals', 'SELECT "$group" AS "$count", row_number() OVER (PARTITION BY f ORDER BY o, "a,b") AS n, max("$group" COLLATE "C") OVER (PARTITION BY f ORDER BY o, "a,b") AS m FROM odd');
CALL feed('odd', $$SELECT i, i * 10::bigint, chr(CASE WHEN i % 2 = 0 THEN 65 ELSE 97 END + i % 3), (CASE WHEN i % 4 = 0 THEN '1.0' ELSE '1.00' END)::numeric, i / 7.0 FROM generate_series(1, 12) i$$);
SELECT * FROM compare() WHERE view IN ('names', 'equals');
CALL feed('odd', $$SELECT i, i * 10::bigint, chr(CASE WHEN i % 2 = 1 THEN 65 ELSE 97 END + i % 3), (CASE WHEN i % 3 = 0 THEN '1.0' ELSE '1' END)::numeric, i / 7.0 FROM generate_series(8, 16) i$$);
SELECT * FROM compare() WHERE view IN ('names', 'equals');
SELECT v, line FROM unnest(ARRAY['names', 'equals']) v, plan(v::regclass) line WHERE line ~ 'Method|State';
SELECT view, name FROM streaming.indexes;

-- A batch reads no more than what is new, and the row before: of a partition of 20,000 rows.
CALL stream('l', 'id int, x int');
CALL keep('long', 'SELECT id, sum(x) OVER (ORDER BY id) AS s, lag(x, 2) OVER (ORDER BY id) AS l FROM l');
CALL feed('l', 'SELECT i, pick(i, 1, 100) FROM generate_series(1, 20000) i');
SELECT * FROM compare() WHERE view = 'long';
CALL feed('l', 'SELECT i, pick(i, 1, 100) FROM generate_series(20001, 20010) i');
SELECT * FROM compare() WHERE view = 'long';
SELECT output_rows FROM streaming.batches WHERE view = 'long'::regclass ORDER BY batch_id;

\set include :source '/sql/include/done.sql'
\i :include
