-- Which tables cannot be followed, by whom, and what then cannot be done to them.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE TABLE t (id int PRIMARY KEY, v int, w int GENERATED ALWAYS AS (v + 1) STORED);
CREATE TABLE other (id int);
CREATE FOREIGN TABLE s (id int) SERVER streaming;
CREATE VIEW counts WITH (streaming.continuous) AS SELECT id, count(*) AS n FROM s GROUP BY id;

-- what the option says
CREATE VIEW v WITH (streaming.follow = 'missing') AS SELECT count(*) FROM t;
CREATE VIEW v WITH (streaming.follow = 'other') AS SELECT count(*) FROM t;
CREATE VIEW v WITH (streaming.follow = 's') AS SELECT count(*) FROM s;
CREATE VIEW v WITH (streaming.follow = 'counts') AS SELECT count(*) FROM counts;
CREATE VIEW v WITH (streaming.follow = '') AS SELECT count(*) FROM t;
CREATE VIEW v WITH (streaming.follow = 't,') AS SELECT count(*) FROM t;
CREATE VIEW v WITH (streaming.follow = 'pg_class') AS SELECT count(*) FROM pg_class;
CREATE VIEW v WITH (streaming.follow = 'all') AS SELECT count(*) FROM pg_class;
CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) FROM t;
CREATE VIEW v WITH (streaming.follow = 'all', streaming.sink = 't') AS SELECT id, v FROM t;
CREATE TABLE back (id int PRIMARY KEY, v int);
CREATE VIEW forth WITH (streaming.follow = 't', streaming.sink = 'back', streaming.trigger = 'manual') AS SELECT id, max(v) AS v FROM t GROUP BY id;
CREATE VIEW v WITH (streaming.follow = 'back', streaming.sink = 't') AS SELECT id, max(v) + 1 AS v FROM back GROUP BY id;
CREATE VIEW v WITH (streaming.follow = 'all', streaming.sink = 't') AS SELECT id, max(f.v) AS v FROM other JOIN forth f USING (id) GROUP BY id;
DROP VIEW forth;

-- queries
CREATE VIEW v WITH (streaming.follow = 't') AS SELECT t FROM t;
CREATE VIEW v WITH (streaming.follow = 't') AS SELECT tableoid, ctid FROM t;
CREATE VIEW v WITH (streaming.follow = 't') AS SELECT id FROM t TABLESAMPLE SYSTEM (10);
CREATE VIEW v WITH (streaming.follow = 't', streaming.output_mode = 'append') AS SELECT id FROM t;
CREATE VIEW v WITH (streaming.follow = 't') AS SELECT id, now() AS at FROM t;

-- kinds of tables
CREATE TABLE whole (id int) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF whole FOR VALUES IN (1);
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
CREATE UNLOGGED TABLE forgetful (id int);
CREATE MATERIALIZED VIEW materialized AS SELECT 1 AS id;
CREATE VIEW v WITH (streaming.follow = 'all') AS SELECT count(*) FROM part;
CREATE VIEW v WITH (streaming.follow = 'all') AS SELECT count(*) FROM parent;
CREATE VIEW v WITH (streaming.follow = 'all') AS SELECT count(*) FROM child;
CREATE VIEW v WITH (streaming.follow = 'all') AS SELECT count(*) FROM forgetful;
CREATE VIEW v WITH (streaming.follow = 'materialized') AS SELECT count(*) FROM materialized;

-- rights
CREATE ROLE follow_reader;
GRANT CREATE, USAGE ON SCHEMA public TO follow_reader;
GRANT SELECT ON t TO follow_reader;
SET ROLE follow_reader;
CREATE VIEW v WITH (streaming.follow = 't') AS SELECT count(*) FROM t;
RESET ROLE;
REVOKE ALL ON t FROM follow_reader;
GRANT TRIGGER ON t TO follow_reader;
SET ROLE follow_reader;
CREATE VIEW v WITH (streaming.follow = 't') AS SELECT count(*) FROM t;
CREATE TABLE mine (id int);
CREATE TRIGGER x AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION streaming_internal.capture_change('1');
RESET ROLE;
GRANT SELECT ON t TO follow_reader;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON t TO follow_reader USING (id < 10);
SET ROLE follow_reader;
CREATE VIEW v WITH (streaming.follow = 't') AS SELECT count(*) FROM t;
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;

-- what is followed; not of tables that were
CREATE VIEW v WITH (streaming.follow = 't') AS SELECT id, w FROM t;
CREATE TABLE c () INHERITS (t);
ALTER TABLE t INHERIT parent;
CREATE TABLE fits (id int NOT NULL, v int, w int GENERATED ALWAYS AS (v + 1) STORED);
ALTER TABLE fits INHERIT t;
CREATE TABLE parts (id int NOT NULL, v int, w int GENERATED ALWAYS AS (v + 1) STORED) PARTITION BY LIST (id);
ALTER TABLE parts ATTACH PARTITION t DEFAULT;
ALTER TABLE t SET UNLOGGED;
ALTER TABLE t DISABLE TRIGGER ALL;
ALTER TABLE t ENABLE TRIGGER ALL;
ALTER TABLE t DISABLE TRIGGER USER;
-- parts of what captures the changes
CREATE PROCEDURE try(statement text) LANGUAGE plpgsql AS $$
BEGIN
	SELECT replace(replace(statement, '<trigger>', quote_ident(tgname)), '<changes>', 'streaming_internal.' || foreign_table_name)
	INTO statement FROM pg_trigger, information_schema.foreign_tables
	WHERE tgrelid = 't'::regclass AND tgfoid = 'streaming_internal.capture_change'::regproc AND tgtype & 4 > 0 AND tgtype & 1 = 0
	AND foreign_table_name LIKE 'follow%';
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%', regexp_replace(SQLERRM, '_\d+', '_N', 'g');
END $$;
CALL try('ALTER TABLE t DISABLE TRIGGER <trigger>');
CALL try('DROP TRIGGER <trigger> ON t');
CALL try('SELECT * FROM <changes>');
CALL try('INSERT INTO <changes> VALUES (1)');
CALL try('ALTER FOREIGN TABLE <changes> DROP COLUMN c1');
CALL try('DROP FOREIGN TABLE <changes>');
CALL try('TRUNCATE <changes>');

-- what views depend on
ALTER TABLE t DROP COLUMN w;
ALTER TABLE t ALTER COLUMN id TYPE bigint;
DROP TABLE t;
BEGIN;
INSERT INTO t VALUES (1, 1);
PREPARE TRANSACTION 'follow';
DROP TABLE t CASCADE;
SELECT count(*) FROM information_schema.foreign_tables WHERE foreign_table_name LIKE 'follow%';

DROP PROCEDURE try;
DROP TABLE other, whole, parent, forgetful, fits, parts, mine CASCADE;
DROP MATERIALIZED VIEW materialized;
DROP FOREIGN TABLE s CASCADE;
REVOKE ALL ON SCHEMA public FROM follow_reader;
DROP ROLE follow_reader;
