-- Views over views over joins: what disappears from one is taken back from the next.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric');
CALL stream('b', 'id int, k int, y int');

CALL keep('pairs', 'SELECT a.id, a.k, b.id AS with, y FROM a LEFT JOIN b USING (k)');
CALL keep('matches', 'SELECT k, count(*) AS rows, count("with") AS matched FROM pairs GROUP BY k');
CALL keep('sizes', 'SELECT matched, count(*) AS n, max(k) AS k FROM matches GROUP BY matched');
CALL keep('largest', 'SELECT k, matched FROM matches ORDER BY matched DESC, k LIMIT 2');
CALL keep('of_largest', 'SELECT id, x FROM a JOIN largest USING (k)');
CALL keep('others', 'SELECT id FROM a EXCEPT ALL SELECT id FROM of_largest');
CALL keep('ranked', 'SELECT k, matched, rank() OVER (ORDER BY matched DESC) AS rank FROM matches');
CALL keep('joined', 'SELECT m.k, m.matched, r.rank, s.n FROM matches m JOIN ranked r USING (k) LEFT JOIN sizes s ON s.matched = m.matched');
CALL keep('both', 'SELECT k FROM largest UNION ALL SELECT k FROM ranked WHERE rank = 1');
CALL keep('first', 'SELECT DISTINCT ON (k) k, id, y FROM pairs ORDER BY k, y DESC NULLS LAST, id, "with"');
CALL keep('sets', 'SELECT k, matched, sum(rows) AS rows FROM matches GROUP BY ROLLUP (k, matched)');

CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
SELECT * FROM compare();
-- rows that are there already, and others
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(20, 32) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
SELECT * FROM compare();
-- rows of one view only
CALL feed('b', 'SELECT i, 0, 9 FROM generate_series(100, 109) i');
SELECT * FROM compare();
SELECT * FROM plan('sizes');
SELECT * FROM plan('of_largest');
SELECT * FROM plan('joined');

\set include :source '/sql/include/done.sql'
\i :include
