-- A continuous view is one object for its user, whatever it is made of.
\set SHOW_CONTEXT never
CREATE FUNCTION parts() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT relkind::text || ' ' || regexp_replace(relname, '[0-9]+', 'N') || ' of ' || d.refobjid::regclass
    FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i'
      AND d.refobjid IN (SELECT view FROM streaming_internal.continuous_view) AND relkind IN ('r', 'v')
    ORDER BY 1
$$;
CREATE SCHEMA place;
CREATE FOREIGN TABLE s (a int, b text) SERVER streaming;
CREATE TABLE names (b text, name text);
CREATE VIEW v WITH (streaming.continuous) AS SELECT name, count(*) AS n FROM s JOIN names USING (b) GROUP BY name;
CREATE VIEW filtered WITH (streaming.continuous) AS SELECT a FROM s WHERE a > 0;
SELECT parts();

-- nobody but the workers writes to it
INSERT INTO v VALUES ('x', 1);
UPDATE filtered SET a = 1;
DELETE FROM filtered WHERE false;
DO $$ BEGIN
    EXECUTE format('TRUNCATE %s', (SELECT result FROM streaming_internal.continuous_view WHERE view = 'filtered'::regclass));
END $$;
CREATE TABLE target (a int PRIMARY KEY, n bigint);
CREATE VIEW sunk WITH (streaming.sink = 'target') AS SELECT a, count(*) AS n FROM s GROUP BY a;
INSERT INTO sunk VALUES (1, 1);

-- what PostgreSQL would refuse for reasons of its own says what to do
TRUNCATE target, filtered;
COPY filtered FROM '/dev/null';
COPY sunk (a) FROM '/dev/null';
REFRESH MATERIALIZED VIEW v;
REFRESH MATERIALIZED VIEW CONCURRENTLY filtered;
CREATE VIEW ordinary AS SELECT 1 AS a;
TRUNCATE ordinary;
REFRESH MATERIALIZED VIEW ordinary;
DROP VIEW ordinary;

-- its parts are not touched alone
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
    EXECUTE format(command, (SELECT result FROM streaming_internal.continuous_view WHERE view = 'filtered'::regclass));
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN regexp_replace(sqlerrm, '_[0-9]+', '_N', 'g') || ' / ' || hint;
END $$;
SELECT try('DROP TABLE %s');
SELECT try('ALTER TABLE %s ADD COLUMN x int');
SELECT try('ALTER TABLE %s ALTER COLUMN a TYPE text');
SELECT try('ALTER TABLE %s RENAME COLUMN a TO b');
SELECT try('ALTER TABLE %s SET SCHEMA place');
SELECT try('ALTER TABLE %s OWNER TO CURRENT_USER');
SELECT try('ALTER TABLE %s DISABLE TRIGGER ALL');
-- but users may tune them
SELECT try('ALTER TABLE %s SET (fillfactor = 50)');
SELECT try('CREATE INDEX ON %s (a)');

-- PostgreSQL keeps the definition right
ALTER FOREIGN TABLE s RENAME COLUMN a TO renamed;
ALTER TABLE names RENAME TO labels;
ALTER VIEW v RENAME TO w;
ALTER VIEW w RENAME COLUMN n TO number;
ALTER VIEW w SET SCHEMA place;
SELECT * FROM place.w;
SELECT view, pg_get_viewdef(definition) FROM streaming_internal.continuous_view WHERE view = 'place.w'::regclass;

-- what it reads cannot go without it
DROP FOREIGN TABLE s;
DROP TABLE labels;
DROP TABLE target;
ALTER FOREIGN TABLE s DROP COLUMN renamed;
ALTER FOREIGN TABLE s ALTER COLUMN renamed TYPE bigint;
ALTER TABLE labels ALTER COLUMN name TYPE varchar(10);
DROP TABLE labels CASCADE;
SELECT parts();

-- a view over a view
CREATE VIEW base WITH (streaming.continuous) AS SELECT b, count(*) AS n FROM s GROUP BY b;
CREATE VIEW above WITH (streaming.continuous) AS SELECT n, count(*) AS m FROM base GROUP BY n;
DROP VIEW base;
DROP VIEW base CASCADE;
DROP VIEW filtered;
DROP FOREIGN TABLE s CASCADE;
SELECT parts();
SELECT relkind, relname FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relname ~ '^(definition|result|state|bag|changes)_';
SELECT count(*) FROM streaming_internal.continuous_view;

-- names that need quotes, and a search_path of the user's
CREATE SCHEMA "Odd Place";
SET search_path = "Odd Place", public;
CREATE FOREIGN TABLE "S s" ("A ""a" int, "select" text) SERVER streaming;
CREATE VIEW "V v" WITH (streaming.continuous) AS SELECT "A ""a", max("select") AS "from" FROM "S s" GROUP BY 1;
SELECT * FROM "V v";
RESET search_path;
DROP SCHEMA "Odd Place" CASCADE;
DROP SCHEMA place;
DROP TABLE target;
DROP FUNCTION parts(), try(text);
