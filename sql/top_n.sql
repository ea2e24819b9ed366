-- ORDER BY with LIMIT, OFFSET and WITH TIES.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric, t text');

CALL keep('highest', 'SELECT id, x FROM a ORDER BY x DESC NULLS LAST, id, t LIMIT 3');
CALL keep('with_nulls', 'SELECT id, x FROM a ORDER BY x DESC, id, t LIMIT 5');
CALL keep('next', 'SELECT id, x FROM a ORDER BY x, id, t LIMIT 4 OFFSET 2');
CALL keep('rest', 'SELECT id, x FROM a ORDER BY x, id, t OFFSET 20');
CALL keep('ties', 'SELECT id, x FROM a ORDER BY x DESC NULLS LAST FETCH FIRST 2 ROWS WITH TIES');
CALL keep('most', 'SELECT k, count(*) AS n FROM a GROUP BY k ORDER BY n DESC, k LIMIT 2');
CALL keep('different', 'SELECT DISTINCT k, t FROM a ORDER BY k, t LIMIT 4');
CALL keep('different_of_windows', 'SELECT DISTINCT max(x) OVER (PARTITION BY k) AS m, count(*) OVER () AS n FROM a ORDER BY m, n LIMIT 3');
CALL keep('of_top', 'SELECT k, count(*) AS n FROM (SELECT k FROM a ORDER BY x DESC, id, t LIMIT 10) top GROUP BY k');
CALL keep('none', 'SELECT id FROM a LIMIT 0');
CALL keep('all_rows', 'SELECT id FROM a LIMIT ALL');

CALL feed('a', 'SELECT i, pick(i, 1, 5), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(1, 25) i');
SELECT * FROM compare();
-- the groups that are there, and others
CALL feed('a', 'SELECT i, pick(i, 1, 8), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(20, 45) i');
SELECT * FROM compare();
CALL feed('a', 'SELECT i, 7, -1, NULL FROM generate_series(46, 47) i');
SELECT * FROM compare();

SELECT * FROM highest;
SELECT * FROM most;
SELECT * FROM plan('highest');
SELECT * FROM plan('most');
SELECT * FROM plan('of_top');
SELECT * FROM plan('all_rows');

-- rows that can never be in the result are not written, not even those of the first batch
CALL stream('many', 'id int, k int, x int');
CALL keep('three', 'SELECT * FROM (SELECT id, k, rank() OVER (PARTITION BY k ORDER BY x DESC NULLS LAST, id) AS rank FROM many) r WHERE rank <= 3');
CALL keep('newest', 'SELECT DISTINCT ON (k) * FROM many ORDER BY k, id DESC');
CALL keep('first', 'SELECT id, x FROM many ORDER BY x NULLS LAST, id LIMIT 2');
CALL feed('many', 'SELECT i, pick(i, 1, 3), pick(i, 2, 1000000) FROM generate_series(1, 20000) i');
SELECT * FROM compare() WHERE view IN ('three', 'newest', 'first');
SELECT v.view, split_part(c.relname, '_', 1) AS kept_as, pg_relation_size(c.oid) / 8192 AS pages
FROM streaming_internal.continuous_view v JOIN pg_class c ON c.relname IN (format('rows_%s_1_1', v.id), format('result_%s', v.id))
WHERE v.view IN ('three'::regclass, 'newest'::regclass, 'first'::regclass) ORDER BY v.view, kept_as;
-- what is not shown, or not all of it, is not only kept as the result
CALL keep('second', 'SELECT id, k FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY x, id) AS n FROM many) r WHERE n = 2');
CALL keep('some', 'SELECT id, k FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY x, id) AS n FROM many) r WHERE n <= 2 AND id % 2 = 0');
CALL keep('least', 'SELECT k FROM (SELECT *, rank() OVER (PARTITION BY k ORDER BY x % 7) AS n FROM many) r WHERE 1 >= n');
CALL feed('many', 'SELECT i, pick(i, 1, 3), pick(i, 2, 1000000) FROM generate_series(20001, 25000) i');
SELECT * FROM plan('second');
SELECT * FROM plan('some');
SELECT * FROM plan('least');
SELECT * FROM compare() WHERE view IN ('three', 'newest', 'first', 'second', 'some', 'least');

-- rows that others are written over, with values that are stored elsewhere; a view reads what changes
CALL stream('wide', 'id int, k int, x int, t text');
CALL keep('wide_first', 'SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY x DESC, id) AS n FROM wide) r WHERE n <= 3');
CALL keep('wide_last', 'SELECT DISTINCT ON (k) k, t FROM wide ORDER BY k, id DESC');
CALL keep('of_wide', 'SELECT n, count(*) AS c, sum(length(t)) AS l, max(t) AS m FROM wide_first GROUP BY n');
CALL feed('wide', $$SELECT i, i % 3, i * 7 % 11, (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 200) j) FROM generate_series(1, 12) i$$);
SELECT * FROM compare() WHERE view IN ('wide_first', 'wide_last', 'of_wide');
CALL feed('wide', $$SELECT i, i % 3, i * 7 % 13, (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 200) j) FROM generate_series(13, 20) i$$);
SELECT * FROM compare() WHERE view IN ('wide_first', 'wide_last', 'of_wide');
CALL feed('wide', 'SELECT 21, 1, 100, NULL');
SELECT * FROM compare() WHERE view IN ('wide_first', 'wide_last', 'of_wide');

\set include :source '/sql/include/done.sql'
\i :include
