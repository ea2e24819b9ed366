-- Files in a directory as a sink: what is refused, names, rolling, privileges.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/sink_directory'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '/out\' \'' :dir '/in\'; chmod 777 \'' :dir '/out\' \'' :dir '/in\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';
\set out :dir '/out'

CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE FOREIGN TABLE events (k text, n int) SERVER streaming;
INSERT INTO events SELECT chr(97 + g % 3), g FROM generate_series(1, 10) g;

-- what the options say
CREATE FOREIGN TABLE bad (k text) SERVER landing OPTIONS (path 'out/*.json', file_max_rows '0');
CREATE FOREIGN TABLE bad (k text) SERVER landing OPTIONS (path 'out/*.json', file_max_size 'large');
CREATE FOREIGN TABLE bad (k text) SERVER landing OPTIONS (path 'out/*.json', file_interval '-1 s');
CREATE FOREIGN TABLE bad (k text) SERVER landing OPTIONS (path 'out/*.json', file_max_row '1');

-- a stream that does not tell where a file goes
CREATE FOREIGN TABLE in_any (k text, n int) SERVER landing OPTIONS (path 'out*/x-*.json');
CREATE FOREIGN TABLE no_star (k text, n int) SERVER landing OPTIONS (path 'out/x-?.json');
CREATE FOREIGN TABLE hidden (k text, n int) SERVER landing OPTIONS (path 'out/_*.json');
CREATE FOREIGN TABLE single (k text, n bigint) SERVER landing OPTIONS (path 'out/totals.json');
INSERT INTO in_any VALUES ('a', 1);
INSERT INTO no_star VALUES ('a', 1);
INSERT INTO hidden VALUES ('a', 1);
INSERT INTO single VALUES ('a', 1);
CREATE VIEW v WITH (streaming.sink = 'single') AS SELECT k, n FROM events;

-- output modes and cycles
CREATE FOREIGN TABLE files (k text, n bigint) SERVER landing OPTIONS (path 'out/x-*.csv', format 'csv', header 'true', file_max_rows '4');
CREATE VIEW v WITH (streaming.sink = 'files') AS SELECT k, count(*) AS n FROM events GROUP BY k;
CREATE VIEW v WITH (streaming.sink = 'files') AS SELECT k, n FROM files;
CREATE FOREIGN TABLE same_files (k text, n bigint) SERVER landing OPTIONS (path 'o*//?-0*.csv', format 'csv');
CREATE VIEW v WITH (streaming.sink = 'files') AS SELECT k, n FROM same_files;
CREATE VIEW v WITH (streaming.sink = 'files') AS SELECT k AS other, n FROM events;
CREATE VIEW v WITH (streaming.sink = 'files') AS SELECT n AS k, k AS n FROM events;

-- append: files of at most so many rows, that the stream reads
CREATE VIEW v WITH (streaming.sink = 'files', streaming.trigger = 'manual') AS SELECT k, n FROM events;
SELECT streaming.drain('v');
SELECT regexp_replace(name, '-[0-9a-f]{8}\.', '-<token>.') AS name,
       array_length(regexp_split_to_array(pg_read_file(:'out' || '/' || name), '\n'), 1) - 1 AS lines
FROM pg_ls_dir(:'out') name ORDER BY 1;
SELECT split_part(pg_read_file(:'out' || '/' || min(name)), E'\n', 1) AS header FROM pg_ls_dir(:'out') name;
SELECT count(*) FROM files;
(SELECT k, n FROM events EXCEPT ALL SELECT k, n FROM v) UNION ALL (SELECT k, n FROM v EXCEPT ALL SELECT k, n FROM events);
INSERT INTO events VALUES ('d', 11);
SELECT streaming.drain('v');
SELECT count(*), count(*) FILTER (WHERE k = 'd') AS d FROM v;
SELECT sink, output_mode FROM streaming.views WHERE view = 'v'::regclass;

-- complete: one file
CREATE VIEW totals WITH (streaming.sink = 'single', streaming.output_mode = 'complete', streaming.trigger = 'manual') AS
    SELECT k, sum(n) AS n FROM events GROUP BY k;
SELECT streaming.drain('totals');
SELECT * FROM single ORDER BY k;
INSERT INTO events VALUES ('a', 100);
SELECT streaming.drain('totals');
SELECT * FROM totals ORDER BY k;
SELECT name FROM pg_ls_dir(:'out', true, false) name WHERE name !~ '^x-';
CREATE FOREIGN TABLE result (n bigint) SERVER landing OPTIONS (path 'out/sum-*.txt', format 'text');
CREATE VIEW total WITH (streaming.sink = 'result', streaming.output_mode = 'complete', streaming.trigger = 'manual') AS
    SELECT sum(n)::bigint AS n FROM events;
SELECT streaming.drain('total');
SELECT * FROM result;
SELECT name FROM pg_ls_dir(:'out', true, false) name WHERE name !~ '^x-' ORDER BY 1;
-- an INSERT that is rolled back writes nothing
BEGIN;
INSERT INTO files VALUES ('never', 1);
ROLLBACK;
INSERT INTO events VALUES ('e', 12);
SELECT streaming.drain('v');
SELECT count(*) FILTER (WHERE k = 'e') AS e, count(*) FILTER (WHERE k = 'never') AS never FROM files;

-- defaults and triggers are those of any INSERT, also where they come and go
CREATE FOREIGN TABLE changed (note text DEFAULT 'by default', n int, k text) SERVER landing OPTIONS (path 'out/changed-*.json');
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.k := upper(NEW.k) || '!'; RETURN NEW; END $$;
CREATE VIEW vc WITH (streaming.sink = 'changed', streaming.trigger = 'manual') AS SELECT k, n FROM events WHERE n > 10 AND n < 100;
SELECT streaming.drain('vc') > 0 AS drained;
CREATE TRIGGER shout BEFORE INSERT ON changed FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO events VALUES ('f', 13);
SELECT streaming.drain('vc') > 0 AS drained;
ALTER FOREIGN TABLE changed ALTER note DROP DEFAULT;
INSERT INTO events VALUES ('g', 14);
SELECT streaming.drain('vc') > 0 AS drained;
DROP TRIGGER shout ON changed;
INSERT INTO events VALUES ('h', 15);
SELECT streaming.drain('vc') > 0 AS drained;
SELECT * FROM changed ORDER BY n;
DROP VIEW vc;
DROP FUNCTION shout;

-- who may write files
CREATE ROLE regress_streaming_files;
GRANT pg_read_server_files TO regress_streaming_files;
GRANT USAGE ON FOREIGN SERVER landing TO regress_streaming_files;
GRANT SELECT ON events TO regress_streaming_files;
GRANT CREATE ON SCHEMA public TO regress_streaming_files;
SET ROLE regress_streaming_files;
CREATE FOREIGN TABLE theirs (k text, n bigint) SERVER landing OPTIONS (path 'out/theirs-*.json', file_interval '0');
INSERT INTO theirs VALUES ('a', 1);
CREATE VIEW their_view WITH (streaming.sink = 'theirs') AS SELECT k, n FROM events;
INSERT INTO files VALUES ('a', 1);
RESET ROLE;
GRANT pg_write_server_files TO regress_streaming_files;
SET ROLE regress_streaming_files;
CREATE VIEW their_view WITH (streaming.sink = 'theirs', streaming.trigger = 'manual') AS SELECT k, n FROM events WHERE k = 'e';
SELECT streaming.drain('their_view');
SELECT * FROM theirs;
RESET ROLE;

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP OWNED BY regress_streaming_files CASCADE;
DROP ROLE regress_streaming_files;
DROP SERVER landing CASCADE;
DROP FOREIGN TABLE events CASCADE;
