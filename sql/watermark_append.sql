-- Output mode append for aggregations: a window is written once, when the
-- watermark has passed its end, and its state goes.
SET timezone = 'UTC';
CREATE FOREIGN TABLE clicks (
    url text,
    at  timestamptz OPTIONS (watermark '10 seconds'),
    ms  int
) SERVER streaming;
CREATE VIEW per_minute WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, url, count(*) AS n, avg(ms)::numeric(10, 1) AS mean
    FROM clicks WHERE ms IS NOT NULL GROUP BY 1, 2 HAVING sum(ms) > 0;
CREATE VIEW per_hour WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_trunc('hour', at, 'Asia/Kolkata') AS hour, count(DISTINCT url) AS urls FROM clicks GROUP BY 1;
CREATE VIEW per_instant WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT at, count(*) AS n FROM clicks GROUP BY at;
CREATE VIEW both_windows WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_trunc('hour', at) AS hour, date_bin('1 minute', at, 'epoch') AS minute, count(*) AS n
    FROM clicks GROUP BY 1, 2;

SELECT regexp_replace(line, '(state|bag|result)_[0-9]+', '\1_id', 'g') AS plan FROM streaming.explain('per_minute') line WHERE line !~ 'SQL:|Recompute:';
SELECT regexp_replace(line, '(state|bag|result)_[0-9]+', '\1_id', 'g') AS plan FROM streaming.explain('per_hour') line WHERE line !~ 'SQL:|Recompute:';
SELECT output_mode, view FROM streaming.views ORDER BY view::text;

CREATE FUNCTION drain_all() RETURNS bigint LANGUAGE sql AS
$$ SELECT sum(streaming.drain(view)) FROM streaming.views $$;

INSERT INTO clicks VALUES ('/a', '2026-01-01 00:00:05+00', 10), ('/b', '2026-01-01 00:00:10+00', 0),
    ('/a', '2026-01-01 00:00:59+00', 20);
SELECT drain_all();
TABLE per_minute;
SELECT view, watermark, late_rows, state_rows FROM streaming.stat_views ORDER BY view::text;

-- at 00:01:10 less 10 seconds the first minute ends; the row itself is in the next
INSERT INTO clicks VALUES ('/a', '2026-01-01 00:01:09.999999+00', 1);
SELECT drain_all();
TABLE per_minute;
INSERT INTO clicks VALUES ('/a', '2026-01-01 00:01:10+00', 1);
SELECT drain_all();
TABLE per_minute;
-- the instant of the watermark is not over
SELECT * FROM per_instant ORDER BY at;
SELECT view, watermark, late_rows, state_rows FROM streaming.stat_views ORDER BY view::text;

-- in a batch nothing is late for its own sake: all come before the new watermark
INSERT INTO clicks VALUES ('/a', '2026-01-01 01:40:00+00', 5), ('/b', '2026-01-01 00:01:00+00', 7);
SELECT drain_all();
SELECT * FROM per_minute ORDER BY minute, url;
SELECT * FROM per_hour ORDER BY hour;
SELECT * FROM both_windows ORDER BY hour, minute;
-- nothing goes back
INSERT INTO clicks VALUES ('/late', '2026-01-01 00:30:00+00', 5);
SELECT drain_all();
SELECT view, watermark, late_rows, state_rows FROM streaming.stat_views ORDER BY view::text;
SELECT count(*) FROM per_minute WHERE url = '/late';

-- times that are in no window can never be written
INSERT INTO clicks VALUES ('/never', NULL, 5), ('/never', 'infinity', 5), ('/never', '-infinity', 5);
SELECT drain_all();
SELECT view, watermark, late_rows, state_rows FROM streaming.stat_views ORDER BY view::text;

-- a sink sees each window once
CREATE TABLE sink (minute timestamptz, n bigint);
CREATE VIEW to_sink WITH (streaming.trigger = 'manual', streaming.output_mode = 'append', streaming.sink = 'sink') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, count(*) AS n FROM clicks GROUP BY 1;
-- and so does a view that reads it
CREATE VIEW above WITH (streaming.trigger = 'manual') AS
    SELECT url, sum(n) AS n, count(*) AS windows FROM per_minute GROUP BY url;
INSERT INTO clicks VALUES ('/a', '2026-01-01 02:00:00+00', 1), ('/a', '2026-01-01 02:00:30+00', 1),
    ('/a', '2026-01-01 02:05:00+00', 1);
SELECT streaming.drain('to_sink'), streaming.drain('above');
TABLE sink;
SELECT * FROM above ORDER BY url;
INSERT INTO clicks VALUES ('/a', '2026-01-01 02:00:50+00', 1), ('/a', '2026-01-01 02:07:00+00', 1);
SELECT streaming.drain('to_sink'), streaming.drain('above');
SELECT * FROM sink ORDER BY minute;
SELECT * FROM above ORDER BY url;

-- everything begins again
SELECT streaming.reset('both_windows');
SELECT streaming.watermark('both_windows');
TABLE both_windows;
INSERT INTO clicks VALUES ('/a', '2026-01-01 00:00:00+00', 1), ('/a', '2026-01-01 00:02:00+00', 1);
SELECT streaming.drain('both_windows');
TABLE both_windows;
SELECT streaming.watermark('both_windows');

DROP FUNCTION drain_all;
DROP FOREIGN TABLE clicks CASCADE;
DROP TABLE sink;
