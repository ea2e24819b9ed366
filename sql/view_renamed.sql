-- What a view names goes on to be what it was, whatever it is called by now.
CREATE SCHEMA names;
CREATE TABLE names.dim (g int, label text);
INSERT INTO names.dim VALUES (1, 'old table');
CREATE FUNCTION names.f(int) RETURNS text LANGUAGE sql AS $$ SELECT 'old function' $$;
CREATE COLLATION names.c FROM "C";
CREATE TYPE names.mood AS ENUM ('calm');
CREATE FUNCTION names.same(int, int) RETURNS boolean LANGUAGE sql AS $$ SELECT $1 = $2 $$;
CREATE OPERATOR names.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = names.same);
CREATE FOREIGN TABLE s (g int, v int) SERVER streaming;
CREATE VIEW joined WITH (streaming.trigger = 'manual') AS
	SELECT s.v, d.label, names.f(s.v) AS called, 'calm'::names.mood AS felt FROM s JOIN names.dim d ON s.g OPERATOR(names.===) d.g;
SET search_path = public, names;	-- which is not the path that its tables are made with
CREATE VIEW collated WITH (streaming.trigger = 'manual') AS
	SELECT ('x' || v % 2) COLLATE c AS k, max(('y' || v) COLLATE c), count(DISTINCT ('z' || v) COLLATE c) FROM s GROUP BY 1;
RESET search_path;
CREATE VIEW counted WITH (streaming.trigger = 'manual') AS
	SELECT d.label, count(*) AS n FROM s JOIN names.dim d USING (g) GROUP BY d.label;
INSERT INTO s VALUES (1, 1);
SELECT streaming.drain('joined'), streaming.drain('counted'), streaming.drain('collated');
-- others take their names
BEGIN;
ALTER TABLE names.dim RENAME TO dim_old;
CREATE TABLE names.dim (g int, label text);
INSERT INTO names.dim VALUES (1, 'new table');
ALTER FUNCTION names.f(int) RENAME TO f_old;
CREATE FUNCTION names.f(int) RETURNS text LANGUAGE sql AS $$ SELECT 'new function' $$;
COMMIT;
INSERT INTO s VALUES (1, 2);
SELECT streaming.drain('joined'), streaming.drain('counted'), streaming.drain('collated');
-- nobody does
ALTER TABLE names.dim_old RENAME COLUMN label TO title;
ALTER TYPE names.mood RENAME TO feeling;
ALTER COLLATION names.c RENAME TO d;
INSERT INTO s VALUES (1, 3);
SELECT streaming.drain('joined'), streaming.drain('counted'), streaming.drain('collated');
ALTER FUNCTION names.f_old(int) SET SCHEMA public;
ALTER OPERATOR names.=== (int, int) SET SCHEMA public;
INSERT INTO s VALUES (1, 4);
SELECT streaming.drain('joined'), streaming.drain('counted'), streaming.drain('collated');
ALTER SCHEMA names RENAME TO other_names;
INSERT INTO s VALUES (1, 5);
SELECT streaming.drain('joined'), streaming.drain('counted'), streaming.drain('collated');
SELECT * FROM joined ORDER BY v;
SELECT * FROM counted;
SELECT * FROM collated ORDER BY k;
SELECT view, status, last_error FROM streaming.views WHERE view IN ('joined'::regclass, 'counted'::regclass, 'collated'::regclass) ORDER BY view::text;
DROP FOREIGN TABLE s CASCADE;
DROP SCHEMA other_names CASCADE;
DROP FUNCTION f_old(int);

-- what a view shows the names of keeps them: a row would be taken back as another one
CREATE TYPE point_of AS (x int, y int);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE FOREIGN TABLE s (id int, v int, p point_of, m mood) SERVER streaming;
CREATE VIEW latest WITH (streaming.trigger = manual) AS SELECT DISTINCT ON (id) id, v, p, m FROM s ORDER BY id, v DESC;
CREATE VIEW per_text WITH (streaming.trigger = manual) AS SELECT m::text AS m, count(*) AS n FROM latest GROUP BY 1;
CREATE VIEW per_x WITH (streaming.trigger = manual) AS SELECT to_jsonb(p) -> 'x' AS x, count(*) AS n FROM latest GROUP BY 1;
CREATE VIEW with_v WITH (streaming.trigger = manual) AS SELECT count(to_jsonb(l) -> 'v') AS n FROM latest l;
CREATE VIEW comparing WITH (streaming.trigger = manual) AS
    SELECT m, count(DISTINCT p) AS n, max(m), count(l) FILTER (WHERE m > 'sad' AND (p).x > 0) AS l FROM latest l GROUP BY m;
INSERT INTO s VALUES (1, 1, (1, 1), 'sad'), (2, 1, (2, 2), 'glad');
SELECT count(streaming.drain(view)) AS views FROM streaming.views;
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
DROP VIEW per_text;
ALTER TYPE point_of RENAME ATTRIBUTE x TO z;
ALTER VIEW latest RENAME COLUMN v TO version;
-- rows whose type has no name
CREATE VIEW objects WITH (streaming.trigger = manual) AS SELECT to_jsonb(q) AS q FROM (SELECT m, count(*) AS n FROM latest GROUP BY m) q;
DROP VIEW per_x, with_v;
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
DROP VIEW objects;
-- values that are compared, grouped and counted
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
ALTER TYPE mood ADD VALUE 'sad';
ALTER TYPE point_of RENAME ATTRIBUTE x TO z;
ALTER VIEW latest RENAME COLUMN v TO version;
ALTER FOREIGN TABLE s RENAME COLUMN v TO version;
INSERT INTO s VALUES (1, 2, (3, 1), 'glad'), (2, 2, (2, 2), 'blue');
SELECT streaming.drain('comparing');
TABLE comparing ORDER BY m;
DROP FOREIGN TABLE s CASCADE;
DROP TYPE mood, point_of;
