-- What functions and consoles cannot be given is refused when the view is created.
\set VERBOSITY default
CREATE FOREIGN TABLE s (a int, b text) SERVER streaming;
CREATE TYPE row_of_s AS (a int, b text);
CREATE TYPE other_row AS (a bigint, b text);
CREATE TYPE short_row AS (a int);
CREATE FUNCTION f(r record) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION typed(r row_of_s) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION other_typed(r other_row) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION short_typed(r short_row) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION scalar(a int) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION many(r record) RETURNS SETOF int LANGUAGE plpgsql AS 'BEGIN END';
CREATE PROCEDURE proc(r record) LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION g(p bigint, v bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION g_text(p bigint, v bigint) RETURNS text LANGUAGE sql AS 'SELECT 1::text';
CREATE FUNCTION h(error text) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION fb(batch regclass, id bigint) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE TABLE t (a int, b text);

-- one sink
CREATE VIEW v WITH (streaming.sink = 't', streaming.foreach = 'f') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach_batch = 'fb', streaming.sink = 'console') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach_batch = 'fb', streaming.foreach = 'f') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach_open = 'g') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach_batch = 'fb', streaming.foreach_close = 'h') AS SELECT a, b FROM s;

-- no such function, or none that fits
CREATE VIEW v WITH (streaming.foreach = 'nothing') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'nowhere.f') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'f(record)') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'fb') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'other_typed') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'short_typed') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'typed') AS SELECT b, a FROM s;
CREATE VIEW v WITH (streaming.foreach = 'scalar') AS SELECT a FROM s;
CREATE VIEW v WITH (streaming.foreach = 'many') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'proc') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'f', streaming.foreach_open = 'h') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'f', streaming.foreach_open = 'g_text') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach = 'f', streaming.foreach_close = 'g') AS SELECT a, b FROM s;
CREATE VIEW v WITH (streaming.foreach_batch = 'f') AS SELECT a, b FROM s;
SELECT count(*) FROM streaming.views;

-- rights: those of the view's owner, when it is made and when it is called
CREATE ROLE regress_streaming_teller;
GRANT CREATE ON SCHEMA public TO regress_streaming_teller;
GRANT SELECT ON s TO regress_streaming_teller;
REVOKE EXECUTE ON FUNCTION f FROM PUBLIC;
SET ROLE regress_streaming_teller;
CREATE VIEW v WITH (streaming.foreach = 'f') AS SELECT a, b FROM s;
RESET ROLE;
GRANT EXECUTE ON FUNCTION f TO regress_streaming_teller;
SET ROLE regress_streaming_teller;
CREATE VIEW v WITH (streaming.trigger = 'manual', streaming.foreach = 'f') AS SELECT a, b FROM s;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION f FROM regress_streaming_teller;
INSERT INTO s VALUES (1, 'a');
SELECT streaming.drain('v');
GRANT EXECUTE ON FUNCTION f TO regress_streaming_teller;
SELECT streaming.drain('v');
SELECT regexp_replace(relname, '\d+', 'n') AS name, relowner = extowner AS of_extension FROM pg_extension e, pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind = 'v' AND extname = 'streaming' ORDER BY 1;
ALTER VIEW v OWNER TO CURRENT_USER;

-- a view without rows of its own
SELECT * FROM v;
CREATE VIEW over WITH (streaming.continuous) AS SELECT count(*) FROM v;
ALTER VIEW v SET (streaming.foreach = 'typed');

DROP FOREIGN TABLE s CASCADE;
DROP FUNCTION f, typed, other_typed, short_typed, scalar, many, g, g_text, h, fb;
DROP PROCEDURE proc;
DROP TYPE row_of_s, other_row, short_row;
DROP TABLE t;
DROP OWNED BY regress_streaming_teller;
DROP ROLE regress_streaming_teller;
