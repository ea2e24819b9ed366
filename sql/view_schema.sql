-- What a view names may be in any schema: types, aggregates with states of them,
-- operators, functions, collations.
CREATE SCHEMA "My Schema";
SET search_path = "My Schema", public;
CREATE TYPE state AS (n bigint, s bigint);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE COLLATION german FROM "C";
CREATE FUNCTION take(state, int) RETURNS state LANGUAGE sql IMMUTABLE AS
    'SELECT ROW($1.n + 1, $1.s + $2)::"My Schema".state';
CREATE FUNCTION add(state, state) RETURNS state LANGUAGE sql IMMUTABLE AS
    'SELECT ROW($1.n + $2.n, $1.s + $2.s)::"My Schema".state';
CREATE FUNCTION mean(state) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1.s / $1.n)::int';
CREATE AGGREGATE combined(int) (SFUNC = take, STYPE = state, COMBINEFUNC = add, FINALFUNC = mean, INITCOND = '(0,0)', PARALLEL = safe);
CREATE AGGREGATE raw(int) (SFUNC = take, STYPE = state, COMBINEFUNC = add, INITCOND = '(0,0)', PARALLEL = safe);
CREATE AGGREGATE recomputed(int) (SFUNC = take, STYPE = state, FINALFUNC = mean, INITCOND = '(0,0)');
CREATE FUNCTION other(mood, mood) RETURNS mood LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
CREATE AGGREGATE worst(mood) (SFUNC = other, STYPE = mood, COMBINEFUNC = other);
CREATE FUNCTION weigh(mood, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $2 * CASE $1 WHEN ''good'' THEN 1 ELSE 2 END';
CREATE OPERATOR |*| (LEFTARG = mood, RIGHTARG = int, FUNCTION = weigh);
CREATE FOREIGN TABLE readings (k mood, p pair, d positive, v int, t text COLLATE german) SERVER streaming;
CREATE TABLE sink (p pair, d positive, t text COLLATE german, worst mood, mean int, PRIMARY KEY (d, t));
CREATE VIEW a WITH (streaming.trigger = 'manual') AS
    SELECT k, combined(v), raw(v), worst(k), sum(k |*| v) AS weight FROM readings WHERE k |*| v > 0 GROUP BY k;
CREATE VIEW b WITH (streaming.trigger = 'manual') AS
    SELECT p, recomputed(v), count(DISTINCT d) AS ds, percentile_disc(0.5) WITHIN GROUP (ORDER BY k) AS k FROM readings GROUP BY p;
CREATE VIEW c WITH (streaming.trigger = 'manual') AS SELECT k, p, d, t, k |*| v AS weight FROM readings;
CREATE VIEW d WITH (streaming.trigger = 'manual', streaming.sink = 'sink') AS
    SELECT d, t, worst(k), combined(v) AS mean FROM readings GROUP BY d, t;
CREATE VIEW e WITH (streaming.trigger = 'manual') AS
    SELECT worst, combined(n) AS mean, count(*) AS n FROM (SELECT p, worst(k), count(*)::int AS n FROM readings GROUP BY p) q GROUP BY worst;
CREATE VIEW f WITH (streaming.trigger = 'manual') AS SELECT combined, count(*) AS n, worst(k) FROM a GROUP BY combined;
INSERT INTO readings SELECT 'good', ROW(i % 2, 'x')::pair, 1, i, 't' FROM generate_series(1, 4) i;
INSERT INTO readings SELECT 'bad', ROW(i % 2, 'x')::pair, 2, i, 't' FROM generate_series(1, 3) i;
RESET search_path;
CREATE FUNCTION drain_all() RETURNS bigint LANGUAGE sql AS
$$ SELECT sum(streaming.drain(format('"My Schema".%I', view)::regclass)) FROM unnest('{a,b,c,d,e,f}'::text[]) view $$;
SELECT drain_all() > 0 AS drained;
INSERT INTO "My Schema".readings VALUES ('bad', ROW(0, 'x'), 1, 10, 't');
SELECT drain_all() > 0 AS drained;
SELECT streaming.reset('"My Schema".b');
SELECT drain_all() > 0 AS drained;
SELECT * FROM "My Schema".a ORDER BY k;
SELECT * FROM "My Schema".b ORDER BY p;
SELECT count(*), sum(weight) FROM "My Schema".c;
SELECT * FROM "My Schema".sink ORDER BY d;
SELECT * FROM "My Schema".e ORDER BY worst;
SELECT * FROM "My Schema".f ORDER BY combined;
SELECT count(*) FROM streaming.views WHERE last_error IS NOT NULL;
SET client_min_messages = warning;
DROP FUNCTION drain_all;
DROP SCHEMA "My Schema" CASCADE;
