-- Session windows: rows of a group at most gap apart share a window that ends
-- gap after the last.
SET timezone = 'UTC';
CREATE FOREIGN TABLE clicks (
    usr text,
    at  timestamptz OPTIONS (watermark '10 minutes'),
    ms  int
) SERVER streaming;
CREATE VIEW open_sessions WITH (streaming.trigger = 'manual') AS
    SELECT usr, streaming.session(at, '5 minutes') AS session, count(*) AS n, sum(ms) AS total, avg(ms) AS mean
    FROM clicks GROUP BY 1, 2;
CREATE VIEW sessions WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT lower(session) AS began, upper(session) - interval '5 minutes' AS last, usr, n
    FROM (SELECT streaming.session(at, '5 minutes') AS session, usr, count(*) AS n
          FROM clicks WHERE ms > 0 GROUP BY streaming.session(at, '5 minutes'), usr HAVING count(*) > 1) s;
CREATE VIEW all_users WITH (streaming.trigger = 'manual') AS
    SELECT DISTINCT streaming.session(at, '5 minutes') AS session FROM clicks;
CREATE TABLE sink (usr text, session tstzrange, n bigint, UNIQUE NULLS NOT DISTINCT (usr, session));
CREATE VIEW to_sink WITH (streaming.trigger = 'manual', streaming.sink = 'sink') AS
    SELECT usr, streaming.session(at, '5 minutes') AS session, count(*) AS n FROM clicks GROUP BY 1, 2;
CREATE VIEW longest WITH (streaming.trigger = 'manual') AS
    SELECT usr, max(upper(session) - lower(session)) AS longest, count(*) AS sessions
    FROM (SELECT usr, streaming.session(at, '5 minutes') AS session FROM clicks GROUP BY 1, 2) s GROUP BY usr;
SELECT regexp_replace(line, '(state|bag|result)_[0-9]+', '\1_id', 'g') AS plan FROM streaming.explain('sessions') line WHERE line !~ 'SQL:|Recompute:';
CREATE FUNCTION drain_all() RETURNS bigint LANGUAGE sql AS
$$ SELECT sum(streaming.drain(view)) FROM streaming.views $$;

-- in one batch: exactly the gap apart is together, a little more is not
INSERT INTO clicks VALUES
    ('a', '2026-01-01 00:00:00+00', 1), ('a', '2026-01-01 00:05:00+00', 2),
    ('a', '2026-01-01 00:10:00.000001+00', 3),
    ('b', '2026-01-01 00:03:00+00', 4), (NULL, '2026-01-01 00:04:00+00', NULL),
    ('c', '2026-01-01 00:00:00+00', 0), ('c', '2026-01-01 00:10:00+00', 5);
SELECT drain_all();
SELECT * FROM open_sessions ORDER BY usr, session;
SELECT * FROM all_users ORDER BY session;
SELECT * FROM longest ORDER BY usr;
-- in the next they grow: forwards, backwards, and into each other
INSERT INTO clicks VALUES
    ('a', '2026-01-01 00:15:00+00', 10), ('b', '2026-01-01 00:01:00+00', 20),
    ('c', '2026-01-01 00:05:00+00', 30);
SELECT drain_all();
SELECT * FROM open_sessions ORDER BY usr, session;
SELECT * FROM sink ORDER BY usr, session;
SELECT * FROM all_users ORDER BY session;
SELECT * FROM longest ORDER BY usr;
TABLE sessions;
-- what the watermark passes is closed
INSERT INTO clicks VALUES ('d', '2026-01-01 00:30:00+00', 1);
SELECT drain_all();
SELECT * FROM sessions ORDER BY usr, began;
SELECT view, watermark, late_rows, state_rows FROM streaming.stat_views ORDER BY view::text;
-- the session of a that ended at 00:20 is not passed before this instant is
INSERT INTO clicks VALUES ('a', '2026-01-01 00:20:00+00', 1), ('d', '2026-01-01 00:30:00.000001+00', 1);
SELECT drain_all();
SELECT * FROM open_sessions WHERE usr = 'a' ORDER BY session;
-- older than the watermark, or without a time
INSERT INTO clicks VALUES ('a', '2026-01-01 00:20:00+00', 1), ('d', '2026-01-01 00:29:00+00', 1),
    ('a', NULL, 1), ('a', 'infinity', 1), ('a', '-infinity', 1);
SELECT drain_all();
INSERT INTO clicks VALUES ('d', '2026-01-01 02:00:00+00', 1);
SELECT drain_all();
SELECT * FROM sessions ORDER BY usr, began;
SELECT * FROM sink ORDER BY usr, session;
SELECT view, watermark, late_rows, state_rows FROM streaming.stat_views ORDER BY view::text;

-- of another time than the watermark's: kept for good
CREATE FOREIGN TABLE visits (k int, at timestamptz) SERVER streaming;
CREATE VIEW kept WITH (streaming.trigger = 'manual') AS
    SELECT streaming.session(at, '1 hour') AS session, count(*) AS n FROM visits GROUP BY 1;
INSERT INTO visits SELECT i, '2026-01-01 00:00:00+00'::timestamptz + i * interval '2 hours' FROM generate_series(0, 3) i;
INSERT INTO visits VALUES (1, NULL), (1, '-infinity'), (1, 'infinity'), (1, '294276-12-31 23:59:59.999999+00'),
    (1, '4714-11-24 00:00:00+00 BC');
SELECT streaming.drain('kept');
SELECT late_rows FROM streaming.stat_views WHERE view = 'kept'::regclass;
INSERT INTO visits VALUES (1, '2026-01-01 03:00:00+00');
SELECT streaming.drain('kept');
SELECT * FROM kept ORDER BY session;

-- too near to the last timestamp, whatever windows there are besides
CREATE FOREIGN TABLE far (at timestamptz OPTIONS (watermark '0')) SERVER streaming;
CREATE VIEW by_day WITH (streaming.trigger = 'manual') AS
    SELECT date_trunc('day', at, 'UTC') AS day, streaming.session(at, '5 minutes') AS session, count(*) AS n FROM far GROUP BY 1, 2;
INSERT INTO far VALUES ('294276-12-31 23:57:00+00'), ('294276-12-20 00:00:00+00');
SELECT streaming.drain('by_day');
TABLE by_day;
SELECT late_rows FROM streaming.stat_views WHERE view = 'by_day'::regclass;

-- refused
SELECT streaming.session('2026-01-01', '1 minute');
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, '1 s'), ms FROM clicks;
CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) FROM clicks GROUP BY lower(streaming.session(at, '1 s'));
CREATE VIEW v WITH (streaming.continuous) AS SELECT s, count(*) FROM (SELECT streaming.session(at, '1 s') AS s FROM clicks) c GROUP BY s;
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, '1 s') AS s, streaming.session(at, '2 s') AS t FROM clicks GROUP BY 1, 2;
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, ms * interval '1 s'), count(*) FROM clicks GROUP BY 1;
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, '1 month'), count(*) FROM clicks GROUP BY 1;
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, '0'), count(*) FROM clicks GROUP BY 1;
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, '1 s'), count(DISTINCT ms) FROM clicks GROUP BY 1;
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(m, '1 s'), count(*) FROM (SELECT max(at) AS m FROM clicks GROUP BY usr) c GROUP BY 1;
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(lower(session), '1 s'), count(*) FROM open_sessions GROUP BY 1;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT streaming.session(at, '1 s'), count(*) FROM visits GROUP BY 1;

SET client_min_messages = warning;
DROP FUNCTION drain_all;
DROP FOREIGN TABLE clicks, visits, far CASCADE;
DROP TABLE sink;
