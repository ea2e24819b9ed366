-- streaming.viewdef gives the statement back that makes a view.
SET timezone = 'UTC';
\pset format unaligned
CREATE SCHEMA "Odd one";
CREATE FOREIGN TABLE s (a int, b text, at timestamptz OPTIONS (watermark '1 minute')) SERVER streaming;
CREATE TABLE "Odd one"."t'able" (a int PRIMARY KEY, n bigint);
CREATE TYPE row_of_s AS (a int, b text);
CREATE FUNCTION "Odd one"."each"(row_of_s) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION opens(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION closes(text) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION each_batch(regclass, bigint) RETURNS void LANGUAGE sql AS 'SELECT';

CREATE VIEW plain WITH (streaming.continuous) AS SELECT a, b FROM s WHERE b <> 'it''s';
CREATE VIEW counted ("A", "the count") WITH (streaming.trigger = '10 seconds', streaming.max_rows_per_trigger = 1000,
    streaming.max_files_per_trigger = 2, streaming.catch_up_rate = 500, streaming.enabled = off, security_barrier) AS SELECT a, count(*) FROM s GROUP BY a;
CREATE VIEW manual WITH (streaming.trigger = manual, streaming.output_mode = 'complete') AS SELECT max(a) FROM s;
CREATE VIEW windows WITH (streaming.start = 'latest', streaming.output_mode = 'append') AS
    SELECT streaming.tumble(at, '1 hour') AS hour, count(*) FROM s GROUP BY 1;
CREATE VIEW sunk WITH (streaming.sink = '"Odd one"."t''able"') AS SELECT a, count(*) AS n FROM s GROUP BY a;
CREATE VIEW printed WITH (streaming.sink = console) AS SELECT a FROM s;
CREATE VIEW remembered WITH (streaming.sink = memory) AS SELECT a FROM s;
CREATE VIEW each WITH (streaming.foreach = '"Odd one".each', streaming.foreach_open = 'opens', streaming.foreach_close = 'closes')
    AS SELECT a, b FROM s;
CREATE VIEW batched WITH (streaming.foreach_batch = 'each_batch') AS SELECT a FROM s;
CREATE VIEW "Odd one"."o""ver" WITH (streaming.continuous) AS SELECT "the count", count(*) FROM counted GROUP BY 1;

-- (versions of PostgreSQL differ in how they write the query)
SELECT split_part(streaming.viewdef(view), E'\n AS', 1) AS definition FROM streaming.views ORDER BY view::text COLLATE "C";

-- each makes the same view again, in whatever place
CREATE TABLE before AS
    SELECT view::text AS name, streaming.viewdef(view) AS definition, query, sink, output_mode, trigger, enabled FROM streaming.views;
DO $$
DECLARE
    r record;
BEGIN
    SET LOCAL client_min_messages = error;
    SET LOCAL search_path = pg_catalog;
    -- the one that reads another goes first and comes last
    FOR r IN SELECT * FROM public.before ORDER BY name LIKE '%o""ver%' DESC LOOP EXECUTE format('DROP VIEW %s', CASE WHEN r.name LIKE '%.%' THEN r.name ELSE 'public.' || r.name END); END LOOP;
    SET LOCAL search_path = public;
    FOR r IN SELECT * FROM public.before ORDER BY name LIKE '%o""ver%' LOOP EXECUTE r.definition; END LOOP;
END $$;
SELECT count(*) FROM before;
SELECT b.name
FROM before b FULL JOIN streaming.views v ON v.view::text = b.name
WHERE (v.query, v.output_mode, v.trigger, v.enabled, streaming.viewdef(v.view)) IS DISTINCT FROM (b.query, b.output_mode, b.trigger, b.enabled, b.definition);

-- a column with another name
ALTER VIEW plain RENAME b TO c;
SELECT split_part(streaming.viewdef('plain'), E'\n AS', 1) AS definition;

-- what is none
SELECT streaming.viewdef('before');
SELECT streaming.viewdef('pg_tables');
SELECT streaming.viewdef(0::regclass);
SELECT streaming.viewdef(NULL);

SET client_min_messages = error;
DROP TABLE before;
DROP FOREIGN TABLE s CASCADE;
DROP SCHEMA "Odd one" CASCADE;
DROP FUNCTION opens, closes, each_batch;
DROP TYPE row_of_s;
