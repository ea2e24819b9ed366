-- A time that is too far ahead of the clock moves no watermark.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE FOREIGN TABLE sent (
    at timestamptz OPTIONS (watermark '0 seconds', max_ahead '1 hour'),
    v  int
) SERVER streaming;
CREATE VIEW per_minute WITH (streaming.output_mode = 'append') AS
    SELECT date_trunc('minute', at) AS minute, count(*) AS n FROM sent GROUP BY 1;
CREATE VIEW shown WITH (streaming.continuous) AS
    SELECT date_trunc('minute', at) AS minute, count(*) AS n FROM sent GROUP BY 1;

INSERT INTO sent VALUES ('2024-01-01 12:00:30', 1), ('3000-01-01 00:00:00', 2), (now() + interval '2 hours', 3);
SELECT FROM streaming.drain('per_minute') a, streaming.drain('shown') b;
SELECT streaming.watermark('per_minute'), streaming.watermark('shown');

-- what comes is not late, and closes what was before
INSERT INTO sent VALUES ('2024-01-01 12:01:30', 4);
SELECT FROM streaming.drain('per_minute') a, streaming.drain('shown') b;
SELECT * FROM per_minute;
SELECT sum(n), max(minute) FROM shown;
SELECT view, late_rows FROM streaming.stat_views WHERE view::text IN ('per_minute', 'shown') ORDER BY view::text;

-- within the limit, the future counts
INSERT INTO sent VALUES (now() + interval '50 minutes', 5);
SELECT FROM streaming.drain('per_minute');
SELECT streaming.watermark('per_minute') BETWEEN now() + interval '40 minutes' AND now() + interval '50 minutes' AS ahead;

-- and more of it when the option is changed, or goes
ALTER FOREIGN TABLE sent ALTER at OPTIONS (SET max_ahead '100 years');
INSERT INTO sent VALUES (now() + interval '2 days', 6);
SELECT FROM streaming.drain('per_minute');
SELECT streaming.watermark('per_minute') > now() + interval '1 day' AS far_ahead;
ALTER FOREIGN TABLE sent ALTER at OPTIONS (DROP max_ahead);
INSERT INTO sent VALUES ('3000-01-01 00:00:00', 7);
SELECT FROM streaming.drain('per_minute');
SELECT streaming.watermark('per_minute');

-- where it means nothing
CREATE FOREIGN TABLE wrong (at timestamptz OPTIONS (max_ahead '1 hour')) SERVER streaming;
CREATE FOREIGN TABLE wrong (at timestamptz OPTIONS (watermark '1 hour', max_ahead '-1 hour')) SERVER streaming;
CREATE FOREIGN TABLE wrong (at timestamptz OPTIONS (watermark '1 hour', max_ahead 'far')) SERVER streaming;

DROP FOREIGN TABLE sent CASCADE;
