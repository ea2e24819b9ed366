-- Late rows in update mode, SELECT DISTINCT over a watermarked column, and what
-- the watermark does to their state.
SET timezone = 'UTC';
CREATE FOREIGN TABLE clicks (
    url text,
    at  timestamptz OPTIONS (watermark '10 seconds'),
    ms  int
) SERVER streaming;
CREATE TABLE dim (url text, site text);
INSERT INTO dim VALUES ('/a', 'A'), ('/b', 'B');

CREATE VIEW counts WITH (streaming.trigger = 'manual') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, count(*) AS n FROM clicks GROUP BY 1;
CREATE VIEW medians WITH (streaming.trigger = 'manual') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) AS median
    FROM clicks GROUP BY 1;
CREATE VIEW whole WITH (streaming.trigger = 'manual', streaming.output_mode = 'complete') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, count(*) AS n FROM clicks GROUP BY 1;
CREATE VIEW totals WITH (streaming.trigger = 'manual') AS
    SELECT url, count(*) AS n FROM clicks GROUP BY 1;
CREATE VIEW filtered WITH (streaming.trigger = 'manual') AS
    SELECT date_bin('1 minute', c.at, 'epoch') AS minute, site, count(*) AS n
    FROM (SELECT * FROM clicks WHERE ms > 0) c JOIN dim USING (url) GROUP BY 1, 2;
CREATE VIEW instants WITH (streaming.trigger = 'manual') AS
    SELECT DISTINCT at, url FROM clicks;
CREATE TABLE seen (at timestamptz, url text);
CREATE VIEW instants_sink WITH (streaming.trigger = 'manual', streaming.output_mode = 'append', streaming.sink = 'seen') AS
    SELECT DISTINCT at, url FROM clicks;
CREATE TABLE upserts (minute timestamptz, n bigint, UNIQUE NULLS NOT DISTINCT (minute));
CREATE VIEW counts_sink WITH (streaming.trigger = 'manual', streaming.sink = 'upserts') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, count(*) AS n FROM clicks GROUP BY 1;
CREATE FUNCTION drain_all() RETURNS bigint LANGUAGE sql AS
$$ SELECT sum(streaming.drain(view)) FROM streaming.views $$;

INSERT INTO clicks VALUES ('/a', '2026-01-01 00:00:05+00', 10), ('/a', '2026-01-01 00:00:05+00', 10),
    ('/b', '2026-01-01 00:00:50+00', 30), ('/a', '2026-01-01 00:05:00+00', 20);
SELECT drain_all();
-- the first minute is closed: three late rows, of which filtered leaves out one itself
INSERT INTO clicks VALUES ('/a', '2026-01-01 00:00:06+00', 0), ('/a', '2026-01-01 00:00:05+00', 99),
    ('/b', '2026-01-01 00:00:10+00', 10), ('/a', '2026-01-01 00:04:51+00', 30);
SELECT drain_all();
SELECT * FROM counts ORDER BY minute;
SELECT * FROM medians ORDER BY minute;
SELECT * FROM whole ORDER BY minute;
SELECT * FROM totals ORDER BY url;
SELECT * FROM filtered ORDER BY minute;
SELECT * FROM instants ORDER BY at;
SELECT * FROM seen ORDER BY at;
SELECT * FROM upserts ORDER BY minute;
SELECT view, watermark, late_rows, state_rows FROM streaming.stat_views ORDER BY view::text;
SELECT regexp_replace(line, '(state|bag|result)_[0-9]+', '\1_id', 'g') AS plan FROM streaming.explain('counts_sink') line WHERE line !~ 'SQL:|Recompute:';

-- a row without time is in a group that never closes
INSERT INTO clicks VALUES ('/a', NULL, 1);
SELECT drain_all();
INSERT INTO clicks VALUES ('/a', NULL, 1);
SELECT drain_all();
SELECT * FROM counts WHERE minute IS NULL;
SELECT * FROM upserts WHERE minute IS NULL;

-- what has left the state cannot be told from the table's other rows
SELECT streaming.reset('counts_sink');

DROP FUNCTION drain_all;
DROP FOREIGN TABLE clicks CASCADE;
DROP TABLE dim, seen, upserts;
