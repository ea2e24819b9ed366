-- Aggregations that output mode append cannot keep.
CREATE FOREIGN TABLE timeless (k int, at timestamptz) SERVER streaming;
CREATE FOREIGN TABLE s (k int, at timestamptz OPTIONS (watermark '1 s'), size interval) SERVER streaming;
CREATE VIEW upstream WITH (streaming.trigger = 'manual') AS SELECT k, at FROM s;

-- no watermark
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT k, count(*) FROM timeless GROUP BY k;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT date_trunc('day', at), count(*) FROM timeless GROUP BY 1;
-- no window
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT k, count(*) FROM s GROUP BY k;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT count(*) FROM s;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT max(at) FROM s GROUP BY k;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS
    SELECT date_bin(size, at, 'epoch'), count(*) FROM s GROUP BY 1;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS
    SELECT date_bin('1 s', at + interval '1 s', 'epoch'), count(*) FROM s GROUP BY 1;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT extract(hour FROM at), count(*) FROM s GROUP BY 1;
-- at one level only
CREATE VIEW v WITH (streaming.output_mode = 'append') AS
    SELECT n, count(*) FROM (SELECT date_trunc('day', at) AS day, count(*) AS n FROM s GROUP BY 1) d GROUP BY n;
-- another view's rows
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT date_trunc('day', at), count(*) FROM upstream GROUP BY 1;
CREATE VIEW counts WITH (streaming.trigger = 'manual') AS SELECT k, count(*) AS n FROM s GROUP BY k;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT k, n FROM counts;
DROP VIEW counts;
-- windows in step with another function that returns a set, which are kept in output mode update
CREATE VIEW v WITH (streaming.output_mode = 'append') AS
    SELECT streaming.hop(at, '1 s', '2 s'), generate_series(1, 2), count(*) FROM s GROUP BY 1, 2;
CREATE VIEW in_step WITH (streaming.trigger = 'manual') AS
    SELECT lower(streaming.hop(at, '1 s', '2 s')) AS start, generate_series(1, 3) AS i, count(*) AS n FROM s GROUP BY 1, 2;
-- rows that only appear need no window, and more than one level is fine
CREATE VIEW keys WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS SELECT DISTINCT k FROM s;
CREATE VIEW key_groups WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS SELECT k % 2 AS half FROM s GROUP BY 1;
INSERT INTO s VALUES (1, '2026-01-01'), (1, '2026-01-02'), (3, '2026-01-03');
SELECT streaming.drain('keys'), streaming.drain('key_groups');
SELECT * FROM keys ORDER BY k;
SELECT * FROM key_groups ORDER BY half;
SELECT streaming.drain('in_step');
SELECT start AT TIME ZONE 'UTC' AS start, i, n FROM in_step WHERE start < '2026-01-02 00:00Z' ORDER BY start, i;

-- nor widths that the functions refuse with the first row
CREATE VIEW months WITH (streaming.output_mode = 'append') AS SELECT date_bin('1 month', at, 'epoch'), count(*) FROM s GROUP BY 1;
CREATE VIEW months WITH (streaming.continuous) AS SELECT streaming.tumble(at, '1 year'), count(*) FROM s GROUP BY 1;
CREATE VIEW months WITH (streaming.continuous) AS SELECT streaming.hop(at, '1 day', '1 month'), count(*) FROM s GROUP BY 1;
-- nor other constants that they refuse
CREATE VIEW never WITH (streaming.continuous) AS SELECT streaming.tumble(at, '0'), count(*) FROM s GROUP BY 1;
CREATE VIEW never WITH (streaming.continuous) AS SELECT streaming.hop(at, '-1 s', '1 s'), count(*) FROM s GROUP BY 1;
CREATE VIEW never WITH (streaming.continuous) AS SELECT streaming.hop(at, '7 s', '5 s'), count(*) FROM s GROUP BY 1;
CREATE VIEW never WITH (streaming.continuous) AS SELECT streaming.hop(at, '1 us', '1 day'), count(*) FROM s GROUP BY 1;
CREATE VIEW never WITH (streaming.continuous) AS SELECT date_bin('0', at, 'epoch'), count(*) FROM s GROUP BY 1;
CREATE VIEW never WITH (streaming.continuous) AS SELECT date_bin('1 s', at, 'infinity'), count(*) FROM s GROUP BY 1;
CREATE VIEW never WITH (streaming.continuous) AS SELECT date_trunc('day', at, 'Nowhere/Land'), count(*) FROM s GROUP BY 1;
-- a watermark that views depend on may change, but not come and go below them
CREATE VIEW instants WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS SELECT at, count(*) FROM s GROUP BY at;
CREATE VIEW distinct_keys WITH (streaming.trigger = 'manual') AS SELECT at, count(DISTINCT k) FROM timeless GROUP BY at;
ALTER FOREIGN TABLE s ALTER at OPTIONS (SET watermark '1 day');
SELECT streaming.drain('instants'), streaming.watermark('instants') = '2026-01-02';
ALTER FOREIGN TABLE s ALTER at OPTIONS (DROP watermark);
ALTER FOREIGN TABLE timeless ALTER at OPTIONS (ADD watermark '1 day');
DROP VIEW distinct_keys;
ALTER FOREIGN TABLE timeless ALTER at OPTIONS (ADD watermark '1 day');

SET client_min_messages = warning;
DROP FOREIGN TABLE timeless, s CASCADE;
