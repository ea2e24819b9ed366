-- What is not kept up to date is refused, with a hint.
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE FOREIGN TABLE s (a int, b text, at timestamptz, j json) SERVER streaming;
CREATE FOREIGN TABLE s2 (a int) SERVER streaming;
CREATE TABLE t (a int, b text);
CREATE VIEW hiding AS SELECT a FROM s;

CREATE VIEW v WITH (streaming.trigger = 'asap') AS SELECT a FROM t;
CREATE VIEW v WITH (streaming.continuous) AS SELECT s.a FROM s JOIN s2 USING (a);
CREATE VIEW v WITH (streaming.continuous) AS SELECT x.a FROM s x JOIN s y USING (a);
CREATE VIEW v WITH (streaming.continuous) AS SELECT t.a, s.b FROM t LEFT JOIN s USING (a);
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s UNION ALL SELECT a FROM s2;
CREATE VIEW v WITH (streaming.continuous) AS WITH x AS (SELECT a FROM s) SELECT a FROM x;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, row_number() OVER () FROM s;
CREATE VIEW v WITH (streaming.continuous) AS SELECT DISTINCT ON (a) a, b FROM s;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, count(*) FROM s GROUP BY ROLLUP (a);
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s LIMIT 10;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s ORDER BY a;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM t WHERE a IN (SELECT a FROM s);
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM hiding;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, (SELECT max(t.a) FROM t) FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, array_agg(j ORDER BY b) FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) FROM s GROUP BY ROW(a, b);
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT a, count(*) FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, grouping(a), count(*) FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.continuous) AS SELECT xmin, a FROM s;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s WHERE ctid IS NOT NULL;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, count(*) AS "$hash" FROM s GROUP BY a;

-- rows between two aggregations have a column more
SELECT 'CREATE VIEW v WITH (streaming.continuous) AS SELECT c1, count(*) FROM (SELECT a, '
	|| string_agg(format('a AS c%s', i), ', ') || ' FROM s GROUP BY a) x GROUP BY c1' AS wide
FROM generate_series(1, 1663) i \gset
:wide;

-- sinks
CREATE VIEW v WITH (streaming.sink = 't') AS SELECT a, count(*) FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.sink = 't') AS SELECT a, count(*)::text AS b FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.sink = 't') AS SELECT count(*) AS a FROM s;
CREATE VIEW v WITH (streaming.sink = 't') AS SELECT at AS a FROM s;
CREATE VIEW v WITH (streaming.sink = 'hiding') AS SELECT a FROM s;

SELECT count(*) FROM streaming.views;
DROP FOREIGN TABLE s, s2 CASCADE;
DROP TABLE t;
