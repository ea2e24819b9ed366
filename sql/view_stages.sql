-- What streaming.explain says of the stages of a view, the notice of state that nothing
-- bounds, and streaming.stat_operators.
CREATE FOREIGN TABLE clicks (page text, who int, at timestamptz) SERVER streaming;
CREATE FOREIGN TABLE timed (page text, who int, at timestamptz OPTIONS (watermark '0')) SERVER streaming;
CREATE FUNCTION stages(view regclass) RETURNS SETOF text LANGUAGE sql AS
$$ SELECT line FROM streaming.explain(view) line WHERE line ~ '^Stage|^ +(Reads|Cost|Bounded)' $$;

-- groups
CREATE VIEW per_page WITH (streaming.trigger = 'manual') AS SELECT page, count(*) AS n FROM clicks GROUP BY page;
CREATE VIEW histogram WITH (streaming.trigger = 'manual') AS
    SELECT n, count(*) FROM (SELECT page, count(*) AS n FROM clicks GROUP BY page) c GROUP BY n;
SELECT stages('histogram');
CREATE VIEW top WITH (streaming.trigger = 'manual') AS SELECT page, n FROM per_page ORDER BY n DESC LIMIT 1;
SELECT stages('top');
CREATE VIEW total WITH (streaming.trigger = 'manual') AS SELECT count(*) FROM clicks;
SELECT stages('total');

-- rows, for as long as their window is open
CREATE VIEW visitors WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT date_trunc('hour', at, 'UTC') AS hour, count(DISTINCT who) FROM timed GROUP BY 1;
SELECT stages('visitors');

-- rows for ever
CREATE VIEW all_visitors WITH (streaming.trigger = 'manual') AS SELECT page, count(DISTINCT who) FROM clicks GROUP BY page;
SELECT stages('all_visitors');
CREATE VIEW pairs WITH (streaming.trigger = 'manual') AS
    SELECT c.page, c.who, t.who AS other FROM clicks c JOIN timed t USING (page);
SELECT stages('pairs');
CREATE VIEW last_click WITH (streaming.trigger = 'manual') AS SELECT DISTINCT ON (page) * FROM clicks ORDER BY page, at DESC;
SELECT stages('last_click');
CREATE VIEW latest WITH (streaming.trigger = 'manual') AS SELECT * FROM clicks ORDER BY at DESC LIMIT 2;
SELECT stages('latest');

-- as the hint says
CREATE VIEW meeting WITH (streaming.trigger = 'manual') AS
    SELECT page, p.n, t.last FROM per_page p JOIN (SELECT page, max(at) AS last FROM timed GROUP BY page) t USING (page);
SELECT stages('meeting');

-- totals
SELECT * FROM streaming.stat_operators;
CREATE FUNCTION drain_all() RETURNS void LANGUAGE sql AS $$ SELECT streaming.drain(view) FROM streaming.views ORDER BY view $$;
INSERT INTO clicks SELECT 'page ' || i % 3, i, '2026-01-01 00:00:00Z'::timestamptz + i * interval '1 s' FROM generate_series(1, 12) i;
INSERT INTO timed SELECT 'page ' || i, i, '2026-01-01 00:00:00Z'::timestamptz + i * interval '1 s' FROM generate_series(1, 4) i;
SELECT drain_all();
INSERT INTO clicks VALUES ('page 1', 1, '2026-01-01 00:00:01Z');
SELECT drain_all();
SELECT view, stage, kind, input_rows, output_rows, state_rows, state_bytes > 0 AS stored, ms > 0 AS took FROM streaming.stat_operators ORDER BY view::text, stage;
-- they are what the tables have
SELECT sum((xpath('/row/count/text()', query_to_xml(format('SELECT count(*) FROM %s', oid::regclass), false, true, '')))[1]::text::bigint) =
       (SELECT sum(state_rows) FROM streaming.stat_operators) AS equal
FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relname ~ '^(result|state|bag|rows)_' AND relkind = 'r';
-- what closes goes
INSERT INTO timed VALUES ('page 1', 1, '2026-01-01 02:00:00Z');
SELECT drain_all();
SELECT stage, kind, input_rows, output_rows, state_rows FROM streaming.stat_operators WHERE view = 'visitors'::regclass;
-- together they have what the view has
SELECT view FROM streaming.stat_views s
WHERE state_bytes <> (SELECT sum(state_bytes) FROM streaming.stat_operators o WHERE o.view = s.view)
   OR output_rows <> (SELECT output_rows FROM streaming.stat_operators o WHERE o.view = s.view ORDER BY stage DESC LIMIT 1);
-- a view that begins again
SELECT streaming.reset('total');
SELECT count(*) FROM streaming.stat_operators WHERE view = 'total'::regclass;
SELECT streaming.drain('total');
SELECT stage, kind, input_rows, output_rows, state_rows FROM streaming.stat_operators WHERE view = 'total'::regclass;

-- counts are for all
CREATE ROLE regress_streaming_reader;
SET ROLE regress_streaming_reader;
SELECT stage, kind, input_rows FROM streaming.stat_operators WHERE view = 'histogram'::regclass;
SELECT view FROM streaming_internal.progress;
RESET ROLE;
DROP ROLE regress_streaming_reader;
DROP FOREIGN TABLE clicks, timed CASCADE;
DROP FUNCTION stages, drain_all;
