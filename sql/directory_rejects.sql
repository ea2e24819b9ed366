-- Records that cannot be decoded: kept in streaming.rejected_rows, made NULL,
-- or a reason to stop.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/directory_rejects'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '/measures\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';

CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FOREIGN TABLE rejecting (k text, n positive) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE nulling (k text, n positive) SERVER landing OPTIONS (path '*.json', on_error 'null');
CREATE FOREIGN TABLE stopping (k text, n positive) SERVER landing OPTIONS (path '*.json', on_error 'stop');
CREATE VIEW rejecting_rows WITH (streaming.trigger = 'manual') AS SELECT * FROM rejecting;
CREATE VIEW nulling_rows WITH (streaming.trigger = 'manual') AS SELECT * FROM nulling;
CREATE VIEW stopping_rows WITH (streaming.trigger = 'manual') AS SELECT * FROM stopping;

\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/a.json\''
COPY (SELECT * FROM (VALUES
    ('{"k": "good", "n": 1}'),
    ('{"k": "word", "n": "one"}'),
    ('{"k": "domain", "n": -1}'),
    ('{"k": "cut", "n": '),
    ('[1]'),
    ('{"k": "last", "n": 2}')) x) TO PROGRAM :'put' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');

SELECT streaming.drain('rejecting_rows') > 0 AS drained;
SELECT * FROM rejecting_rows ORDER BY n;
SELECT stream, regexp_replace(path, '.*/', '') AS file, convert_from(payload, 'UTF8') AS payload, column_name, sqlstate
FROM streaming.rejected_rows WHERE stream = 'rejecting'::regclass ORDER BY position;
SELECT * FROM rejecting ORDER BY n;

SELECT streaming.drain('nulling_rows') > 0 AS drained;
SELECT * FROM nulling_rows ORDER BY k COLLATE "C";
SELECT convert_from(payload, 'UTF8') AS payload FROM streaming.rejected_rows
WHERE stream = 'nulling'::regclass ORDER BY position;

SELECT streaming.drain('stopping_rows');
SELECT count(*) FROM stopping_rows;
SELECT view, status <> 'running' AS in_trouble, last_error <> '' AS tells FROM streaming.views
WHERE view = 'stopping_rows'::regclass;

-- another policy lets it go on
ALTER FOREIGN TABLE stopping OPTIONS (SET on_error 'reject');
SELECT streaming.drain('stopping_rows') > 0 AS drained;
SELECT * FROM stopping_rows ORDER BY n;

-- a value that asks for more memory than there can be, SQLSTATE XX000
CREATE DOMAIN modest AS int CHECK (to_char(timestamp 'epoch', repeat('-', VALUE)) <> '');
CREATE FOREIGN TABLE measures (n modest) SERVER landing OPTIONS (path 'measures/*.json');
CREATE VIEW measured WITH (streaming.trigger = 'manual') AS SELECT * FROM measures;
\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/measures/a.json\''
COPY (VALUES ('{"n": 1}'), ('{"n": 90000000}'), ('{"n": 2}')) TO PROGRAM :'put';
SELECT streaming.drain('measured') > 0 AS drained;
SELECT * FROM measured ORDER BY n;
SELECT error FROM streaming.rejected_rows WHERE stream = 'measures'::regclass;

-- the kept rows are the owner's to delete
SELECT streaming.delete_rejected_rows('rejecting', 'epoch'), streaming.delete_rejected_rows('rejecting') > 0 AS deleted;
SELECT stream, count(*) FROM streaming.rejected_rows GROUP BY stream ORDER BY stream::text;

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER landing CASCADE;
-- what was kept of them is gone with them
SELECT count(*) FROM streaming.rejected_rows;
DROP DOMAIN positive, modest;
