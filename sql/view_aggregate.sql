-- Aggregations: combined partial states, NULL groups, no GROUP BY, FILTER,
-- expressions over aggregates.
CREATE FOREIGN TABLE clicks (url text, ms int, at timestamptz) SERVER streaming;

CREATE VIEW per_url WITH (streaming.trigger = 'manual') AS
    SELECT url, count(*) AS n, sum(ms) AS total, avg(ms) AS mean, min(ms), max(ms),
           stddev(ms) AS sd, count(*) FILTER (WHERE ms > 10) AS slow,
           bool_and(ms > 0) AS positive, round(avg(ms)) || ' ms' AS label
    FROM clicks GROUP BY url;
CREATE VIEW per_minute WITH (streaming.trigger = 'manual') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, url IS NULL AS unknown, count(url)
    FROM clicks GROUP BY 1, 2;
CREATE VIEW total WITH (streaming.trigger = 'manual') AS
    SELECT count(*) AS n, sum(ms) AS total, max(at) FROM clicks;
CREATE VIEW urls WITH (streaming.trigger = 'manual') AS
    SELECT DISTINCT url FROM clicks;

-- without GROUP BY there is a row for no input
SELECT streaming.drain('total');
TABLE total;

INSERT INTO clicks VALUES
    ('/a', 5, '2026-01-01 00:00:10+00'), ('/b', 20, '2026-01-01 00:00:20+00'),
    ('/a', 15, '2026-01-01 00:01:10+00'), (NULL, 7, '2026-01-01 00:01:20+00');
SELECT streaming.drain('per_url'), streaming.drain('per_minute'), streaming.drain('total'),
       streaming.drain('urls');
SELECT * FROM per_url ORDER BY url;
SELECT minute AT TIME ZONE 'UTC' AS minute, unknown, count FROM per_minute ORDER BY 1, 2;
SELECT n, total, max AT TIME ZONE 'UTC' AS max FROM total;
SELECT * FROM urls ORDER BY url;

-- a second batch meets the groups of the first
INSERT INTO clicks VALUES
    ('/a', NULL, '2026-01-01 00:02:00+00'), (NULL, 9, NULL), ('/c', -1, '2026-01-01 00:00:30+00');
SELECT streaming.drain('per_url'), streaming.drain('per_minute'), streaming.drain('total'),
       streaming.drain('urls');
SELECT * FROM per_url ORDER BY url;
SELECT minute AT TIME ZONE 'UTC' AS minute, unknown, count FROM per_minute ORDER BY 1, 2;
SELECT n, total, max AT TIME ZONE 'UTC' AS max FROM total;
SELECT * FROM urls ORDER BY url;

DROP FOREIGN TABLE clicks CASCADE;
