-- LATERAL: a subquery or function of the rows to the left.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric');
CALL stream('b', 'id int, k int, y int');

CALL keep('best', 'SELECT a.id, l.y FROM a CROSS JOIN LATERAL (SELECT y FROM b WHERE b.k = a.k ORDER BY y DESC NULLS LAST, id LIMIT 2) l');
CALL keep('best_or_none', 'SELECT a.id, l.y FROM a LEFT JOIN LATERAL (SELECT y FROM b WHERE b.k = a.k ORDER BY y DESC NULLS LAST, id LIMIT 1) l ON true');
CALL keep('some_or_none', 'SELECT a.id, l.y FROM a LEFT JOIN LATERAL (SELECT y FROM b WHERE b.k = a.k) l ON l.y > 1');
CALL keep('total', 'SELECT a.id, l.n, l.y FROM a, LATERAL (SELECT count(*) AS n, sum(y) AS y FROM b WHERE b.k = a.k) l');
CALL keep('less', 'SELECT a.id, l.n FROM a, LATERAL (SELECT count(*) AS n FROM b WHERE b.y < a.x) l');
CALL keep('series', 'SELECT a.id, i FROM a, LATERAL generate_series(1, a.k) i');
CALL keep('series_of_two', 'SELECT a.id, i FROM a JOIN b USING (k), LATERAL generate_series(a.id, a.id + b.y) i');
CALL keep('of_rows', 'SELECT a.id, v.kind, v.value FROM a JOIN b USING (k), LATERAL (VALUES (''x'', a.x), (''y'', b.y)) v (kind, value)');

CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
SELECT * FROM compare();
-- rows that are there already, and others
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(20, 32) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
SELECT * FROM compare();

SELECT * FROM plan('best');
SELECT * FROM plan('less');
SELECT * FROM plan('series');
SELECT * FROM plan('of_rows');

\set include :source '/sql/include/done.sql'
\i :include
