-- A column of the sink that holds a group key must tell all groups apart.
CREATE FOREIGN TABLE measured (at timestamptz, amount numeric, name text, f float8, i int, d date, c varchar(3)) SERVER streaming;
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN cents AS numeric(10,2);
CREATE TABLE by_cents (amount numeric(10,2) PRIMARY KEY, n bigint);
CREATE TABLE by_domain (amount cents PRIMARY KEY, n bigint);
CREATE TABLE by_int (f int PRIMARY KEY, n bigint);
CREATE TABLE by_date (at date PRIMARY KEY, n bigint);
CREATE TABLE by_second (at timestamptz(0) PRIMARY KEY, n bigint);
CREATE TABLE by_short (name varchar(3) PRIMARY KEY, n bigint);
CREATE TABLE by_case (name text COLLATE caseless PRIMARY KEY, n bigint);
CREATE TABLE by_index (name text NOT NULL, n bigint);
CREATE UNIQUE INDEX ON by_index (name COLLATE caseless);
\set VERBOSITY terse
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_cents') AS SELECT amount, count(*) AS n FROM measured GROUP BY amount;
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_cents', streaming.output_mode = 'complete') AS SELECT amount, count(*) AS n FROM measured GROUP BY amount;
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_domain') AS SELECT amount, count(*) AS n FROM measured GROUP BY amount;
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_int') AS SELECT f, count(*) AS n FROM measured GROUP BY f;
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_date') AS SELECT at, count(*) AS n FROM measured GROUP BY at;
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_second') AS SELECT at, count(*) AS n FROM measured GROUP BY at;
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_short') AS SELECT name, count(*) AS n FROM measured GROUP BY name;
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_case') AS SELECT name, count(*) AS n FROM measured GROUP BY name;
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_index') AS SELECT name, count(*) AS n FROM measured GROUP BY name;
\set VERBOSITY default
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'by_cents') AS SELECT amount, count(*) AS n FROM measured GROUP BY amount;

-- those that do, by a cast in GROUP BY or because they are as wide
CREATE TABLE wide (i bigint, d timestamp, c text, a numeric(10,2), n bigint, UNIQUE NULLS NOT DISTINCT (i, d, c, a));
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.sink = 'wide') AS
    SELECT i, d, c, amount::numeric(10,2) AS a, count(*) AS n FROM measured GROUP BY i, d, c, amount::numeric(10,2);
CREATE VIEW by_name WITH (streaming.trigger = 'manual', streaming.sink = 'by_case') AS
    SELECT name COLLATE caseless AS name, count(*) AS n FROM measured GROUP BY name COLLATE caseless;
INSERT INTO measured VALUES ('2026-01-01', 1.001, 'a', 1, 1, '2026-01-01', 'abc'), ('2026-01-01', 1.002, 'A', 1, 1, '2026-01-01', 'abc');
SELECT streaming.drain('v'), streaming.drain('by_name');
TABLE wide;
TABLE by_case;

SET client_min_messages = warning;
DROP FOREIGN TABLE measured CASCADE;
DROP TABLE by_cents, by_domain, by_int, by_date, by_second, by_short, by_case, by_index, wide;
DROP DOMAIN cents;
DROP COLLATION caseless;
