-- Window functions: each partition that rows come to is computed anew.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric, t text');

CALL keep('numbered', 'SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id, x, t) AS number FROM a');
CALL keep('ranked', 'SELECT id, rank() OVER w AS rank, dense_rank() OVER w AS dense, ntile(3) OVER (PARTITION BY k ORDER BY id, x, t) AS tile FROM a WINDOW w AS (PARTITION BY k ORDER BY x)');
CALL keep('neighbours', 'SELECT id, lag(x) OVER w AS before, lead(x, 2, 0) OVER w AS after, first_value(t) OVER w AS first FROM a WINDOW w AS (PARTITION BY k ORDER BY id, x, t)');
CALL keep('frames', 'SELECT id, sum(x) OVER (PARTITION BY k ORDER BY id, x, t ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS rows,
	count(*) OVER (PARTITION BY k ORDER BY id RANGE BETWEEN 5 PRECEDING AND CURRENT ROW EXCLUDE TIES) AS range,
	max(t) OVER (PARTITION BY k ORDER BY x GROUPS 1 PRECEDING) AS groups FROM a');
CALL keep('two_windows', 'SELECT id, count(*) OVER (PARTITION BY k) AS n, count(*) OVER (PARTITION BY k, t) AS of_t FROM a');
CALL keep('no_common_key', 'SELECT id, count(*) OVER (PARTITION BY k) AS n, count(*) OVER (PARTITION BY t) AS of_t FROM a');
CALL keep('whole', 'SELECT id, sum(x) OVER (ORDER BY id, x, t) AS sum FROM a');
CALL keep('top_two', 'SELECT * FROM (SELECT id, k, rank() OVER (PARTITION BY k ORDER BY x DESC NULLS LAST) AS rank FROM a) r WHERE rank <= 2');
CALL keep('of_groups', 'SELECT k, sum(x) AS x, rank() OVER (ORDER BY sum(x)) AS rank, sum(sum(x)) OVER () AS total FROM a GROUP BY k');
CALL keep('of_expression', 'SELECT id, count(*) FILTER (WHERE x > 2) OVER (PARTITION BY k % 2, lower(t)) AS n FROM a');

CALL feed('a', 'SELECT i, pick(i, 1, 5), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(1, 25) i');
SELECT * FROM compare();
-- the groups that are there, and others
CALL feed('a', 'SELECT i, pick(i, 1, 8), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(20, 45) i');
SELECT * FROM compare();
CALL feed('a', 'SELECT i, 7, -1, NULL FROM generate_series(46, 47) i');
SELECT * FROM compare();

SELECT * FROM plan('numbered');
SELECT * FROM plan('two_windows');
SELECT * FROM plan('no_common_key');
SELECT * FROM plan('top_two');
SELECT * FROM plan('of_groups');

\set include :source '/sql/include/done.sql'
\i :include
