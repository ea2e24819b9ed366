-- Indexes of continuous views: made by users, for whom they are the view's.
CREATE ROLE indexer;
CREATE ROLE other_indexer;
GRANT CREATE ON SCHEMA public TO indexer;
CREATE SCHEMA indexed AUTHORIZATION indexer;
GRANT USAGE ON SCHEMA indexed TO other_indexer;
SET ROLE indexer;
CREATE FOREIGN TABLE hits (url text, at timestamptz, bytes int) SERVER streaming;
CREATE VIEW pages WITH (streaming.trigger = 'manual') AS
	SELECT url, count(*) AS n, sum(bytes) AS bytes FROM hits GROUP BY url;
INSERT INTO hits SELECT '/' || i % 3000, '2026-01-01', i % 100 FROM generate_series(1, 9000) i;
SELECT streaming.drain('pages');
CREATE INDEX by_bytes ON pages (bytes DESC NULLS LAST);
CREATE INDEX ON pages (url COLLATE "C" text_pattern_ops);
CREATE INDEX ON pages (lower(url), n) INCLUDE (bytes) WHERE bytes > 100;
CREATE INDEX IF NOT EXISTS by_bytes ON pages (n);
SELECT * FROM streaming.indexes ORDER BY name COLLATE "C";
ANALYZE pages;
ANALYZE pages (url, bytes);
SELECT n_distinct FROM pg_stats WHERE tablename = (SELECT relname FROM streaming_internal.continuous_view JOIN pg_class ON pg_class.oid = result WHERE view = 'pages'::regclass) AND attname = 'url';
RESET ROLE;
SELECT attname, n_distinct <> 0 AS analyzed FROM pg_stats WHERE schemaname = 'streaming_internal' AND tablename IN (SELECT relname FROM streaming_internal.continuous_view JOIN pg_class c ON c.oid = result OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = result) WHERE view = 'pages'::regclass) AND attname IN ('url', 'bytes', 'lower') ORDER BY 1;
SET ROLE indexer;
-- what a plan calls it; ids are of no interest
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		RETURN NEXT regexp_replace(line, 'result_\d+', 'result', 'g');
	END LOOP;
END $$;
SELECT pg_temp.plan_of($$SELECT * FROM pages ORDER BY bytes DESC NULLS LAST LIMIT 3$$);
SELECT pg_temp.plan_of($$SELECT n FROM pages WHERE url LIKE '/27%'$$);
-- with another index, or without
SELECT count(*) FROM pg_temp.plan_of($$SELECT n FROM pages WHERE lower(url) = '/7' AND bytes > 200$$) line
WHERE line LIKE '%Index Scan on result_pages_lower_n_idx%';
-- batches keep them up to date, with rows that come and rows that change
SET enable_seqscan = off;
SET enable_bitmapscan = off;
INSERT INTO hits SELECT '/' || i, '2026-01-01', 1000 + i FROM generate_series(2999, 3002) i;
SELECT streaming.drain('pages');
SELECT * FROM pages ORDER BY bytes DESC NULLS LAST LIMIT 4;
SELECT n, bytes FROM pages WHERE lower(url) = '/3001' AND bytes > 200;
SELECT url, n FROM pages WHERE url LIKE '/300%' ORDER BY url COLLATE "C";
SELECT streaming.reset('pages', force => true);
SELECT streaming.drain('pages');
SELECT count(*) FROM streaming.indexes WHERE view = 'pages'::regclass AND name <> '$key';
RESET enable_seqscan;
RESET enable_bitmapscan;
-- their names are in the schema of the view
COMMENT ON INDEX by_bytes IS 'the largest first';
SELECT obj_description(('streaming_internal.result_' || id || '_by_bytes')::regclass) FROM streaming_internal.continuous_view WHERE view = 'pages'::regclass;
REINDEX INDEX by_bytes;
REINDEX TABLE pages;
CREATE INDEX by_bytes ON pages (n);
CREATE VIEW others WITH (streaming.trigger = 'manual') AS SELECT url, count(*) AS n FROM hits GROUP BY url;
CREATE INDEX by_bytes ON others (n);
CREATE TABLE by_n (n int);
CREATE INDEX by_n ON others (n);
CREATE INDEX "$key" ON others (n);
\set VERBOSITY terse
CREATE INDEX a_name_that_is_as_long_as_a_name_can_be_and_not_one_byte_longer ON others (n);
\set VERBOSITY default
CREATE INDEX ON others (n);
CREATE INDEX ON others (n);
ALTER INDEX others_n_idx RENAME TO by_bytes;
ALTER INDEX others_n_idx RENAME TO by_count;
ALTER VIEW others SET SCHEMA indexed;
DROP INDEX by_count;
CREATE INDEX by_bytes ON indexed.others (url);
SELECT view, name, definition FROM streaming.indexes ORDER BY 1, name COLLATE "C";
DROP INDEX by_bytes, by_n;
DROP INDEX IF EXISTS indexed.by_count, indexed.none;
-- columns of the view that have another name by now
ALTER VIEW indexed.others RENAME COLUMN url TO page;
CREATE INDEX ON indexed.others (url);
CREATE INDEX ON indexed.others (page, (page || '?'));
ANALYZE indexed.others (url);
ANALYZE indexed.others (page);
SELECT name, definition FROM streaming.indexes WHERE view = 'indexed.others'::regclass ORDER BY name COLLATE "C";
COMMENT ON VIEW indexed.others IS 'views have comments';
COMMENT ON COLUMN indexed.others.page IS 'and so do their columns';
SELECT obj_description('indexed.others'::regclass), col_description('indexed.others'::regclass, 1);
-- what is refused
CREATE UNIQUE INDEX ON indexed.others (page);
CREATE INDEX CONCURRENTLY ON indexed.others (page);
REINDEX TABLE CONCURRENTLY indexed.others;
DROP INDEX CONCURRENTLY indexed.by_bytes;
REINDEX (TABLESPACE pg_default) INDEX indexed.by_bytes;
CREATE INDEX ON indexed.others (page) TABLESPACE pg_global;
CREATE INDEX ON indexed.others (none);
CREATE INDEX ON indexed.others ("$hash");
CREATE INDEX ON indexed.others USING none (page);
\set VERBOSITY sqlstate
CREATE INDEX ON indexed.others (random());
\set VERBOSITY default
CREATE INDEX ON indexed.others ((SELECT 1));
CREATE INDEX ON indexed.others ((others));
CREATE FUNCTION indexed.f(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE INDEX ON indexed.others (indexed.f(page));
CREATE INDEX ON indexed.others (page) WHERE indexed.f(page) = 'x';
CREATE DOMAIN indexed.page AS text CHECK (indexed.f(VALUE) <> '');
CREATE INDEX ON indexed.others ((page::indexed.page));
CREATE TYPE indexed.mood AS ENUM ('calm', 'cross');
CREATE TYPE indexed.pair AS (a int, b text);
CREATE FUNCTION indexed.distance(text, text) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT 0.0';
CREATE TYPE indexed.pages AS RANGE (subtype = text);
CREATE FOREIGN TABLE typed (m indexed.mood, ms indexed.mood[], p indexed.pair, r indexed.pages, d indexed.page, j jsonb) SERVER streaming;
CREATE VIEW types WITH (streaming.trigger = 'manual') AS SELECT m, ms, p, r, d, j, count(*) AS n FROM typed GROUP BY m, ms, p, r, d, j;
CREATE INDEX ON types (p);
CREATE INDEX ON types (n, r);
CREATE INDEX ON types (n) INCLUDE (p);
CREATE INDEX ON types ((p IS NULL));
CREATE INDEX ON types ((ROW(n, m) = ROW(n, m)));
CREATE INDEX ON types ((p = p));
CREATE INDEX ON types (m, ms, d);
CREATE INDEX ON types USING gin (j);
INSERT INTO typed VALUES ('cross', '{calm}', (1, 'x'), '[a,b)', 'page', '{"a": 1}');
SELECT streaming.drain('types');
ANALYZE types;
SELECT n FROM types WHERE m = 'cross' AND j ? 'a';
-- a view whose result is in another place
CREATE TABLE written (url text PRIMARY KEY, n bigint);
CREATE VIEW writes WITH (streaming.trigger = 'manual', streaming.sink = 'written') AS SELECT url, count(*) AS n FROM hits GROUP BY url;
CREATE INDEX ON writes (n);
ANALYZE writes, pages;
CREATE FUNCTION indexed.take(record) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE VIEW taken WITH (streaming.trigger = 'manual', streaming.foreach = 'indexed.take') AS SELECT url FROM hits;
CREATE INDEX ON taken (url);
-- ordinary views are what they were
CREATE VIEW plain AS SELECT 1 AS a;
CREATE INDEX ON plain (a);
ANALYZE plain;
DROP INDEX none;
-- and others may do nothing
RESET ROLE;
GRANT SELECT ON indexed.others TO other_indexer;
SET ROLE other_indexer;
CREATE INDEX ON indexed.others (page);
DROP INDEX indexed.by_bytes;
REINDEX INDEX indexed.by_bytes;
REINDEX TABLE indexed.others;
ANALYZE indexed.others;
COMMENT ON INDEX indexed.by_bytes IS 'mine';
ALTER INDEX indexed.by_bytes RENAME TO mine;
RESET ROLE;
SET client_min_messages = warning;
DROP VIEW plain;
DROP OWNED BY indexer CASCADE;
DROP OWNED BY other_indexer;
DROP ROLE indexer, other_indexer;
