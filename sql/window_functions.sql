-- streaming.tumble and streaming.hop in batch queries: windows aligned to the
-- Unix epoch, [start, end).
SET timezone = 'UTC';
SELECT streaming.tumble('2026-01-01 00:07:30+00', '5 minutes');
SELECT streaming.tumble('2026-01-01 00:05:00+00', '5 minutes');
SELECT streaming.tumble('1969-12-31 23:59:59.999999+00', '1 hour');
-- 1970-01-01 was a Thursday
SELECT streaming.tumble('2026-01-01 12:00:00+00', '7 days');
SELECT streaming.tumble(NULL, '5 minutes') IS NULL, streaming.tumble('infinity', '5 minutes') IS NULL;

SELECT streaming.hop('2026-01-01 00:07:30+00', '5 minutes', '10 minutes');
SELECT streaming.hop('2026-01-01 00:05:00+00', '5 minutes', '10 minutes');
SELECT streaming.hop('2026-01-01 00:07:30+00', '5 minutes', '5 minutes');
-- a size that is no multiple of the slide
SELECT streaming.hop('2026-01-01 00:07:30+00', '4 minutes', '10 minutes');
SELECT count(*) FROM streaming.hop('2026-01-01', '1 second', '1 hour');
SELECT * FROM streaming.hop(NULL, '5 minutes', '10 minutes');
SELECT * FROM streaming.hop('-infinity', '5 minutes', '10 minutes');
SELECT * FROM streaming.hop('infinity', '5 minutes', '10 minutes');

-- every window holds the time, none is missing and none comes twice
SELECT bool_and(w @> at), bool_and(upper(w) - lower(w) = '1 minute'),
       count(DISTINCT (at, w)) = count(*), count(*) / count(DISTINCT at) AS windows
FROM generate_series('1969-12-31 23:58:00+00'::timestamptz, '1970-01-01 00:02:00+00', '0.7 s') at,
     streaming.hop(at, '15 seconds', '1 minute') w;
SELECT bool_and(w @> at), bool_and(lower(w) = date_bin('17 s', at, 'epoch'))
FROM generate_series('1969-12-31 23:58:00+00'::timestamptz, '1970-01-01 00:02:00+00', '0.7 s') at,
     streaming.tumble(at, '17 s') w;

SELECT streaming.tumble('2026-01-01', '1 month');
SELECT streaming.tumble('2026-01-01', '0');
SELECT streaming.tumble('2026-01-01', '-1 s');
SELECT streaming.tumble('2026-01-01', '200000000 days');
SELECT streaming.tumble('294276-12-31 23:59:59+00', '1 day');
SELECT streaming.hop('2026-01-01', '2 s', '1 s');
SELECT streaming.hop('2026-01-01', '0', '1 s');
SELECT streaming.hop('2026-01-01', '1 s', '1 year');

-- in continuous views: in the select list, in FROM, below the aggregation
CREATE FOREIGN TABLE clicks (url text, at timestamptz OPTIONS (watermark '1 minute')) SERVER streaming;
CREATE TABLE plain (LIKE clicks);
CREATE VIEW tumbling WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT streaming.tumble(at, '1 minute') AS w, count(*) AS n FROM clicks GROUP BY 1;
CREATE VIEW hopping WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT streaming.hop(at, '1 minute', '3 minutes') AS w, url, count(*) AS n FROM clicks GROUP BY 1, 2;
CREATE VIEW hopping_from WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT lower(w) AS start, count(*) AS n
    FROM clicks c, streaming.hop(c.at, '1 minute', '3 minutes') w GROUP BY w;
CREATE VIEW hopping_below WITH (streaming.trigger = 'manual') AS
    SELECT w, count(DISTINCT url) AS n
    FROM (SELECT url, streaming.hop(at, '1 minute', '3 minutes') AS w FROM clicks) h GROUP BY w;

WITH r AS (INSERT INTO plain SELECT 'u' || i % 3, '2026-01-01 00:00:00+00'::timestamptz + i * interval '7 s'
           FROM generate_series(0, 99) i RETURNING *)
INSERT INTO clicks SELECT * FROM r;
SELECT streaming.drain('tumbling'), streaming.drain('hopping'), streaming.drain('hopping_from'),
       streaming.drain('hopping_below');
SELECT view, watermark FROM streaming.stat_views ORDER BY view::text;
SELECT * FROM tumbling ORDER BY w;
SELECT w, sum(n) FROM hopping GROUP BY w ORDER BY w;
SELECT * FROM hopping_from ORDER BY start;
SELECT * FROM hopping_below ORDER BY w;

-- what is closed is what the batch query says of it
SELECT count(*) FROM (
    TABLE hopping EXCEPT ALL
    SELECT streaming.hop(at, '1 minute', '3 minutes') AS w, url, count(*) FROM plain GROUP BY 1, 2) d;
SELECT count(*) FROM (
    SELECT * FROM (SELECT streaming.hop(at, '1 minute', '3 minutes') AS w, url, count(*) FROM plain GROUP BY 1, 2) b
    WHERE upper(w) <= streaming.watermark('hopping')
    EXCEPT ALL TABLE hopping) d;

-- of a row's windows each is late on its own
INSERT INTO clicks VALUES ('late', '2026-01-01 00:09:30+00');
SELECT streaming.drain('tumbling'), streaming.drain('hopping'), streaming.drain('hopping_below');
SELECT view, late_rows FROM streaming.stat_views ORDER BY view::text;
SELECT * FROM hopping_below ORDER BY w DESC LIMIT 4;

-- windows that would reach beyond the range of timestamps
CREATE FOREIGN TABLE ages (at timestamptz OPTIONS (watermark '100 days')) SERVER streaming;
CREATE VIEW days_append WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_bin('1 day', at, '2000-01-01 00:00:00+00') AS day, count(*) AS n FROM ages GROUP BY 1;
CREATE VIEW days_update WITH (streaming.trigger = 'manual') AS
    SELECT date_trunc('month', at, 'Europe/Berlin') AS month, count(*) AS n FROM ages GROUP BY 1;
CREATE VIEW days_tumble WITH (streaming.trigger = 'manual') AS
    SELECT streaming.tumble(at, '1 day') AS w, count(*) AS n FROM ages GROUP BY 1;
CREATE VIEW days_hop WITH (streaming.trigger = 'manual') AS
    SELECT streaming.hop(at, '12 hours', '1 day') AS w, count(*) AS n FROM ages GROUP BY 1;
INSERT INTO ages VALUES ('4714-12-01 00:00:00+00 BC');
SELECT sum(streaming.drain(view)) FROM streaming.views WHERE view::text ~ '^days';
INSERT INTO ages VALUES ('2026-01-01 00:00:00+00'), ('294276-12-31 12:00:00+00'), ('294276-12-30 18:00:00+00');
SELECT sum(streaming.drain(view)) FROM streaming.views WHERE view::text ~ '^days';
SELECT view, status, last_error, streaming.watermark(view) FROM streaming.views WHERE view::text ~ '^days' ORDER BY view::text;
SELECT * FROM days_append ORDER BY day;
SELECT * FROM days_update ORDER BY month;
SELECT * FROM days_tumble ORDER BY w;
SELECT * FROM days_hop ORDER BY w;

DROP FOREIGN TABLE clicks, ages CASCADE;
DROP TABLE plain;
