-- Which views a topic can take; none of this asks a broker.
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE s (a int, b text, c numeric) SERVER streaming;
CREATE FOREIGN TABLE plain (a int, b text, n bigint) SERVER broker OPTIONS (topic 'plain');
CREATE FOREIGN TABLE keyed (a int, b text, n bigint) SERVER broker OPTIONS (topic 'keyed', key 'a, b');
CREATE FOREIGN TABLE named (k text OPTIONS (metadata 'key'), n bigint) SERVER broker OPTIONS (topic 'named');
-- append
CREATE VIEW v WITH (streaming.sink = 'plain') AS SELECT a, b FROM s;
SELECT line FROM streaming.explain('v') line WHERE line NOT LIKE '%SQL:%';
DROP VIEW v;
CREATE VIEW v WITH (streaming.sink = 'plain') AS SELECT a, b AS missing FROM s;
CREATE VIEW v WITH (streaming.sink = 'plain') AS SELECT now() AS a, b FROM s;
-- a cycle
CREATE VIEW v WITH (streaming.sink = 'plain') AS SELECT a, b FROM plain;
-- a stream that nobody can write to
CREATE FOREIGN TABLE nested (a int, b text OPTIONS (field 'x.y')) SERVER broker OPTIONS (topic 'nested');
CREATE VIEW v WITH (streaming.sink = 'nested') AS SELECT a, b FROM s;
DROP FOREIGN TABLE nested;
CREATE FOREIGN TABLE many (a int, b text) SERVER broker OPTIONS (topic '^many');
CREATE VIEW v WITH (streaming.sink = 'many') AS SELECT a, b FROM s;
DROP FOREIGN TABLE many;
-- update: the message key is the group key
CREATE VIEW v WITH (streaming.sink = 'plain') AS SELECT a, count(*) AS n FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.sink = 'keyed') AS SELECT a, count(*) AS n FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.sink = 'keyed') AS SELECT a, b, count(*) AS n FROM s GROUP BY a, b, c;
CREATE VIEW v WITH (streaming.sink = 'keyed') AS SELECT count(*) AS n FROM s;
CREATE VIEW v WITH (streaming.sink = 'keyed') AS SELECT b, a, count(*) AS n FROM s GROUP BY a, b;
SELECT view, sink, output_mode FROM streaming.views;
DROP VIEW v;
CREATE VIEW v WITH (streaming.sink = 'named') AS SELECT b AS k, count(*) AS n FROM s GROUP BY b;
-- two views may write to one topic
CREATE VIEW w WITH (streaming.sink = 'named', streaming.output_mode = 'complete') AS SELECT b AS k, count(*) AS n FROM s GROUP BY b;
-- the stream goes with what depends on it
DROP FOREIGN TABLE named;
SET client_min_messages = warning;
DROP FOREIGN TABLE named CASCADE;
SELECT count(*) FROM streaming.views;
-- rights
CREATE ROLE regress_streaming_writer;
GRANT CREATE ON SCHEMA public TO regress_streaming_writer;
GRANT SELECT ON s, plain TO regress_streaming_writer;
SET ROLE regress_streaming_writer;
CREATE VIEW v WITH (streaming.sink = 'plain') AS SELECT a, b FROM s;
INSERT INTO plain VALUES (1);
SELECT streaming.restart_delivery('plain', true);
RESET ROLE;
GRANT INSERT ON plain TO regress_streaming_writer;
SET ROLE regress_streaming_writer;
CREATE VIEW v WITH (streaming.sink = 'plain') AS SELECT a, b FROM s;
RESET ROLE;
SELECT streaming.restart_delivery('plain', true);
-- what INSERT cannot do
INSERT INTO plain VALUES (1) ON CONFLICT DO NOTHING;
UPDATE plain SET a = 2;
DELETE FROM plain;
BEGIN;
INSERT INTO plain VALUES (1);
PREPARE TRANSACTION 'x';
-- what does not fit a message
CREATE FOREIGN TABLE odd (a int, part int OPTIONS (metadata 'partition'), h jsonb OPTIONS (metadata 'headers'),
	t timestamptz OPTIONS (metadata 'timestamp')) SERVER broker OPTIONS (topic 'odd');
INSERT INTO odd VALUES (1, -1);
INSERT INTO odd VALUES (1, NULL, '[1]');
INSERT INTO odd VALUES (1, NULL, NULL, 'infinity');
INSERT INTO odd VALUES (1, NULL, NULL, '1969-12-31 23:59:59+00');
SELECT count(*) FROM streaming_internal.outbox;
DROP VIEW v;
DROP SERVER broker CASCADE;
DROP FOREIGN TABLE s;
DROP OWNED BY regress_streaming_writer;
DROP ROLE regress_streaming_writer;
