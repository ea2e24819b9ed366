-- streaming.sink = 'memory': the view's own tables, unlogged. And the console, as far as SQL shows it.
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming;
CREATE VIEW rows WITH (streaming.trigger = 'manual', streaming.sink = 'memory') AS SELECT k, v FROM s WHERE v > 1;
CREATE VIEW sums WITH (streaming.trigger = 'manual', streaming.sink = 'memory') AS
    SELECT k, sum(v), count(DISTINCT v) FROM s GROUP BY k;
CREATE VIEW sums_complete WITH (streaming.trigger = 'manual', streaming.sink = 'memory', streaming.output_mode = 'complete') AS
    SELECT k, sum(v) FROM s GROUP BY k;
CREATE VIEW over WITH (streaming.trigger = 'manual') AS SELECT count, count(*) AS keys FROM sums GROUP BY count;
INSERT INTO s SELECT i % 3, i FROM generate_series(1, 10) i;
SELECT streaming.drain('rows'), streaming.drain('sums'), streaming.drain('sums_complete'), streaming.drain('over');
SELECT count(*), sum(v) FROM rows;
SELECT * FROM sums ORDER BY k;
SELECT * FROM over ORDER BY count;
INSERT INTO s VALUES (0, 3), (5, 5);
SELECT streaming.drain('over');
SELECT * FROM sums ORDER BY k;
SELECT * FROM over ORDER BY count;
SELECT streaming.drain('sums_complete');
SELECT * FROM sums_complete ORDER BY k;
SELECT view, sink, output_mode FROM streaming.views WHERE sink = 'memory' ORDER BY view::text;

-- all tables of such a view, and only these
SELECT v.view, bool_and(c.relpersistence = 'u') AS unlogged, bool_or(c.relpersistence = 'u') AS any
    FROM streaming_internal.continuous_view v, unnest(v.relations) name
    JOIN pg_class c ON c.relname = name AND c.relnamespace = 'streaming_internal'::regnamespace AND c.relkind IN ('r', 'i')
    GROUP BY v.view ORDER BY v.view::text;

-- reset
SELECT streaming.reset('sums');
INSERT INTO s VALUES (7, 7);
SELECT streaming.drain('over') > 0;
SELECT * FROM sums WHERE k = 7;
SELECT sum(keys) = (SELECT count(*) FROM sums) FROM over;
SET client_min_messages = warning;
DROP FOREIGN TABLE s CASCADE;
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming;

-- console: aggregations keep their result, others keep none
CREATE VIEW shown WITH (streaming.trigger = 'manual', streaming.sink = 'console') AS SELECT k, v FROM s;
CREATE VIEW shown_sums WITH (streaming.trigger = 'manual', streaming.sink = 'console') AS SELECT k, sum(v) FROM s GROUP BY k;
INSERT INTO s VALUES (1, 1), (1, 2), (2, 2);
SELECT streaming.drain('shown'), streaming.drain('shown_sums');
SELECT * FROM shown_sums ORDER BY k;
SELECT * FROM shown;
SELECT view, sink, output_mode FROM streaming.views ORDER BY view::text;
DROP FOREIGN TABLE s CASCADE;
