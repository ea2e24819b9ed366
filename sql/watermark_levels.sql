-- Aggregations of aggregations in append mode: each level closes by the watermark.
SET timezone = 'UTC';
CREATE FOREIGN TABLE clicks (url text, at timestamp OPTIONS (watermark '0'), ms int) SERVER streaming;
CREATE TABLE urls (url text, site text);
INSERT INTO urls VALUES ('/a', 'one'), ('/b', 'one'), ('/c', 'two');

CREATE VIEW busiest WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT minute, max(n) AS most, count(*) AS urls
    FROM (SELECT date_trunc('minute', at) AS minute, url, count(*) AS n FROM clicks GROUP BY 1, 2) m
    GROUP BY minute;
CREATE VIEW sites WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
    SELECT minute, site, n
    FROM (SELECT date_trunc('minute', at) AS minute, url, count(*) AS n FROM clicks GROUP BY 1, 2) m
    JOIN urls USING (url) WHERE n > 1;
CREATE VIEW users WITH (streaming.trigger = 'manual') AS
    SELECT minute, max(n) AS most
    FROM (SELECT date_trunc('minute', at) AS minute, url, count(*) AS n FROM clicks GROUP BY 1, 2) m
    GROUP BY minute;
SELECT regexp_replace(line, '(state|bag|result)_[0-9]+', '\1_id', 'g') AS plan FROM streaming.explain('busiest') line WHERE line !~ 'SQL:|Recompute:';
SELECT regexp_replace(line, '(state|bag|result)_[0-9]+', '\1_id', 'g') AS plan FROM streaming.explain('users') line WHERE line !~ 'SQL:|Recompute:';

INSERT INTO clicks VALUES ('/a', '2026-01-01 00:00:00', 1), ('/a', '2026-01-01 00:00:01', 1),
    ('/b', '2026-01-01 00:00:02', 1), ('/c', '2026-01-01 00:01:00', 1), ('/c', '2026-01-01 00:01:59', 1);
SELECT streaming.drain('busiest'), streaming.drain('sites'), streaming.drain('users');
TABLE busiest;
TABLE sites;
SELECT * FROM users ORDER BY minute;
INSERT INTO clicks VALUES ('/a', '2026-01-01 00:00:03', 1), ('/c', '2026-01-01 00:02:00', 1);
SELECT streaming.drain('busiest'), streaming.drain('sites'), streaming.drain('users');
SELECT * FROM busiest ORDER BY minute;
SELECT * FROM sites ORDER BY minute;
SELECT * FROM users ORDER BY minute;
SELECT view, watermark, late_rows FROM streaming.stat_views ORDER BY view::text;
-- closed groups are nowhere but in the result
DO $$
DECLARE
    names text[]; n bigint; t text;
BEGIN
    SELECT relations INTO names FROM streaming_internal.continuous_view WHERE view = 'users'::regclass;
    FOREACH t IN ARRAY names LOOP
        IF t ~ '^(state|bag)_[0-9]+_[0-9]+$' THEN
            EXECUTE format('SELECT count(*) FROM streaming_internal.%I', t) INTO n;
            RAISE NOTICE '%: % rows', regexp_replace(t, '\d+', 'id'), n;
        END IF;
    END LOOP;
END $$;
DROP FOREIGN TABLE clicks CASCADE;
DROP TABLE urls;
