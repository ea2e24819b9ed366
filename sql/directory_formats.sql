-- Files of a directory: JSON lines and CSV, as a view and as a batch read.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/directory_formats'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '/json\' \'' :dir '/csv\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';

CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE FOREIGN TABLE people (
    name text,
    age int OPTIONS (field 'years'),
    born timestamptz OPTIONS (time_format 'epoch_s'),
    tags text[],
    address jsonb,
    file text OPTIONS (metadata 'path'),
    line bigint OPTIONS (metadata 'line')
) SERVER landing OPTIONS (path 'json/*.json');
CREATE FOREIGN TABLE prices (item text, price numeric, since date)
    SERVER landing OPTIONS (path 'csv/*.csv', format 'csv', header 'true', null '-');

-- A file must appear whole, under a name that the pattern matches.
\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/json/a.json\''
COPY (SELECT * FROM (VALUES
    ('{"name": "Ann", "years": 41, "born": 0, "tags": ["x", "y"], "address": {"city": "Oslo"}}'),
    ('{"years": "42", "name": "B\u00f6b \"the\" builder", "unknown": [1, {"a": 2}]}'),
    ('  '),
    ('{"name": null, "tags": [], "born": 1.5}')) x) TO PROGRAM :'put' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/csv/a.csv\''
COPY (VALUES ('lamp', '1.50', '2026-01-01'), ('desk, "large"' || chr(10) || 'oak', '20', NULL), ('', NULL, NULL)) TO PROGRAM :'put'
    (FORMAT csv, HEADER, NULL '-');

SELECT name, age, born AT TIME ZONE 'UTC' AS born, tags, address, regexp_replace(file, '.*/', '') AS file, line
FROM people ORDER BY line;
SELECT * FROM prices ORDER BY price, item;

CREATE VIEW adults WITH (streaming.trigger = 'manual') AS SELECT name, age, tags FROM people WHERE age > 40;
CREATE VIEW items WITH (streaming.trigger = 'manual') AS SELECT count(*) AS items, count(price) AS priced, sum(price) FROM prices;
SELECT streaming.drain('adults'), streaming.drain('items');
SELECT * FROM adults ORDER BY age;
SELECT * FROM items;

-- more files; one that is not matched, two that are hidden
\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/json/b.json\''
COPY (VALUES ('{"name": "Cid", "years": 50}')) TO PROGRAM :'put';
\set put 'tee \'' :dir '/json/_c.json\' \'' :dir '/json/.d.json\' > \'' :dir '/json/e.txt\''
COPY (VALUES ('{"name": "Hidden", "years": 50}')) TO PROGRAM :'put';
SELECT streaming.drain('adults'), streaming.drain('items');
SELECT * FROM adults ORDER BY age;
SELECT regexp_replace(path, '.*/', '') AS path, size > 0 AS has_size FROM streaming.files
WHERE stream = 'people'::regclass ORDER BY file;

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER landing CASCADE;
