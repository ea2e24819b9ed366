-- What cannot be kept up to date is refused, with a hint: in the order of the table in README.md.
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE FOREIGN TABLE s (a int, b text, at timestamptz OPTIONS (watermark '1 minute'), j json) SERVER streaming;
CREATE FOREIGN TABLE s2 (a int, b text) SERVER streaming;
CREATE TABLE t (a int PRIMARY KEY, b text, j json);
CREATE TABLE keyless (a int, b text);
CREATE SEQUENCE numbers;
CREATE FUNCTION reads(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT b FROM t WHERE a = $1';
CREATE VIEW counts WITH (streaming.trigger = 'manual') AS SELECT a, count(*) AS n FROM s GROUP BY a;

-- now(), random() and the like, where rows are kept
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s GROUP BY a HAVING max(at) > now(); \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT s.a, now() FROM s JOIN s2 USING (a); \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s LEFT JOIN s2 USING (a) WHERE s.at > CURRENT_DATE; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, nextval('numbers') FROM s ORDER BY a LIMIT 1; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, row_number() OVER (ORDER BY random()) FROM s; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT b FROM s UNION SELECT reads(1); \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s WHERE NOT EXISTS (SELECT FROM s2 WHERE s2.a = s.a AND now() > '2020-01-01'); \echo :SQLSTATE

-- FOR UPDATE, FOR SHARE
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s FOR UPDATE; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s WHERE a IN (SELECT a FROM t FOR SHARE); \echo :SQLSTATE

-- system columns of a stream, but for tableoid
CREATE VIEW v WITH (streaming.continuous) AS SELECT xmin, a FROM s; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT s.a FROM s JOIN s2 ON s.ctid = s2.ctid; \echo :SQLSTATE

-- session windows over anything but the rows of one stream
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, '1 s'), count(*) FROM s JOIN s2 USING (a) GROUP BY 1; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, '1 s'), count(*) FROM (SELECT DISTINCT at FROM s) d GROUP BY 1; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, '1 s'), count(DISTINCT a) FROM s GROUP BY 1; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT streaming.session(at, '1 s') FROM s; \echo :SQLSTATE

-- output mode append, where a row may have to be taken back
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT a, count(*) FROM s GROUP BY a; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT a, n FROM counts; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT s.a FROM s LEFT JOIN s2 USING (a); \echo :SQLSTATE
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT a FROM s WHERE a NOT IN (SELECT a FROM s2); \echo :SQLSTATE
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT a, lead(a) OVER (ORDER BY a) FROM s; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT a FROM s ORDER BY a LIMIT 1; \echo :SQLSTATE

-- values of a type that no table can hold, such as record
CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) FROM s GROUP BY ROW(a, b); \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS SELECT x.r = ROW(1, 'a'::text) AS same FROM (SELECT ROW(a, b) AS r FROM s) x JOIN s2 ON true; \echo :SQLSTATE

-- columns of a table that follow from its primary key in GROUP BY, of a type without equality
CREATE VIEW v WITH (streaming.continuous) AS SELECT t.a, t.j, count(*) FROM s JOIN t USING (a) GROUP BY t.a; \echo :SQLSTATE

-- views whose rows go to functions or to the log alone, as an input
CREATE VIEW logged WITH (streaming.sink = 'console', streaming.trigger = 'manual') AS SELECT a FROM s;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM logged; \echo :SQLSTATE
DROP VIEW logged;

-- A query over no stream is for a materialized view.
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM t; \echo :SQLSTATE

-- What PostgreSQL refuses by itself.
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s TABLESAMPLE system (10); \echo :SQLSTATE
CREATE VIEW v WITH (streaming.continuous) AS WITH x AS (DELETE FROM t RETURNING a) SELECT s.a FROM s JOIN x USING (a); \echo :SQLSTATE

-- Rows between two aggregations have a column more.
SELECT 'CREATE VIEW v WITH (streaming.continuous) AS SELECT c1, count(*) FROM (SELECT a, '
	|| string_agg(format('a AS c%s', i), ', ') || ' FROM s GROUP BY a) x GROUP BY c1' AS wide
FROM generate_series(1, 1663) i \gset
:wide; \echo :SQLSTATE

-- Sinks that do not fit.
CREATE VIEW v WITH (streaming.sink = 'keyless') AS SELECT a, count(*) FROM s GROUP BY a; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.sink = 'keyless') AS SELECT a, count(*)::text AS b FROM s GROUP BY a; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.sink = 'keyless') AS SELECT s.a, s2.b FROM s LEFT JOIN s2 USING (a); \echo :SQLSTATE
CREATE VIEW v WITH (streaming.sink = 'keyless') AS SELECT count(*) AS a FROM s; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.sink = 'keyless') AS SELECT at AS a FROM s; \echo :SQLSTATE
CREATE VIEW v WITH (streaming.sink = 'counts') AS SELECT a FROM s; \echo :SQLSTATE

-- Nothing is left of any of them.
SELECT view FROM streaming.views;
DROP FOREIGN TABLE s, s2 CASCADE;
DROP TABLE t, keyless;
DROP SEQUENCE numbers;
DROP FUNCTION reads;
