-- Windows of windows: an outer level groups by the bounds of an inner one's window, or by
-- a window of them.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE FOREIGN TABLE clicks (k int, at timestamptz OPTIONS (watermark '0 seconds')) SERVER streaming;
CREATE TABLE sent (k int, at timestamptz);

CREATE VIEW quarters WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT streaming.tumble(lower(w), '15 minutes') AS quarter, max(n) AS n, count(*) AS minutes
    FROM (SELECT streaming.tumble(at, '1 minute') AS w, count(*) AS n FROM clicks GROUP BY 1) m GROUP BY 1;
CREATE VIEW odd WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT streaming.tumble(lower(w), '100 seconds') AS w, sum(n) AS n
    FROM (SELECT streaming.tumble(at, '1 minute') AS w, count(*) AS n FROM clicks GROUP BY 1) m GROUP BY 1;
CREATE VIEW hours WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_trunc('hour', minute) AS hour, sum(n) AS n
    FROM (SELECT date_trunc('minute', at) AS minute, count(*) AS n FROM clicks GROUP BY 1) m GROUP BY 1;
CREATE VIEW starts WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT lower(w) AS start, count(*) AS keys
    FROM (SELECT streaming.tumble(at, '1 minute') AS w, k FROM clicks GROUP BY 1, 2) m GROUP BY 1;
CREATE VIEW ends WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT DISTINCT upper(w) AS ends
    FROM (SELECT streaming.hop(at, '1 minute', '2 minutes') AS w, count(*) AS n FROM clicks GROUP BY 1) m;
CREATE VIEW of_sessions WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_trunc('hour', upper(s)) AS hour, count(*) AS sessions, sum(n) AS n
    FROM (SELECT k, streaming.session(at, '5 minutes') AS s, count(*) AS n FROM clicks GROUP BY 1, 2) m GROUP BY 1;
SELECT c.view, line FROM streaming.views c, streaming.explain(c.view) line WHERE line ~ 'Groups close' ORDER BY c.view::text, line;

CREATE FUNCTION drain_all() RETURNS void LANGUAGE sql AS $$ SELECT streaming.drain(view) FROM streaming.views $$;
CREATE FUNCTION feed(times text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sent SELECT n, t::timestamptz FROM unnest(string_to_array(times, ',')) WITH ORDINALITY u(t, n);
    INSERT INTO clicks SELECT n, t::timestamptz FROM unnest(string_to_array(times, ',')) WITH ORDINALITY u(t, n);
END $$;
-- what differs from the query over all rows, of what is closed
CREATE VIEW wrong AS
    WITH w AS (SELECT max(at) AS at FROM sent),
    minutes AS (SELECT streaming.tumble(at, '1 minute') AS w, count(*) AS n FROM sent GROUP BY 1),
    q AS (SELECT streaming.tumble(lower(m.w), '15 minutes') AS w, max(n), count(*) FROM minutes m GROUP BY 1),
    o AS (SELECT streaming.tumble(lower(m.w), '100 seconds') AS w, sum(n) FROM minutes m GROUP BY 1),
    h AS (SELECT date_trunc('hour', lower(m.w)) AS w, sum(n) FROM minutes m GROUP BY 1),
    s AS (SELECT date_trunc('minute', at) AS w, count(DISTINCT k) FROM sent GROUP BY 1)
    SELECT 'quarters' AS view, d::text FROM ((TABLE quarters EXCEPT TABLE q) UNION ALL
        (SELECT q.* FROM q, w WHERE upper(q.w) <= w.at EXCEPT TABLE quarters)) d
    UNION ALL
    SELECT 'odd', d::text FROM ((TABLE odd EXCEPT TABLE o) UNION ALL
        (SELECT o.* FROM o, w WHERE upper(o.w) + '1 minute' <= w.at EXCEPT TABLE odd)) d
    UNION ALL
    SELECT 'hours', d::text FROM ((TABLE hours EXCEPT TABLE h) UNION ALL
        (SELECT h.* FROM h, w WHERE h.w + '1 hour 1 minute' <= w.at EXCEPT TABLE hours)) d
    UNION ALL
    SELECT 'starts', d::text FROM ((TABLE starts EXCEPT TABLE s) UNION ALL
        (SELECT s.* FROM s, w WHERE s.w + '1 minute' <= w.at EXCEPT TABLE starts)) d;

SELECT feed('2026-01-01 00:00:01, 2026-01-01 00:00:30, 2026-01-01 00:14:59');
SELECT drain_all();
TABLE wrong;
-- the last minute of the quarter is in it
SELECT feed('2026-01-01 00:15:00');
SELECT drain_all();
TABLE quarters;
SELECT * FROM odd ORDER BY w;
SELECT * FROM starts ORDER BY start;
SELECT * FROM ends ORDER BY ends;
TABLE wrong;
SELECT feed('2026-01-01 00:58:20, 2026-01-01 00:59:59');
SELECT drain_all();
SELECT feed('2026-01-01 01:00:00');
SELECT drain_all();
TABLE hours;
TABLE wrong;
SELECT feed('2026-01-01 01:01:00');
SELECT drain_all();
TABLE hours;
TABLE of_sessions;
TABLE wrong;
SELECT feed('2026-01-01 03:00:00');
SELECT drain_all();
SELECT * FROM hours ORDER BY hour;
SELECT * FROM of_sessions ORDER BY hour;
TABLE wrong;
SELECT view, late_rows FROM streaming.stat_views ORDER BY view::text;

SET client_min_messages = warning;
DROP FOREIGN TABLE clicks CASCADE;
DROP TABLE sent CASCADE;
DROP FUNCTION feed, drain_all;
