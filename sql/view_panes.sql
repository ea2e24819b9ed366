-- Rows that are each in several windows are aggregated by panes first, where the windows
-- follow from a piece of time.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('s', 'k int, v int, n numeric, t text, at timestamp');

CALL keep('hops', $$SELECT k, w, count(*) AS n, sum(v) AS v, min(n) AS n1, max(t) AS t FROM s, LATERAL generate_series(date_bin('10 s', at, 'epoch') - interval '20 s', date_bin('10 s', at, 'epoch'), interval '10 s') w GROUP BY k, w$$);
CALL keep('by_window', $$SELECT w, count(*) FILTER (WHERE v > 2) AS n, count(t) AS t, bool_or(k = 1) AS b FROM s, generate_series(date_trunc('minute', at) - interval '1 minute', date_trunc('minute', at), '1 minute') AS g(w) WHERE v > 0 OR t IS NULL GROUP BY w HAVING count(*) > 1$$);
CALL keep('keys', $$SELECT k % 2 AS k, w::date AS day, lower(t) AS t, 1 AS one, count(*) AS n FROM s, unnest(ARRAY[date_trunc('day', at), date_trunc('hour', at)]) w GROUP BY 1, 2, 3, 4$$);
CALL keep('most', $$SELECT * FROM (SELECT *, max(n) OVER (PARTITION BY w) AS most FROM (SELECT k, w, count(*) AS n FROM s, LATERAL generate_series(date_bin('10 s', at, 'epoch') - interval '10 s', date_bin('10 s', at, 'epoch'), interval '10 s') w GROUP BY k, w) c) x WHERE n = most$$);
-- not by panes: a state that is not the result, what is asked of the window, a time as it is, a key of both
CALL keep('mean', $$SELECT w, avg(v) AS v FROM s, LATERAL generate_series(date_bin('10 s', at, 'epoch') - interval '20 s', date_bin('10 s', at, 'epoch'), interval '10 s') w GROUP BY w$$);
CALL keep('asked', $$SELECT k, count(*) AS n, max(w) AS w FROM s, LATERAL generate_series(date_bin('10 s', at, 'epoch') - interval '20 s', date_bin('10 s', at, 'epoch'), interval '10 s') w WHERE w > at - interval '15 s' GROUP BY k$$);
CALL keep('times', $$SELECT w, count(*) AS n FROM s, LATERAL generate_series(at - interval '20 s', at, interval '10 s') w GROUP BY w$$);
CALL keep('both', $$SELECT w - k * interval '1 s' AS w, count(*) AS n FROM s, LATERAL generate_series(date_bin('10 s', at, 'epoch') - interval '20 s', date_bin('10 s', at, 'epoch'), interval '10 s') w GROUP BY 1$$);
SELECT view, EXISTS (SELECT FROM streaming.explain(view) line WHERE line LIKE '%LATERAL%' AND line LIKE '% pane%') AS by_panes FROM streaming.views ORDER BY view::text;

CREATE FUNCTION made(first int, last int, seed int) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT pick(i, %3$s, 4), pick(i, %3$s + 1, 9), pick(i, %3$s + 2, 9) / 10.0, chr(65 + pick(i, %3$s + 3, 3) + 32 * pick(i, %3$s + 4, 2)), '
		'timestamp ''2024-01-01 23:58:00'' + pick(i, %3$s + 5, 300) * interval ''700 ms'' FROM generate_series(%1$s, %2$s) i', first, last, seed)
$$;
SELECT * FROM compare();
CALL feed('s', made(1, 300, 1));
SELECT * FROM compare();
CALL feed('s', made(301, 400, 2));
CALL feed('s', $$VALUES (1, 1, 1, 'a', NULL::timestamp), (NULL, NULL, NULL, NULL, NULL)$$);
SELECT * FROM compare();

\set include :source '/sql/include/done.sql'
\i :include
