-- Columns from the names of directories, and what else is known about a file.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/directory_partitions'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '/dt=2026-11-30/hour=05\' \'' :dir '/dt=2026-11-30/hour=__HIVE_DEFAULT_PARTITION__\' \'' :dir '/dt=2026-12-01/hour=6\' \'' :dir '/dt=never/hour=7\' \'' :dir '/other/x\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';

CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'partition:')) SERVER landing OPTIONS (path '*/*/*.json');
CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'partition')) SERVER landing OPTIONS (path '*/*/*.json');
CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'size')) SERVER landing OPTIONS (path '*/*/*.json');
CREATE FOREIGN TABLE hits (
    v text,
    dt date OPTIONS (metadata 'partition:dt'),
    hour int OPTIONS (metadata 'partition:hour'),
    none text OPTIONS (metadata 'partition:nothing'),
    size bigint OPTIONS (metadata 'size'),
    mtime timestamptz OPTIONS (metadata 'mtime'),
    line bigint OPTIONS (metadata 'line')
) SERVER landing OPTIONS (path '*/*/*.json');

\set put 'cat > \'' :dir '/.part\' && touch -d \'2026-11-30 10:00:00.25Z\' \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/dt=2026-11-30/hour=05/a.json\''
COPY (VALUES ('{"v": "a1", "dt": "2000-01-01"}'), ('{"v": "a2"}')) TO PROGRAM :'put';
\set put 'cat > \'' :dir '/dt=2026-11-30/hour=__HIVE_DEFAULT_PARTITION__/b.json\''
COPY (VALUES ('{"v": "b"}')) TO PROGRAM :'put';
\set put 'cat > \'' :dir '/dt=2026-12-01/hour=6/c.json\''
COPY (VALUES ('{"v": "c"}')) TO PROGRAM :'put';
\set put 'cat > \'' :dir '/other/x/nothing=1.json\''
COPY (VALUES ('{"v": "d"}')) TO PROGRAM :'put';
SELECT v, dt, hour, none, size FROM hits ORDER BY v;
SELECT v, line, mtime AT TIME ZONE 'UTC' AS mtime FROM hits WHERE dt = '2026-11-30' AND hour = 5 ORDER BY v;

CREATE VIEW per_hour WITH (streaming.trigger = 'manual') AS SELECT dt, hour, count(*), sum(size) FROM hits GROUP BY dt, hour;
SELECT streaming.drain('per_hour');
SELECT * FROM per_hour ORDER BY dt, hour;

-- a value that the column cannot have
\set put 'cat > \'' :dir '/dt=never/hour=7/e.json\''
COPY (VALUES ('{"v": "e"}')) TO PROGRAM :'put';
SELECT streaming.drain('per_hour');
SELECT column_name, error FROM streaming.rejected_rows WHERE stream = 'hits'::regclass;
ALTER FOREIGN TABLE hits OPTIONS (ADD on_error 'null');
SELECT v, dt, hour FROM hits ORDER BY v;

-- escapes, as Hive, Spark and Arrow write them, in names and in values
\set make 'mkdir -p \'' :dir '/e/a%3Db=x%2Fy%3A%C3%A9\' \'' :dir '/e/a%3Db=100%\' \'' :dir '/e/a%3Db=%ff\' \'' :dir '/e/a%3Db=\'; for i in x%2Fy%3A%C3%A9 100% %ff \'\'; do echo {} > \'' :dir '/e/a%3Db=\'$i/f.json; done; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';
CREATE FOREIGN TABLE escaped (value text OPTIONS (metadata 'partition:a=b')) SERVER landing OPTIONS (path 'e/*/*.json', on_error 'null');
SELECT value FROM escaped ORDER BY value COLLATE "C";

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER landing CASCADE;
