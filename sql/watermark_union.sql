-- Windows over several streams: each has its watermark, the view's is the least.
SET timezone = 'UTC';
CREATE FOREIGN TABLE web (k int, at timestamptz OPTIONS (watermark '10 seconds'), v int) SERVER streaming;
CREATE FOREIGN TABLE app (k int, at timestamptz OPTIONS (watermark '0 seconds'), v int) SERVER streaming;
CREATE FOREIGN TABLE plain (k int, at timestamptz, v int) SERVER streaming;
CREATE TABLE names (k int, name text);
INSERT INTO names VALUES (1, 'one'), (2, 'two');
-- what was sent and not late, for the query over all rows
CREATE TABLE sent (k int, at timestamptz, v int);

CREATE VIEW per_minute WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_trunc('minute', at) AS minute, k, count(*) AS n, sum(v) AS v
    FROM (SELECT * FROM web UNION ALL SELECT * FROM app) u GROUP BY 1, 2;
CREATE VIEW distinct_values WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT streaming.tumble(at, '1 minute') AS minute, name, count(DISTINCT v) AS n
    FROM (SELECT * FROM web UNION ALL SELECT * FROM app) u JOIN names USING (k) WHERE v > 0 GROUP BY 1, 2;
CREATE VIEW hopping WITH (streaming.trigger = 'manual') AS
    SELECT lower(streaming.hop(at, '1 minute', '2 minutes')) AS minute, count(*) AS n
    FROM (SELECT at FROM web UNION ALL SELECT at FROM app) u GROUP BY streaming.hop(at, '1 minute', '2 minutes');
-- each branch closes its own groups; one branch is an aggregation, the other none
CREATE VIEW totals WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT minute, sum(n) AS n FROM (
        SELECT date_trunc('minute', at) AS minute, count(*) AS n FROM web GROUP BY 1
        UNION ALL SELECT date_trunc('minute', at), count(*) FROM app GROUP BY 1) u GROUP BY minute;
CREATE VIEW mixed WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT minute, sum(n) AS n FROM (
        SELECT date_trunc('minute', at) AS minute, count(*) AS n FROM web GROUP BY 1
        UNION ALL SELECT date_trunc('minute', at), 1 FROM app) u GROUP BY minute;
-- of what is not event time in each branch nothing closes
CREATE VIEW partly WITH (streaming.trigger = 'manual') AS
    SELECT date_trunc('minute', at) AS minute, count(*) AS n
    FROM (SELECT at FROM web UNION ALL SELECT at FROM plain) u GROUP BY 1;
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS
    SELECT date_trunc('minute', at), count(*) FROM (SELECT at FROM web UNION ALL SELECT at FROM plain) u GROUP BY 1;
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS
    SELECT minute, count(*) FROM (SELECT date_trunc('minute', at) AS minute FROM web
                                  UNION ALL SELECT date_trunc('hour', at) FROM app) u GROUP BY 1;

SELECT regexp_replace(line, '(state|bag|result)_[0-9]+', '\1_id', 'g') AS plan FROM streaming.explain('totals') line WHERE line !~ 'SQL';
SELECT line FROM streaming.explain('partly') line WHERE line ~ 'Event time|Groups close';

CREATE FUNCTION drain_all() RETURNS void LANGUAGE sql AS $$ SELECT streaming.drain(view) FROM streaming.views $$;
CREATE FUNCTION send(stream regclass, late boolean, k int, at timestamptz, v int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %s VALUES ($1, $2, $3)', stream) USING k, at, v;
    IF NOT late THEN INSERT INTO sent VALUES (k, at, v); END IF;
END $$;
-- what differs from the query over all rows, of the minutes that are closed
CREATE VIEW wrong AS
    WITH w AS (SELECT streaming.watermark('per_minute') AS at),
    minutes AS (SELECT date_trunc('minute', at) AS minute, k, count(*) AS n, sum(v) AS v FROM sent GROUP BY 1, 2),
    closed AS (SELECT m.* FROM minutes m, w WHERE m.minute + interval '1 minute' <= w.at)
    SELECT 'per_minute' AS view, d::text FROM ((TABLE closed EXCEPT TABLE per_minute) UNION ALL (TABLE per_minute EXCEPT TABLE closed)) d
    UNION ALL
    SELECT 'totals', d::text FROM ((TABLE totals EXCEPT SELECT minute, sum(n) FROM closed GROUP BY 1)
        UNION ALL (SELECT minute, sum(n) FROM closed GROUP BY 1 EXCEPT TABLE totals)) d
    UNION ALL
    SELECT 'mixed', d::text FROM ((TABLE mixed EXCEPT TABLE totals) UNION ALL (TABLE totals EXCEPT TABLE mixed)) d;

-- as long as one of them has none, neither has the view
SELECT send('web', false, 1, '2026-01-01 00:00:05', 1), send('web', false, 2, '2026-01-01 00:03:10', 2);
SELECT drain_all();
SELECT streaming.watermark('per_minute') AS watermark, (SELECT count(*) FROM per_minute) AS n;
SELECT send('app', false, 1, '2026-01-01 00:00:10', 3), send('app', false, 1, '2026-01-01 00:01:00', 4);
SELECT drain_all();
SELECT streaming.watermark('per_minute') AS watermark;
TABLE per_minute;
TABLE wrong;

-- late is what the least of them has closed, whatever it comes from
SELECT send('web', true, 1, '2026-01-01 00:00:59', 9), send('web', false, 1, '2026-01-01 00:01:00', 5),
    send('app', true, 2, '2026-01-01 00:00:01', 9), send('app', false, 2, '2026-01-01 00:02:30', 6);
SELECT drain_all();
SELECT view, watermark, late_rows FROM streaming.stat_views ORDER BY view::text;
SELECT * FROM per_minute ORDER BY minute, k;
SELECT * FROM distinct_values ORDER BY minute, name;
SELECT * FROM hopping ORDER BY minute;
TABLE wrong;

SELECT send('web', false, 1, '2026-01-01 01:00:10', 5), send('app', false, 1, '2026-01-01 01:00:00', 5);
SELECT drain_all();
SELECT * FROM per_minute ORDER BY minute, k;
SELECT * FROM distinct_values ORDER BY minute, name;
SELECT * FROM totals ORDER BY minute;
SELECT * FROM partly ORDER BY minute;
SELECT view, watermark, late_rows, state_rows FROM streaming.stat_views ORDER BY view::text;
TABLE wrong;

SET client_min_messages = warning;
DROP FOREIGN TABLE web, app, plain CASCADE;
DROP TABLE sent CASCADE;
DROP TABLE names;
DROP FUNCTION drain_all, send;
