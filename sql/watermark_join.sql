-- Joins of streams with a bound in event time: what can be joined no more goes, and
-- windows over them close.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE FOREIGN TABLE shown (ad int, at timestamptz OPTIONS (watermark '10 seconds')) SERVER streaming;
CREATE FOREIGN TABLE clicked (ad int, at timestamptz OPTIONS (watermark '0 seconds')) SERVER streaming;

CREATE VIEW pairs WITH (streaming.trigger = 'manual') AS
    SELECT s.ad, s.at, c.at AS clicked
    FROM shown s JOIN clicked c ON s.ad = c.ad AND c.at BETWEEN s.at AND s.at + interval '1 hour';
-- a click comes at most an hour after it was shown: of the minutes of clicks all is known
-- when the watermark is there, of those of ads an hour later
CREATE VIEW per_click WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_trunc('minute', c.at) AS minute, count(*) AS n
    FROM shown s JOIN clicked c ON s.ad = c.ad AND c.at - s.at BETWEEN '0' AND '1 hour' GROUP BY 1;
CREATE VIEW per_ad WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT minute, count(*) AS n FROM (
        SELECT date_trunc('minute', s.at) AS minute
        FROM shown s JOIN clicked c ON s.ad = c.ad AND c.at >= s.at AND s.at + interval '1 hour' >= c.at) p GROUP BY 1;
CREATE VIEW by_minute WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT minute, s.n AS shown, c.n AS clicked
    FROM (SELECT date_trunc('minute', at) AS minute, count(*) AS n FROM shown GROUP BY 1) s
    JOIN (SELECT date_trunc('minute', at) AS minute, count(*) AS n FROM clicked GROUP BY 1) c USING (minute);
-- a bound on one side tells of the other
CREATE VIEW half WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_trunc('minute', c.at) AS minute, count(*) AS n FROM shown s JOIN clicked c ON s.ad = c.ad AND c.at >= s.at GROUP BY 1;

SELECT view, output_mode FROM streaming.views ORDER BY view::text;
SELECT regexp_replace(line, '(state|rows|result)_[0-9]+', '\1_id', 'g') AS plan FROM streaming.explain('per_ad') line WHERE line !~ 'SQL|Join';

CREATE FUNCTION drain_all() RETURNS void LANGUAGE sql AS $$ SELECT streaming.drain(view) FROM streaming.views $$;
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

INSERT INTO shown VALUES (1, '2026-01-01 00:00:00'), (2, '2026-01-01 00:30:00'), (3, '2026-01-01 00:00:30');
INSERT INTO clicked VALUES (1, '2026-01-01 00:00:20'), (2, '2026-01-01 00:29:00');
SELECT drain_all();
SELECT * FROM pairs ORDER BY ad, clicked;
TABLE per_click;
TABLE per_ad;
TABLE by_minute;
SELECT view, watermark, late_rows, kept(view) FROM streaming.stat_views ORDER BY view::text;

-- a click in time finds an ad that is older than the watermark
INSERT INTO clicked VALUES (3, '2026-01-01 00:45:00'), (2, '2026-01-01 00:31:00'), (1, '2026-01-01 00:10:00');
INSERT INTO shown VALUES (1, '2026-01-01 00:20:00'), (4, '2026-01-01 00:50:10');
SELECT drain_all();
SELECT * FROM pairs ORDER BY ad, clicked;
SELECT * FROM per_click ORDER BY minute;
SELECT view, watermark, late_rows, kept(view) FROM streaming.stat_views ORDER BY view::text;

INSERT INTO shown VALUES (5, '2026-01-01 02:00:10');
INSERT INTO clicked VALUES (5, '2026-01-01 02:00:30');
SELECT drain_all();
SELECT * FROM per_click ORDER BY minute;
SELECT * FROM per_ad ORDER BY minute;
SELECT * FROM by_minute ORDER BY minute;
SELECT * FROM half ORDER BY minute;
SELECT view, watermark, late_rows, kept(view) FROM streaming.stat_views ORDER BY view::text;

-- without a bound, or by times that are not constant, groups may always change
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS
    SELECT date_trunc('minute', s.at), count(*) FROM shown s JOIN clicked c ON s.ad = c.ad GROUP BY 1;
CREATE VIEW refused WITH (streaming.output_mode = 'append') AS
    SELECT date_trunc('minute', s.at), count(*) FROM shown s JOIN clicked c ON s.ad = c.ad AND c.at - s.at < s.ad * interval '1 s' GROUP BY 1;

SET client_min_messages = warning;
DROP FOREIGN TABLE shown, clicked CASCADE;
DROP FUNCTION drain_all, kept;
