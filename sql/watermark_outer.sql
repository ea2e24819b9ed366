-- Outer joins with a bound in event time, in output mode append: a row that has met
-- none is written when the watermark says that it never will.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
SET timezone = 'UTC';
CALL stream('a', 'id int, k int, at timestamptz');
CALL stream('b', 'id int, k int, at timestamptz');
ALTER FOREIGN TABLE a ALTER at OPTIONS (ADD watermark '10 seconds');
ALTER FOREIGN TABLE b ALTER at OPTIONS (ADD watermark '0 seconds');

CREATE FUNCTION at(seconds numeric) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT timestamptz '2026-01-01 00:00:00Z' + seconds * interval '1 second'
$$;
-- Rows that are kept for a view's joins.
CREATE FUNCTION kept(view regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint := 0; one bigint; t text;
BEGIN
    FOR t IN SELECT unnest(relations) FROM streaming_internal.continuous_view c WHERE c.view = kept.view LOOP
        IF t ~ '^rows_\d+_\d+_\d+$' THEN
            EXECUTE format('SELECT count(*) FROM streaming_internal.%I', t) INTO one;
            n := n + one;
        END IF;
    END LOOP;
    RETURN n;
END $$;

CALL stream('x', 'id int, k int, at timestamptz');
CALL stream('y', 'id int, k int, at timestamptz');
ALTER FOREIGN TABLE x ALTER at OPTIONS (ADD watermark '10 seconds');
ALTER FOREIGN TABLE y ALTER at OPTIONS (ADD watermark '0 seconds');
CALL keep('lefts', $$SELECT a.id, a.at, b.id AS other FROM x a LEFT JOIN y b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + interval '1 minute'$$, ', streaming.output_mode = append');
SELECT plan('lefts');

-- 1 meets one, 2 has none so far, 3 has none of its key
INSERT INTO x VALUES (1, 1, at(0)), (2, 2, at(0)), (3, 3, at(5));
INSERT INTO y VALUES (1, 1, at(30)), (2, 2, at(70));
SELECT streaming.drain('lefts'), streaming.watermark('lefts');
TABLE lefts;
-- the watermark comes to 60: 1 and 2 are closed, and 1 finds what it has met, though
-- that is older than the watermark
INSERT INTO x VALUES (4, 1, at(71));
INSERT INTO y VALUES (3, 9, at(60));
SELECT streaming.drain('lefts'), streaming.watermark('lefts'), kept('lefts');
SELECT * FROM lefts ORDER BY id;
-- and to 65: so is 3. A row that is late by its own time meets nothing
INSERT INTO x VALUES (5, 1, at(76)), (6, 1, at(60.9));
INSERT INTO y VALUES (4, 3, at(10));
SELECT streaming.drain('lefts'), streaming.watermark('lefts'), kept('lefts');
SELECT * FROM lefts ORDER BY id;
SELECT late_rows FROM streaming.stat_views WHERE view = 'lefts'::regclass;
DROP FOREIGN TABLE x, y CASCADE;
DROP VIEW batch.lefts;

-- A row comes and closes in one batch; both sides; bounds of any sign; no key; more conditions.
CALL keep('rights', $$SELECT a.id, b.id AS other, b.at FROM a RIGHT JOIN b ON a.k = b.k AND a.at - b.at BETWEEN '-20 seconds' AND '-5 seconds'$$, ', streaming.output_mode = append');
CALL keep('fulls', $$SELECT k, a.id, b.id AS other, coalesce(a.at, b.at) AS at FROM a FULL JOIN b USING (k, at)$$, ', streaming.output_mode = append');
CALL keep('fulls_near', $$SELECT a.id, b.id AS other FROM a FULL JOIN b ON a.k = b.k AND b.at BETWEEN a.at - interval '7 seconds' AND a.at + interval '30 seconds'$$, ', streaming.output_mode = append');
CALL keep('keyless', $$SELECT a.id, b.id AS other FROM a LEFT JOIN b ON b.at >= a.at AND b.at < a.at + interval '1 second'$$, ', streaming.output_mode = append');
CALL keep('conditions', $$SELECT a.id, b.id AS other, coalesce(b.id % 7, -1) AS seven FROM a LEFT JOIN b ON a.k = b.k AND a.at BETWEEN b.at AND b.at + interval '15 seconds' AND a.id % 3 <> b.id % 3 WHERE b.id IS NULL OR b.id % 2 = 0$$, ', streaming.output_mode = append');
CALL keep('anti', $$SELECT a.* FROM a LEFT JOIN b ON a.k = b.k AND a.at BETWEEN b.at AND b.at + interval '15 seconds' WHERE b.id IS NULL$$, ', streaming.output_mode = append');
-- windows over them close as much later as rows may come
CALL keep('per_minute', $$SELECT date_trunc('minute', a.at) AS minute, count(*) AS n, count(b.id) AS met FROM a LEFT JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + interval '1 minute' GROUP BY 1$$, ', streaming.output_mode = append');
CALL keep('per_either', $$SELECT streaming.tumble(coalesce(a.at, b.at), '30 seconds') AS w, count(a.id) AS a, count(b.id) AS b FROM a FULL JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + interval '10 seconds' GROUP BY 1$$, ', streaming.output_mode = append');
-- of aggregations, by equal windows; of three; with a table
CALL keep('windows', $$SELECT w, a.n, b.n AS m FROM (SELECT streaming.tumble(at, '10 seconds') AS w, count(*) AS n FROM a GROUP BY 1) a FULL JOIN (SELECT streaming.tumble(at, '10 seconds') AS w, count(*) AS n FROM b WHERE k = 1 GROUP BY 1) b USING (w)$$, ', streaming.output_mode = append');
CALL keep('three', $$SELECT a.id, b.id AS b, c.id AS c FROM a LEFT JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + interval '10 seconds' LEFT JOIN b c ON c.k = a.k AND c.at BETWEEN a.at - interval '10 seconds' AND a.at - interval '1 second'$$, ', streaming.output_mode = append');
CREATE TABLE names (k int, name text);
INSERT INTO names SELECT i, 'name ' || i FROM generate_series(0, 3) i;
CALL keep('named', $$SELECT a.id, b.id AS b, name FROM a LEFT JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + interval '10 seconds' LEFT JOIN names ON names.k = a.k$$, ', streaming.output_mode = append');
SELECT plan('fulls_near');
-- what a row meets in subqueries: it is written when all of that is known
CALL keep('exists', $$SELECT id FROM a WHERE EXISTS (SELECT FROM b WHERE b.k = a.k AND b.at BETWEEN a.at AND a.at + interval '2 seconds')$$, ', streaming.output_mode = append');
CALL keep('not_exists', $$SELECT a.* FROM a WHERE k > 0 AND NOT EXISTS (SELECT FROM b WHERE b.k = a.k AND b.at - a.at BETWEEN '-1 second' AND '2 seconds')$$, ', streaming.output_mode = append');
CALL keep('not_in', $$SELECT id FROM a WHERE k NOT IN (SELECT k FROM b WHERE b.at BETWEEN a.at - interval '1 second' AND a.at)$$, ', streaming.output_mode = append');
CALL keep('scalar', $$SELECT id, (SELECT count(*) FROM b WHERE b.k = a.k AND b.at BETWEEN a.at - interval '20 seconds' AND a.at + interval '3 seconds') AS n FROM a$$, ', streaming.output_mode = append');
CALL keep('as_of', $$SELECT a.id, last.id AS last FROM a LEFT JOIN LATERAL (SELECT id FROM b WHERE b.k = a.k AND b.at BETWEEN a.at - interval '10 seconds' AND a.at ORDER BY b.at DESC, b.id LIMIT 1) last ON true$$, ', streaming.output_mode = append');
CALL keep('either', $$SELECT id FROM a WHERE EXISTS (SELECT FROM b WHERE b.k = a.k AND b.id % 2 = 0 AND b.at BETWEEN a.at AND a.at + interval '2 seconds') OR NOT EXISTS (SELECT FROM b WHERE b.k = a.k AND a.at BETWEEN b.at AND b.at + interval '20 seconds')$$, ', streaming.output_mode = append');
CALL keep('nested', $$SELECT id FROM a WHERE EXISTS (SELECT FROM b WHERE b.k = a.k AND b.at BETWEEN a.at AND a.at + interval '9 seconds' AND NOT EXISTS (SELECT FROM b c WHERE c.k = b.k AND c.id % 3 = 0 AND c.at BETWEEN b.at AND b.at + interval '3 seconds'))$$, ', streaming.output_mode = append');
CALL keep('missed', $$SELECT streaming.tumble(at, '20 seconds') AS w, count(*) AS n FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.k = a.k AND b.at BETWEEN a.at AND a.at + interval '1 second') GROUP BY 1$$, ', streaming.output_mode = append');
SELECT plan('not_exists');

-- one stream ahead of the other, several batches, nothing late
CALL feed('a', $$SELECT i, pick(i, 1, 5), at(i % 97 * 0.7) FROM generate_series(1, 200) i$$);
CALL feed('b', $$SELECT i, pick(i, 2, 5), at(i % 89 * 0.8) FROM generate_series(1, 200) i$$);
SELECT count(*) FROM (SELECT streaming.drain(view) FROM streaming.views) d;
CALL feed('b', $$SELECT i, pick(i, 3, 5), at(72 + i % 83) FROM generate_series(201, 400) i$$);
SELECT count(*) FROM (SELECT streaming.drain(view) FROM streaming.views) d;
CALL feed('a', $$SELECT i, pick(i, 4, 5), at(72 + i % 71) FROM generate_series(201, 400) i$$);
SELECT count(*) FROM (SELECT streaming.drain(view) FROM streaming.views) d;
-- what would close all of these is not in the batch
INSERT INTO a VALUES (-1, -1, at(10000));
INSERT INTO b VALUES (-1, -2, at(10005));
SELECT * FROM compare();
SELECT view, late_rows, kept(view) FROM streaming.stat_views ORDER BY view::text;

-- without a bound for the rows that are to be written with NULLs, or with one only for those that meet
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS SELECT a.id FROM a LEFT JOIN b USING (k);
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS SELECT a.id FROM a LEFT JOIN b ON a.k = b.k AND b.at > a.at;
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS
    SELECT a.id FROM a LEFT JOIN b ON a.k = b.k WHERE b.at BETWEEN a.at AND a.at + interval '1 minute';
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS
    SELECT a.id FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.k = a.k) AND a.at > '2026-01-01';
-- by a time that may be NULL
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS
    SELECT date_trunc('minute', b.at), count(*)
    FROM a LEFT JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + interval '1 hour' GROUP BY 1;
-- over rows that may be taken back
CREATE VIEW counts WITH (streaming.trigger = manual) AS SELECT k, count(*) FROM b GROUP BY k;
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS SELECT a.id FROM a LEFT JOIN counts USING (k);

\set include :source '/sql/include/done.sql'
\i :include
