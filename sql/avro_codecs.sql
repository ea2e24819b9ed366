-- Avro object container files of each codec, and damaged ones, made by test/avro/make_codecs with other implementations.
-- What is damaged in deflate and zstandard, which have no sum, may become other records.
\getenv srcdir PG_ABS_SRCDIR
\set dir :srcdir '/test/avro/files'
CREATE SERVER written FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE FOREIGN TABLE visits (page text, ms int, file text OPTIONS (metadata 'path'), line bigint OPTIONS (metadata 'line'))
    SERVER written OPTIONS (path '*.avro', format 'avro', order 'name');
CREATE VIEW seen WITH (streaming.trigger = 'manual') AS SELECT page, ms, file, line FROM visits;
SELECT streaming.drain('seen') > 0 AS drained;

-- what the two writers wrote, whatever the codec
SELECT regexp_replace(file, '.*/', '') AS file, count(*), sum(ms), min(page), max(page), max(line) AS line FROM seen
WHERE file ~ 'fastavro|apache' GROUP BY 1 ORDER BY file;
SELECT page, ms FROM seen WHERE file ~ 'fastavro|apache' EXCEPT ALL
    SELECT format('/%s/%s/%s', writer, codec, i), i * 10 FROM generate_series(0, 19) AS i,
        unnest('{fastavro,apache}'::text[]) AS writer, unnest('{"null",deflate,snappy,zstandard,bzip2,xz}'::text[]) AS codec;

-- of others what is before the damage
SELECT regexp_replace(file, '.*/', '') AS file, count(*), sum(ms), left(max(page), 40) AS page FROM seen
WHERE file !~ 'fastavro-|apache-' GROUP BY 1 ORDER BY file;
SELECT regexp_replace(path, '.*/', '') AS file, split_part(position, ':', 2) AS record, error, whole FROM streaming.rejected_rows
WHERE stream = 'visits'::regclass ORDER BY file, split_part(position, ':', 2)::int;
SELECT * FROM seen EXCEPT ALL SELECT page, ms, file, line FROM visits;
SELECT page, ms, file, line FROM visits EXCEPT ALL SELECT * FROM seen;

SET client_min_messages = warning;
DROP SERVER written CASCADE;
