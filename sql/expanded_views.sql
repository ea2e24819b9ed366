-- Ordinary views over streams are written out when a continuous view names them.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric');
CALL stream('b', 'id int, k int, y int');
CREATE VIEW large AS SELECT id, k, x FROM a WHERE x > 1;
CREATE VIEW sums (key, sum) AS SELECT k, sum(x) FROM large GROUP BY k;
CREATE VIEW pairs AS SELECT a.*, y FROM a LEFT JOIN b USING (k);
CREATE VIEW batch.large AS SELECT id, k, x FROM batch.a WHERE x > 1;
CREATE VIEW batch.sums (key, sum) AS SELECT k, sum(x) FROM batch.large GROUP BY k;
CREATE VIEW batch.pairs AS SELECT a.id, a.k, a.x, y FROM batch.a LEFT JOIN batch.b USING (k);

CALL keep('plain', 'SELECT * FROM large');
CALL keep('filtered', 'SELECT id, x FROM large WHERE k < 3');
CALL keep('of_view_of_view', 'SELECT key, sum FROM sums WHERE sum > 4');
CALL keep('joined', 'SELECT large.id, y, sum FROM large JOIN b USING (k) LEFT JOIN sums ON key = k');
CALL keep('twice', 'SELECT s.key, t.sum FROM sums s JOIN sums t ON s.sum = t.sum');
CALL keep('in_subquery', 'SELECT id FROM b WHERE EXISTS (SELECT FROM sums WHERE key = b.k AND sum > b.y)');
CALL keep('in_union', 'SELECT k FROM large UNION ALL SELECT key FROM sums');
CALL keep('of_join', 'SELECT k, count(*) AS n, count(y) AS matches FROM pairs GROUP BY k');
CALL keep('ranked', 'SELECT id, rank() OVER (PARTITION BY k ORDER BY x DESC) AS rank FROM pairs');
-- an ordinary view over a continuous view
CREATE VIEW matched AS SELECT k, n FROM of_join WHERE matches > 0;
CREATE VIEW batch.matched AS SELECT k, n FROM batch.of_join WHERE matches > 0;
CALL keep('of_continuous', 'SELECT n, count(*) AS keys FROM matched GROUP BY n');

CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
SELECT * FROM compare();

-- what the ordinary view says afterwards is for views that are made afterwards
CREATE OR REPLACE VIEW large AS SELECT id, k, x FROM a WHERE x > 3;
CALL feed('a', 'SELECT i, pick(i, 1, 6), pick(i, 2, 5) FROM generate_series(20, 32) i');
SELECT * FROM compare();
CREATE VIEW later WITH (streaming.trigger = 'manual') AS SELECT * FROM large;
SELECT streaming.drain('later') > 0 AS drained;
SELECT min(x) FROM later;
DROP VIEW later;
-- nor does it need the ordinary view
DROP VIEW large, sums, pairs;
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
SELECT view, extra, missing FROM compare() WHERE extra + missing > 0;

SELECT streaming.viewdef('filtered') ~ 'FROM \( SELECT' AS written_out;
SELECT * FROM plan('of_view_of_view');
SELECT * FROM plan('of_continuous');

\set include :source '/sql/include/done.sql'
\i :include
