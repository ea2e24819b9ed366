-- Avro object container files in a directory as a sink: each codec, altered columns, whole results, what is refused.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/sink_avro'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '\'; chmod 777 \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';
CREATE SERVER there FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE TYPE place AS (street text, number int);
CREATE FOREIGN TABLE facts (id int, b boolean, i2 smallint, i8 bigint, f4 real, f8 double precision, n numeric(20,4), any_n numeric, t text, raw bytea,
    d date, tm time, ts timestamp, tz timestamptz, u uuid, j jsonb, arr int[], p place, ps place[]) SERVER streaming;
INSERT INTO facts SELECT g, g % 2 = 0, g % 30000, g::bigint * 1000000007, g / 7.0, g / 3.0, (g * 1.25 - 500)::numeric(20,4), g * 1e30, repeat('x', g % 50) || g, decode(md5(g::text), 'hex'),
    date '1969-12-30' + g, time '00:00' + g * interval '7 s', timestamp '1960-01-01' + g * interval '1.000001 h', timestamptz '2000-01-01 UTC' + g * interval '1 day',
    md5(g::text)::uuid, jsonb_build_object('g', g), ARRAY[g, NULL, -g], (g || 'th', g)::place, ARRAY[('a', 1)::place, NULL, (NULL, g)::place]
    FROM generate_series(1, 3000) g;
INSERT INTO facts DEFAULT VALUES;
INSERT INTO facts (id, t) VALUES (0, repeat('a long text ', 50000)), (-1, '');

CREATE FUNCTION make_sink(codec text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    columns text := (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'facts'::regclass AND attnum > 0);
BEGIN
    EXECUTE format('CREATE FOREIGN TABLE %I (%s) SERVER there OPTIONS (path %L, format ''avro'', file_max_rows ''1000'' %s)', 'out_' || codec, columns, codec || '-*.avro',
        CASE WHEN codec <> 'default' THEN format(', avro_codec %L', codec) ELSE '' END);
    EXECUTE format('CREATE VIEW %I WITH (streaming.sink = %L, streaming.trigger = ''manual'') AS SELECT * FROM facts', 'to_' || codec, 'out_' || codec);
END $$;
CREATE FUNCTION differences(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((SELECT * FROM facts EXCEPT ALL SELECT * FROM %1$I) UNION ALL (SELECT * FROM %1$I EXCEPT ALL SELECT * FROM facts)) x', name) INTO n;
    RETURN n;
END $$;
CREATE VIEW codecs AS SELECT unnest('{default,"null",deflate,snappy,zstandard,bzip2,xz}'::text[]) AS codec;
SELECT count(make_sink(codec)) FROM codecs;
SELECT count(streaming.drain(('to_' || codec)::regclass)) FROM codecs;
SELECT codec, differences('out_' || codec) FROM codecs;
-- files say which one it is
SELECT codec, count(*) AS files, bool_and(position('avro.codec'::bytea || set_byte('\x00', 0, 2 * length(said)) || said::bytea IN pg_read_binary_file(:'dir' || '/' || name)) > 0) AS named
FROM codecs, LATERAL (SELECT CASE codec WHEN 'default' THEN 'deflate' ELSE codec END AS said) s, pg_ls_dir(:'dir') name WHERE name LIKE codec || '-%' GROUP BY 1 ORDER BY 1;

-- columns come and go: rows are in files of their own schema
CREATE FOREIGN TABLE pushed (k int, v text) SERVER streaming;
CREATE FOREIGN TABLE altered (k int, v text) SERVER there OPTIONS (path 'altered-*.avro', format 'avro', avro_codec 'zstandard', file_interval '1 h');
INSERT INTO altered VALUES (1, 'a');
ALTER FOREIGN TABLE altered ADD COLUMN w numeric(4,1) DEFAULT 7;
INSERT INTO altered (k, v) VALUES (2, 'b');
ALTER FOREIGN TABLE altered OPTIONS (SET file_interval '0');
INSERT INTO altered VALUES (3, 'c', 1.5);
CREATE FUNCTION rows_of(name text, wanted bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint := 0;
BEGIN
    FOR i IN 1 .. 3000 LOOP
        EXECUTE format('SELECT count(*) FROM %I', name) INTO n;
        EXIT WHEN n >= wanted;
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN n;
END $$;
SELECT rows_of('altered', 3);
SELECT * FROM altered ORDER BY k;

-- whole results, and one without rows
CREATE FOREIGN TABLE result (n bigint, k int) SERVER there OPTIONS (path 'result.avro', format 'avro', avro_codec 'snappy');
CREATE VIEW per_k WITH (streaming.sink = 'result', streaming.output_mode = 'complete', streaming.trigger = 'manual') AS
    SELECT count(*) AS n, k FROM pushed GROUP BY k HAVING count(*) > 1;
INSERT INTO pushed VALUES (1, 'a'), (2, 'b');
SELECT streaming.drain('per_k');
SELECT * FROM result;
INSERT INTO pushed VALUES (1, 'a'), (2, 'b'), (2, 'c');
SELECT streaming.drain('per_k');
SELECT * FROM result ORDER BY k;

-- a schema that the stream says
CREATE FOREIGN TABLE said (k int, v text) SERVER there OPTIONS (path 'said-*.avro', format 'avro', avro_codec 'bzip2', file_interval '0',
    avro_schema '{"type": "record", "name": "Said", "fields": [{"name": "v", "type": "string"}, {"name": "more", "type": "int", "default": 7}, {"name": "k", "type": "long"}]}');
CREATE FOREIGN TABLE read_as_it_is (k bigint, more int, v text) SERVER there OPTIONS (path 'said-*.avro', format 'avro');
INSERT INTO said VALUES (1, 'café'), (2, '');
SELECT rows_of('said', 2);
SELECT * FROM read_as_it_is ORDER BY k;

-- refused
INSERT INTO said VALUES (1, NULL);
INSERT INTO out_snappy (d) VALUES ('infinity');
CREATE FOREIGN TABLE bad (a int) SERVER there OPTIONS (path '*', format 'avro', avro_codec 'lz4');
CREATE FOREIGN TABLE bad (a int) SERVER there OPTIONS (path '*', avro_codec 'xz');
CREATE FOREIGN TABLE bad ("a b" int) SERVER there OPTIONS (path '*.avro', format 'avro');
INSERT INTO bad VALUES (1);

SET client_min_messages = warning;
DROP SERVER there CASCADE;
DROP VIEW codecs;
\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
DROP FOREIGN TABLE facts, pushed CASCADE;
DROP TYPE place;
