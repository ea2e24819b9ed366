-- Records that were rejected are decoded again when what was wrong is mended.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/retry_rejected'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';

CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FOREIGN TABLE measures (k text, n positive) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE listed (k text, n positive, line bigint OPTIONS (metadata 'line'))
    SERVER landing OPTIONS (path '*.csv', format 'csv', header 'true', delimiter ';');
CREATE FOREIGN TABLE written (k text, n positive) SERVER landing OPTIONS (path '*.txt', format 'text');
CREATE VIEW kept WITH (streaming.trigger = 'manual') AS SELECT k, n FROM measures;
CREATE VIEW kept_listed WITH (streaming.trigger = 'manual') AS SELECT k, n, line FROM listed;
CREATE VIEW kept_written WITH (streaming.trigger = 'manual') AS SELECT k, n FROM written;

\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/a.json\''
COPY (VALUES ('{"k": "good", "n": 1}'), ('{"k": "below", "n": -1}'), ('{"k": "word", "n": "one"}'), ('{"k": "cut", "n": '))
    TO PROGRAM :'put' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/a.csv\''
COPY (VALUES ('key;number'), ('good;1'), ('"be;low";-1'), ('word;one')) TO PROGRAM :'put' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/a.txt\''
COPY (VALUES ('good', 1), ('be' || chr(9) || 'low', -1), (NULL, -2)) TO PROGRAM :'put';

SELECT count(streaming.drain(v)) FROM unnest(ARRAY['kept', 'kept_listed', 'kept_written']::regclass[]) v;
SELECT stream, position, whole, column_name FROM streaming.rejected_rows ORDER BY stream::text, position;

-- nothing has changed
SELECT streaming.retry_rejected('measures');
ALTER DOMAIN positive DROP CONSTRAINT positive_check;
SELECT streaming.retry_rejected('measures'), streaming.retry_rejected('listed'), streaming.retry_rejected('written');
SELECT streaming.drain('kept'), streaming.drain('kept_listed'), streaming.drain('kept_written');
SELECT * FROM kept ORDER BY k;
SELECT * FROM kept_listed ORDER BY line;
SELECT * FROM kept_written ORDER BY n;
SELECT stream, position, column_name, sqlstate FROM streaming.rejected_rows ORDER BY stream::text, position;
SELECT streaming.retry_rejected('measures'), streaming.retry_rejected('listed'), streaming.retry_rejected('written');

-- what mends them may be an option, or a type
ALTER FOREIGN TABLE measures OPTIONS (ADD on_error 'null');
SELECT streaming.retry_rejected('measures');
SELECT streaming.drain('kept');
SELECT * FROM kept ORDER BY k;
SELECT position FROM streaming.rejected_rows WHERE stream = 'measures'::regclass;

-- a view that is reset reads them itself
SELECT streaming.reset('kept');
SELECT streaming.drain('kept');
SELECT * FROM kept ORDER BY k;

-- what decodes them may do what it likes to cursors
CREATE FUNCTION closes(t text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	FOR name IN SELECT c.name FROM pg_cursors c WHERE c.name LIKE '%portal%' LOOP
		BEGIN
			EXECUTE format('CLOSE %I', name);
		EXCEPTION WHEN OTHERS THEN
		END;
	END LOOP;
	RETURN t = 'x99';
END $$;
CREATE DOMAIN closing AS text CHECK (closes(VALUE));
CREATE FOREIGN TABLE closed (k closing) SERVER landing OPTIONS (path 'many*.json');
CREATE VIEW kept_closed WITH (streaming.trigger = 'manual') AS SELECT k FROM closed;
\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/many.json\''
COPY (SELECT '{"k": "x' || i || '"}' FROM generate_series(1, 100) i) TO PROGRAM :'put' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
SELECT streaming.drain('kept_closed');
SELECT streaming.retry_rejected('closed');
SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'closed'::regclass;

-- what cannot be retried
CREATE FOREIGN TABLE pushed (k text) SERVER streaming;
CREATE FOREIGN TABLE sized (k text, n bigint OPTIONS (metadata 'size')) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE matched (k text) SERVER landing OPTIONS (path '*.csv', format 'csv', header 'match');
CREATE FOREIGN TABLE containers (k text) SERVER landing OPTIONS (path '*.avro', format 'avro');
CREATE TABLE plain (k text);
SELECT streaming.retry_rejected('pushed');
SELECT streaming.retry_rejected('sized');
SELECT streaming.retry_rejected('matched');
SELECT streaming.retry_rejected('containers');
SELECT streaming.retry_rejected('plain');
SELECT streaming.retry_rejected('kept');
SELECT streaming.retry_rejected(0);
SELECT streaming.retry_rejected(NULL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT streaming.retry_rejected('measures');
ROLLBACK;

-- nor by whom
CREATE ROLE regress_retrier;
SET ROLE regress_retrier;
SELECT streaming.retry_rejected('measures');
RESET ROLE;
GRANT CREATE ON SCHEMA public TO regress_retrier;
GRANT USAGE ON FOREIGN SERVER landing TO regress_retrier;
ALTER FOREIGN TABLE measures OWNER TO regress_retrier;
SET ROLE regress_retrier;
SELECT streaming.retry_rejected('measures');
RESET ROLE;

SET client_min_messages = warning;
DROP SERVER landing CASCADE;
DROP FOREIGN TABLE pushed;
DROP TABLE plain;
DROP DOMAIN positive, closing;
DROP FUNCTION closes;
REVOKE ALL ON SCHEMA public FROM regress_retrier;
DROP ROLE regress_retrier;
